"""Ten threads; each takes A and then B, gives both back, then takes B and then A."""

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
        lock_b.acquire()
        print(f"{self.name} has B")
        time.sleep(1 * PACE)

        lock_a.acquire()
        print(f"{self.name} has A")
        lock_a.release()

        lock_b.release()


if __name__ == "__main__":
    for _ in range(10):
        crossing = Crossing()
        crossing.start()
