"""A queue with room for three: put three things of three kinds, get four."""

from multiprocessing import Queue

queue = Queue(3)

queue.put("one")
queue.put({"number": "two"})
queue.put(["three"])
# queue.put(4) would wait here until somebody takes something

print(queue.get())
print(queue.get())
print(queue.get())
print(queue.get())  # waits for somebody who puts something
