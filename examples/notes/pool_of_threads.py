"""A pool of threads: all work is done in one process, and callbacks are not called in the program's main thread."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor  # or: holdfast.local


def square(number):
    time.sleep(0.5)
    return number**2, os.getpid(), threading.get_ident()


def use(future):
    result, _, _ = future.result()
    told.append(f"{result}: called back in the main thread: {threading.current_thread() is threading.main_thread()}")


if __name__ == "__main__":
    told = []
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(square, number) for number in range(1, 5)]
        for future in futures:
            future.add_done_callback(use)
        print("nobody has waited")
    print("processes:", len({future.result()[1] for future in futures}))
    print("threads:", len({future.result()[2] for future in futures}))
    for line in sorted(told):
        print(line)
