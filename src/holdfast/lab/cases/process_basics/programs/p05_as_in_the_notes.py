"""A process as a class of one's own, with what it does in run()."""

import os
import time
from multiprocessing import Process

PACE = float(os.environ.get("LAB_PACE", "1"))


class Worker(Process):
    def __init__(self, who):
        super().__init__()
        self.name = who

    def run(self):
        print(f"{self.name} begins")
        time.sleep(3 * PACE)
        print(f"{self.name} is over")


if __name__ == "__main__":
    worker = Worker("the child")
    worker.start()
    print("main")
