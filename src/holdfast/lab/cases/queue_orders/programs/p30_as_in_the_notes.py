"""Three pairs go into a priority queue: the number says how soon they are to come out."""

import queue

line = queue.PriorityQueue()
line.put((3, "letter"))
line.put((-10, "telegram"))
line.put((11, "leaflet"))

print(line.get())
print(line.get())
print(line.get())
