"""A call that happens later, and one that is called off in time."""

import time
from threading import Timer  # or: holdfast.local


def task(number):
    print(f"{number} is running")


if __name__ == "__main__":
    begin = time.monotonic()
    timer = Timer(0.5, task, args=(10,))
    timer.start()
    never = Timer(60, task, args=(11,))
    never.start()
    print("the program goes on")
    never.cancel()
    timer.join()
    never.join()
    print("half a second later:", time.monotonic() - begin >= 0.5)
