"""Truly one after the other: each result is waited for before the next task is given away."""

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
    with ProcessPoolExecutor(4) as pool:
        for number in range(1, 5):
            look(pool.submit(square, number).result())

    print("main")
