"""The bun shop with two guests and room for three buns: each bun is ticked off, so it is known when all are eaten."""

import os
import random
import time
from multiprocessing import JoinableQueue, Process

PACE = float(os.environ.get("LAB_PACE", "1"))


def bake(counter):
    for number in range(10):
        bun = f"bun {number}"
        time.sleep(random.randint(1, 3) * PACE)
        counter.put(bun)
        print(f"\033[45m{os.getpid()} baked {bun}\033[0m")


def eat(counter):
    while True:
        bun = counter.get()
        time.sleep(random.randint(1, 3) * PACE)
        print(f"\033[46m{os.getpid()} ate {bun}\033[0m")
        counter.task_done()


if __name__ == "__main__":
    counter = JoinableQueue(3)
    baker = Process(target=bake, args=(counter,))
    guests = [Process(target=eat, args=(counter,), daemon=True) for _ in range(2)]  # they end with main
    for process in (baker, *guests):
        process.start()

    baker.join()
    counter.join()  # until each bun that was put has been ticked off
    print("main")
