"""The bun shop: two bakers, three guests, and a counter with room for three buns between them.

A full counter makes the bakers wait, an empty one the guests. When the bakers have gone home, the shop puts down one
"nothing more" for each guest.
"""

import time
from multiprocessing import Process, Queue  # or: holdfast.local

ROOM = 3
NOTHING_MORE = None


def bake(counter, baker, number):
    for bun in range(number):
        time.sleep(0.01)
        counter.put(f"{baker}'s bun {bun}")


def eat(counter, eaten):
    while (bun := counter.get(timeout=60)) is not NOTHING_MORE:
        eaten.put(bun)
        time.sleep(0.02)


if __name__ == "__main__":
    counter, eaten = Queue(ROOM), Queue()
    bakers = [Process(target=bake, args=(counter, name, 5)) for name in ("Ada", "Bo")]
    guests = [Process(target=eat, args=(counter, eaten)) for _ in range(3)]
    for process in [*bakers, *guests]:
        process.start()
    print("the shop is open")
    for baker in bakers:
        baker.join()
    for _ in guests:
        counter.put(NOTHING_MORE)
    for bun in sorted(eaten.get(timeout=60) for _ in range(10)):
        print("eaten:", bun)
    for guest in guests:
        guest.join()
    print("the shop is closed")
