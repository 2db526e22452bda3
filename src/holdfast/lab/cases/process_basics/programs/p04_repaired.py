"""A process out of a function, with every module that it uses."""

import os
import time
from multiprocessing import Process

PACE = float(os.environ.get("LAB_PACE", "1"))


def work(who):
    print(f"{who} begins")
    time.sleep(3 * PACE)
    print(f"{who} is over")


if __name__ == "__main__":
    process = Process(target=work, args=("the child",))
    process.start()
    print("main")
