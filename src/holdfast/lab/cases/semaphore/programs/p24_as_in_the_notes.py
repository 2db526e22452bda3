"""Five places, twenty threads: each says when it is inside, stays for one to four seconds and leaves."""

import os
import random
import time
from threading import Semaphore, Thread, current_thread

PACE = float(os.environ.get("LAB_PACE", "1"))

places = Semaphore(5)


def visit():
    with places:
        print(f"{current_thread().name} is inside")
        time.sleep(random.randint(1, 4) * PACE)


if __name__ == "__main__":
    for _ in range(20):
        Thread(target=visit).start()
