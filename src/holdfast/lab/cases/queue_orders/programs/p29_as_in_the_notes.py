"""Three numbers go onto a stack, and come off."""

import queue

stack = queue.LifoQueue()
stack.put(1)
stack.put(2)
stack.put(3)

print(stack.get())
print(stack.get())
print(stack.get())
