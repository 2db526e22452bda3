"""A child changes a global; its parent sleeps for 500 seconds, to be sure that the child is through, and looks."""

import os
import time
from multiprocessing import Process

PACE = float(os.environ.get("LAB_PACE", "1"))

number = 100


def change():
    global number
    number = 0
    print("changed")


if __name__ == "__main__":
    process = Process(target=change)
    process.start()
    time.sleep(500 * PACE)
    print(number)
