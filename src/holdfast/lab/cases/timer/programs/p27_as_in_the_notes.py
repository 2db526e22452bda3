"""A call that is made three seconds later, and a main thread that goes on."""

import os
from threading import Timer, current_thread

PACE = float(os.environ.get("LAB_PACE", "1"))


def task(number):
    print(f"{number} is running")
    print(current_thread().name)


if __name__ == "__main__":
    timer = Timer(3 * PACE, task, args=(10,))
    timer.start()
    print("main")
