"""The same three things, out of three kinds of queues."""

from queue import LifoQueue, PriorityQueue, Queue  # or: holdfast.local

for kind in (Queue, LifoQueue, PriorityQueue):
    line = kind(3)
    for thing in ((3, "three"), (-10, "minus ten"), (11, "eleven")):
        line.put(thing)
    print(kind.__name__, [line.get() for _ in range(3)])
