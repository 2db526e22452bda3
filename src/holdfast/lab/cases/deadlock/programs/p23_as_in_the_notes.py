"""Ten threads as before, but A and B are two names of one lock that its owner may take again."""

import os
import time
from threading import RLock, Thread

PACE = float(os.environ.get("LAB_PACE", "1"))

lock_a = RLock()
lock_b = lock_a


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
