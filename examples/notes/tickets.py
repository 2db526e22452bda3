"""Ten buyers and three tickets in one file: oversold when they all look before they write, exact with a lock."""

import tempfile
import time
from multiprocessing import Barrier, Lock, Process, Queue  # or: holdfast.local
from pathlib import Path

BUYERS = 10
TICKETS = 3


def buy(stock: Path, pause):
    """Take a ticket if one is left. Between looking and writing is a pause, in which others may do the same."""
    left = int(stock.read_text())
    pause()
    if left == 0:
        return False
    stock.write_text(str(left - 1))
    return True


def buy_at_once(stock: Path, everybody, told):
    told.put(buy(stock, everybody.wait))


def buy_in_turn(stock: Path, mutex, told):
    with mutex:
        bought = buy(stock, lambda: time.sleep(0.02))
    told.put(bought)


def sell(stock: Path, how, shared):
    """Let ten processes buy, and tell what came of it."""
    stock.write_text(str(TICKETS))
    told = Queue()
    buyers = [Process(target=how, args=(stock, shared, told)) for _ in range(BUYERS)]
    for buyer in buyers:
        buyer.start()
    sold = sum(told.get() for _ in buyers)
    for buyer in buyers:
        buyer.join()
    print(f"  {sold} of {BUYERS} buyers have one of the {TICKETS} tickets; on the shelf: {stock.read_text()}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print("without a lock")
        sell(Path(folder) / "stock", buy_at_once, Barrier(BUYERS))
        print("with a lock")
        sell(Path(folder) / "stock", buy_in_turn, Lock())
