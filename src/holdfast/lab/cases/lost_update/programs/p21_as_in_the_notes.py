"""A hundred threads: each reads the number, waits a little, and writes it back less one. Nothing keeps them apart."""

import os
import time
from threading import Thread

PACE = float(os.environ.get("LAB_PACE", "1"))

number = 100


def less_one():
    global number
    seen = number
    time.sleep(0.1 * PACE)
    number = seen - 1


if __name__ == "__main__":
    threads = []
    began = time.time()
    for _ in range(100):
        thread = Thread(target=less_one)
        threads.append(thread)
        thread.start()

    for thread in threads:
        thread.join()

    ended = time.time()
    print(number, ended - began)
