"""The main thread is through long before the other one; when does the program end?"""

import os
import time
from threading import Thread

PACE = float(os.environ.get("LAB_PACE", "1"))


def work(who):
    print(f"{who} begins")
    time.sleep(3 * PACE)
    print(f"{who} is over")


if __name__ == "__main__":
    thread = Thread(target=work, args=("the thread",))
    thread.start()
    print("main")
