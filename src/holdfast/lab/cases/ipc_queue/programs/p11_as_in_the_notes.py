"""The same with a time limit: wait for three seconds, then give up."""

import os
from multiprocessing import Queue

PACE = float(os.environ.get("LAB_PACE", "1"))

queue = Queue(3)
queue.put("one", block=True, timeout=3 * PACE)
queue.put({"number": "two"}, block=True, timeout=3 * PACE)
queue.put(["three"], block=True, timeout=3 * PACE)
print("all are in")
# queue.put(4, block=True, timeout=3 * PACE) would give up here

print(queue.get(block=True, timeout=3 * PACE))
print(queue.get(block=True, timeout=3 * PACE))
print(queue.get(block=True, timeout=3 * PACE))
print(queue.get(block=True, timeout=3 * PACE))
