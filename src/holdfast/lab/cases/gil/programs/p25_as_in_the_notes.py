"""Four tasks that wait for five seconds each: ``p25… threads``, ``p25… processes``, ``p25… processes spawn``.

The notes have the processes in comments; here the first argument chooses, and a second one how processes start.
"""

import multiprocessing
import os
import sys
import time
from multiprocessing import Process
from threading import Thread

PACE = float(os.environ.get("LAB_PACE", "1"))


def first():
    time.sleep(5 * PACE)


def second():
    time.sleep(5 * PACE)


def third():
    time.sleep(5 * PACE)


def fourth():
    time.sleep(5 * PACE)


if __name__ == "__main__":
    kind = {"threads": Thread, "processes": Process}[sys.argv[1] if len(sys.argv) > 1 else "threads"]
    if len(sys.argv) > 2:
        multiprocessing.set_start_method(sys.argv[2])
    start = time.time()
    one = kind(target=first)
    two = kind(target=second)
    three = kind(target=third)
    four = kind(target=fourth)

    one.start()
    two.start()
    three.start()
    four.start()
    one.join()
    two.join()
    three.join()
    four.join()
    stop = time.time()
    print(f"run time is {stop - start}")
