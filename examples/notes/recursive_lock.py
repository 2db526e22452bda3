"""The cure: one lock, which its owner may take again, under both names. Ten threads, in both orders, get through."""

import threading
import time
from threading import RLock  # or: holdfast.local

cutlery = RLock()
fork, spoon = cutlery, cutlery
eaten = []


def eat(first, second):
    with first:
        time.sleep(0.01)
        with second:
            eaten.append(threading.current_thread().name)


if __name__ == "__main__":
    guests = [
        threading.Thread(target=eat, args=(fork, spoon) if number % 2 else (spoon, fork), name=f"guest {number}")
        for number in range(10)
    ]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join()
    for name in sorted(eaten):
        print(name, "has eaten")
