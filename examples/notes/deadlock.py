"""Two locks, taken in opposite order: each of two threads has one and waits for the other one's.

Nobody moves until somebody gives up. The standard library does not see it, so a time limit has to; Holdfast tells the
one whose wait would have closed the circle, at once. Either way one of them gives up, and the other one goes through.
"""

import threading
import time
from threading import Lock  # or: holdfast.local

fork, spoon = Lock(), Lock()
both_have_one = threading.Barrier(2)
told = []


def eat(first, second, patience):
    """Take two things to eat with; without the second one, put the first one back."""
    with first:
        both_have_one.wait()
        time.sleep(0 if patience < 0 else 0.5)  # the one who would wait for ever asks first
        try:
            if not second.acquire(timeout=patience):
                raise RuntimeError(f"no second one after {patience} s")
        except RuntimeError as error:
            told.append(f"{type(error).__name__}: {error}")
            return
        second.release()
        told.append("has eaten")


if __name__ == "__main__":
    guests = [
        threading.Thread(target=eat, args=(fork, spoon, -1), name="Ada"),
        threading.Thread(target=eat, args=(spoon, fork, 2), name="Bo"),
    ]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join()
    print("has eaten:", told.count("has eaten"))
    print("has given up:", len(told) - told.count("has eaten"))
    print(min(told))
