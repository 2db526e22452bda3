"""The short names for not waiting: put three, get four."""

from multiprocessing import Queue

queue = Queue(3)

queue.put_nowait("one")
queue.put_nowait(2)
queue.put_nowait(3)
# queue.put_nowait(4) would give up here

print(queue.get_nowait())
print(queue.get_nowait())
print(queue.get_nowait())
print(queue.get_nowait())
