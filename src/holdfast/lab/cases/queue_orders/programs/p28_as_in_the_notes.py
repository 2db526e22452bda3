"""Three numbers go into a queue with three places, and come out."""

import queue

line = queue.Queue(3)
line.put(1)
line.put(2)
line.put(3)

print(line.get())
print(line.get())
print(line.get())
