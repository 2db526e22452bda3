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
    make = Process if sys.argv[1:] == ["process"] else Thread
    other = make(target=work, args=(f"the {make.__name__.lower()}",))
    other.start()
    print("main")
