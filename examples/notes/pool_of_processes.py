"""A pool of processes: asked and waited for in place, and with callbacks, which are called in the program's process."""

import os
import time
from concurrent.futures import ProcessPoolExecutor  # or: holdfast.local


def square(number):
    time.sleep(0.5)
    return number**2, os.getpid()


def use(future):
    result, worker = future.result()
    told.append(f"{result}: called back in the program's process: {os.getpid() == main}, done there: {worker == main}")


if __name__ == "__main__":
    main = os.getpid()
    told = []
    with ProcessPoolExecutor(2) as pool:
        print("one after the other:", [pool.submit(square, number).result()[0] for number in range(1, 3)])
        print("in order:", [result for result, _ in pool.map(square, range(1, 5))])
        for number in range(1, 5):
            pool.submit(square, number).add_done_callback(use)
        print("nobody has waited")
    try:
        pool.submit(square, 5)
    except RuntimeError:
        print("the pool takes nothing more")
    for line in sorted(told):
        print(line)
