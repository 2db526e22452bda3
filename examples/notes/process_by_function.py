"""Processes out of a function: their names, their own memory, how they end, and how they are ended."""

import os
import time
from multiprocessing import Process, current_process  # or: holdfast.local

count = 100


def task(word, main):
    global count
    count = 0
    print(f"{current_process().name}, {word}: count is {count}, a process apart: {os.getpid() != main}", flush=True)


def fail():
    raise SystemExit(3)


if __name__ == "__main__":
    first = Process(target=task, args=("by position",), kwargs={"main": os.getpid()}, name="the first")
    print("alive before the start:", first.is_alive())
    first.start()
    first.join()
    print("started:", first.name, isinstance(first.pid, int))
    print("alive after the end:", first.is_alive(), "with", first.exitcode)
    print("count is still", count)

    failing = Process(target=fail)
    failing.start()
    failing.join()
    print("its own exit code:", failing.exitcode)

    sleeping = Process(target=time.sleep, args=(60,))
    sleeping.start()
    sleeping.join(timeout=0.1)
    print("after a tenth of a second:", sleeping.is_alive(), sleeping.exitcode)
    sleeping.terminate()
    sleeping.join()
    print("terminated:", sleeping.is_alive(), sleeping.exitcode)
