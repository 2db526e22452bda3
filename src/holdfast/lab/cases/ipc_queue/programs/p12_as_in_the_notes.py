"""The same without waiting at all."""

from multiprocessing import Queue

queue = Queue(3)
queue.put("one", block=False)
queue.put({"number": "two"}, block=False)
queue.put(["three"], block=False)
print("all are in")
# queue.put(4, block=False) would give up here

print(queue.get(block=False))
print(queue.get(block=False))
print(queue.get(block=False))
print("all are out")
print(queue.get(block=False))
