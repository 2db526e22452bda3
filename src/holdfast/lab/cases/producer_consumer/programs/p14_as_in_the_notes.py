"""The bun shop: one bakes ten buns, one eats them, a queue between them, and None says that there are no more."""

import os
import random
import time
from multiprocessing import Process, Queue

PACE = float(os.environ.get("LAB_PACE", "1"))


def bake(counter):
    for number in range(10):
        bun = f"bun {number}"
        time.sleep(random.randint(1, 3) * PACE)
        counter.put(bun)
        print(f"\033[45m{os.getpid()} baked {bun}[0m")
    counter.put(None)


def eat(counter):
    while True:
        bun = counter.get()
        if bun is None:
            break
        time.sleep(random.randint(1, 3) * PACE)
        print(f"\033[46m{os.getpid()} ate {bun}[0m")


if __name__ == "__main__":
    counter = Queue()
    baker = Process(target=bake, args=(counter,))
    guest = Process(target=eat, args=(counter,))

    baker.start()
    guest.start()

    print("main")
