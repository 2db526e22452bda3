"""Two children, one of them a daemon; the parent has nothing more to do at once."""

import os
import time
from multiprocessing import Process

PACE = float(os.environ.get("LAB_PACE", "1"))


def work(who):
    print(f"{who} begins")
    time.sleep(3 * PACE)


if __name__ == "__main__":
    guard = Process(target=work, args=("the daemon",))
    other = Process(target=work, args=("the other",))

    guard.daemon = True
    guard.start()
    other.start()

    print("main")
