"""A hundred threads as before; a lock is held from reading the number to writing it back."""

import os
import time
from threading import Lock, Thread

PACE = float(os.environ.get("LAB_PACE", "1"))

lock = Lock()
number = 100


def less_one():
    global number
    lock.acquire()
    seen = number
    time.sleep(0.1 * PACE)
    number = seen - 1
    lock.release()


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
