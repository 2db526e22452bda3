"""The same with a pool of four threads."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import current_thread

PACE = float(os.environ.get("LAB_PACE", "1"))


def square(number):
    print(f"{current_thread().name} works on {number}")
    time.sleep(5 * PACE)
    return number**2


def look(future):
    time.sleep(1 * PACE)
    result = future.result()
    print(f"{current_thread().name} has looked at {result}")


if __name__ == "__main__":
    pool = ThreadPoolExecutor(4)
    began = time.time()
    for number in range(1, 5):
        future = pool.submit(square, number)
        future.add_done_callback(look)
    pool.shutdown(wait=True)
    ended = time.time()
    print("main", current_thread().name, ended - began)
