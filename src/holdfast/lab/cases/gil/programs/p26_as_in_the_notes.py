"""Four tasks that multiply a hundred million times each: ``p26… threads`` or ``p26… processes``.

The notes have the processes in comments; here the argument chooses. ``LAB_LOOPS`` is the share of the rounds to do.
"""

import os
import sys
import time
from multiprocessing import Process
from threading import Thread

ROUNDS = int(100_000_000 * float(os.environ.get("LAB_LOOPS", "1")))


def first():
    product = 0
    for number in range(ROUNDS):
        product *= number


def second():
    product = 0
    for number in range(ROUNDS):
        product *= number


def third():
    product = 0
    for number in range(ROUNDS):
        product *= number


def fourth():
    product = 0
    for number in range(ROUNDS):
        product *= number


if __name__ == "__main__":
    kind = {"threads": Thread, "processes": Process}[sys.argv[1] if len(sys.argv) > 1 else "threads"]
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
