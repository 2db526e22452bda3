"""Two threads; the one that takes longer is a daemon."""

import os
import time
from threading import Thread

PACE = float(os.environ.get("LAB_PACE", "1"))


def long():
    print("long begins")
    time.sleep(3 * PACE)
    print("long is over")


def short():
    print("short begins")
    time.sleep(1 * PACE)
    print("short is over")


first = Thread(target=long)
second = Thread(target=short)

first.daemon = True
first.start()
second.start()
print("main")
