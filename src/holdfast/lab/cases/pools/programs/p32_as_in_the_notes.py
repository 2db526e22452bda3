"""A pool of four processes; what is to be done with a result is given along as a callback."""

import os
import time
from concurrent.futures import ProcessPoolExecutor

PACE = float(os.environ.get("LAB_PACE", "1"))


def square(number):
    print(f"{os.getpid()} works on {number}")
    time.sleep(5 * PACE)
    return number**2


def look(future):
    time.sleep(1 * PACE)
    result = future.result()
    print(f"{os.getpid()} has looked at {result}")


if __name__ == "__main__":
    pool = ProcessPoolExecutor(4)

    began = time.time()
    for number in range(1, 5):
        future = pool.submit(square, number)
        future.add_done_callback(look)
    pool.shutdown(wait=True)
    ended = time.time()
    print("main", os.getpid(), ended - began)
