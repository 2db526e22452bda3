"""Without waiting for room, but with a wait for what was put: a thread of the queue has to write it first."""

from multiprocessing import Queue
from queue import Empty

queue = Queue(3)
queue.put("one", block=False)
queue.put({"number": "two"}, block=False)
queue.put(["three"], block=False)
print("all are in")

print(queue.get(timeout=5))
print(queue.get(timeout=5))
print(queue.get(timeout=5))
print("all are out")
try:
    print(queue.get(block=False))
except Empty:
    print("empty")
