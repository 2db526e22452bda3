"""A pool of four processes: four tasks are given to it, then it is shut, then the results are looked at."""

import os
import time
from concurrent.futures import ProcessPoolExecutor

PACE = float(os.environ.get("LAB_PACE", "1"))


def square(number):
    print(f"{os.getpid()} works on {number}")
    time.sleep(10 * PACE)
    return number**2


def look(result):
    print(f"result {result}")


if __name__ == "__main__":
    pool = ProcessPoolExecutor(4)

    futures = []
    for number in range(1, 5):
        future = pool.submit(square, number)
        futures.append(future)

    pool.shutdown(wait=True)
    for future in futures:
        look(future.result())

    print("main")
