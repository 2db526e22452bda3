"""Ten threads; each takes A and then B, in both halves: with one order for all no circle can close."""

import os
import time
from threading import Lock, Thread

PACE = float(os.environ.get("LAB_PACE", "1"))

lock_a = Lock()
lock_b = Lock()


class Crossing(Thread):
    def run(self):
        self.there()
        self.back()

    def there(self):
        lock_a.acquire()
        print(f"{self.name} has A")

        lock_b.acquire()
        print(f"{self.name} has B")
        lock_b.release()

        lock_a.release()

    def back(self):
        lock_a.acquire()
        print(f"{self.name} has A")

        lock_b.acquire()
        print(f"{self.name} has B")
        time.sleep(1 * PACE)
        lock_b.release()

        lock_a.release()


if __name__ == "__main__":
    for _ in range(10):
        crossing = Crossing()
        crossing.start()
