"""A thread, or with the argument `process` a process: which of them speaks before main does?"""

import os
import sys
import time
from multiprocessing import Process
from threading import Thread

PACE = float(os.environ.get("LAB_PACE", "1"))


def work(who):
    print(f"{who} begins")
    time.sleep(3 * PACE)
    print(f"{who} is over")


if __name__ == "__main__":
    if sys.argv[1:] == ["process"]:
        other = Process(target=work, args=("the process",))
    else:
        other = Thread(target=work, args=("the thread",))
    other.start()
    print("main")
