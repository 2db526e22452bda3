"""A hundred threads take one each from 100: without a lock 99 are left, with a lock none."""

import threading
import time
from threading import Lock  # or: holdfast.local

left = 100


def take_at_once(everybody):
    """All of them read before one of them writes, so they all write the same."""
    global left
    seen = left
    everybody.wait()
    left = seen - 1


def take_in_turn(mutex):
    global left
    with mutex:
        seen = left
        time.sleep(0.0001)
        left = seen - 1


def hundred(take, shared):
    global left
    left = 100
    threads = [threading.Thread(target=take, args=(shared,)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return left


if __name__ == "__main__":
    print("without a lock:", hundred(take_at_once, threading.Barrier(100)))
    print("with a lock:", hundred(take_in_turn, Lock()))
