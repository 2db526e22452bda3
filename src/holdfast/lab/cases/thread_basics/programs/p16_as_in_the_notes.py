"""A thread as a subclass with a `run` of its own."""

import os
import time
from threading import Thread

PACE = float(os.environ.get("LAB_PACE", "1"))


class Worker(Thread):
    def run(self):
        print(f"{self.name} begins")
        time.sleep(3 * PACE)
        print(f"{self.name} is over")


if __name__ == "__main__":
    worker = Worker()
    worker.start()
    print("main")
