"""Ten buyers look how many tickets the file has; then, one at a time, each buys one if there is one.

It wants a file stock.json in the current directory, such as {"count": 3}.
"""

import json
import os
import random
import time
from multiprocessing import Lock, Process

PACE = float(os.environ.get("LAB_PACE", "1"))
STOCK = "stock.json"


def look():
    time.sleep(1 * PACE)
    with open(STOCK, encoding="utf-8") as file:
        stock = json.load(file)
    print(f"{os.getpid()} sees {stock['count']}")


def buy():
    with open(STOCK, encoding="utf-8") as file:
        stock = json.load(file)
    time.sleep(2 * PACE)
    if stock["count"] > 0:
        stock["count"] -= 1
        time.sleep(random.randint(1, 3) * PACE)
        with open(STOCK, "w", encoding="utf-8") as file:
            json.dump(stock, file)
        print(f"{os.getpid()} has a ticket")
    else:
        print(f"{os.getpid()} comes too late")


def visit(mutex):
    look()
    with mutex:
        buy()


if __name__ == "__main__":
    mutex = Lock()
    for _ in range(10):
        Process(target=visit, args=(mutex,)).start()
