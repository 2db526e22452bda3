"""Twenty visitors and five places: a semaphore lets in five, and one more for each that leaves."""

import threading
from threading import Semaphore  # or: holdfast.local

PLACES = 5
door = Semaphore(PLACES)
inside = 0
most = 0
counting = threading.Lock()
full = threading.Barrier(PLACES)


def visit():
    global inside, most
    with door:
        with counting:
            inside += 1
            most = max(most, inside)
        full.wait()  # nobody leaves before all places have been taken once more
        with counting:
            inside -= 1


if __name__ == "__main__":
    visitors = [threading.Thread(target=visit) for _ in range(20)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    print("at the most at the same time:", most)
    print("inside now:", inside)
