"""A queue between processes, with room for three: who waits, for how long, and who is turned away at once."""

import queue
from multiprocessing import Queue  # or: holdfast.local

box = Queue(3)
box.put("a word")
box.put({"a": "dict"}, block=True, timeout=3)
box.put(["a", "list"], block=False)
print("full:", box.full())

for put in (lambda: box.put(4, timeout=0.2), lambda: box.put(4, block=False), lambda: box.put_nowait(4)):
    try:
        put()
    except queue.Full:
        print("no room for a fourth one")

print(box.get(timeout=3))
print(box.get(block=True, timeout=3))
print(box.get(timeout=3))
for get in (lambda: box.get(timeout=0.2), lambda: box.get(block=False), lambda: box.get_nowait()):
    try:
        get()
    except queue.Empty:
        print("nothing left")
