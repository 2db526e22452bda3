"""Opens the shop: with the notes' lock, without, and with locks of Holdfast."""

from __future__ import annotations

import json
import sys
import threading
from multiprocessing import get_context
from typing import Any, Final

from holdfast.lab.cases.tickets.data import Data, Mutex, Sale
from holdfast.lab.seen import Ran
from holdfast.lab.swapped import on_holdfast
from holdfast.lab.workbench import Lab

BUYERS: Final = 10
STOCK: Final = 3
WAITED_S: Final = 0.2
_FORK: Any = get_context("fork")

_TWO: Final = """\
import json, os, random, sys, threading, time
import holdfast

PACE = float(os.environ["LAB_PACE"])
host = holdfast.connect("local")
lock = host.lock("shop")

def visit(name):
    time.sleep(1 * PACE)
    with open("stock.json") as file:
        sys.stdout.write(f"{name} sees {json.load(file)['count']}\\n")
    with lock:
        with open("stock.json") as file:
            stock = json.load(file)
        time.sleep(2 * PACE)
        if stock["count"] > 0:
            stock["count"] -= 1
            time.sleep(random.randint(1, 3) * PACE)
            with open("stock.json", "w") as file:
                json.dump(stock, file)
            sys.stdout.write(f"{name} has a ticket\\n")
        else:
            sys.stdout.write(f"{name} comes too late\\n")

buyers = [threading.Thread(target=visit, args=(f"{sys.argv[1]}{number}",)) for number in range(5)]
for buyer in buyers:
    buyer.start()
for buyer in buyers:
    buyer.join()
host.close()
"""


def observe(lab: Lab) -> Data:
    """Five days at the shop, and the lock by itself."""
    sales = [
        _sale(lab, "no lock", lambda: (lab.program("unlocked"),)),
        _sale(lab, "lock", lambda: (lab.program("p09"),)),
        _sale(lab, "lock, by with", lambda: (lab.program("p09", "repaired"),)),
    ]
    with lab.agent():
        sales.append(_sale(lab, "Holdfast's lock and processes", lambda: (on_holdfast(lab, "p09", limit_s=60),)))
        sales.append(_sale(lab, "Holdfast's lock, two programs", lambda: _two_programs(lab)))
    return Data(BUYERS, lab.pace, tuple(sales), _mutex())


def _sale(lab: Lab, way: str, day: Any) -> Sale:
    stock = lab.folder / "stock.json"
    stock.write_text(json.dumps({"count": STOCK}))
    runs = day()
    try:
        left = int(json.loads(stock.read_text())["count"])
    except ValueError:  # two wrote into each other
        left = -1
    return Sale(way, STOCK, left, runs)


def _two_programs(lab: Lab) -> tuple[Ran, ...]:
    """Two programs of five buyers each, at the same time; they share nothing but the agent and the file."""
    path = lab.folder / "two.py"
    path.write_text(_TWO)
    runs: dict[str, Ran] = {}
    programs = [
        threading.Thread(target=lambda name=name: runs.update({name: lab.script(path, name)})) for name in ("a", "b")
    ]
    for program in programs:
        program.start()
    for program in programs:
        program.join()
    return runs["a"], runs["b"]


def _mutex() -> Mutex:
    lock, again = _FORK.Lock(), _FORK.RLock()
    lock.acquire()
    second = not lock.acquire(timeout=WAITED_S)
    other = _FORK.Process(target=lock.release)
    other.start()
    other.join()
    released = lock.acquire(block=False)
    if released:
        lock.release()
    again.acquire()
    rlock_again = again.acquire(block=False)
    return Mutex(second, released, rlock_again, _free_after(_with), _free_after(_plain))


def _with(lock: Any) -> None:
    with lock:
        raise ValueError("no paper left")


def _plain(lock: Any) -> None:
    lock.acquire()
    if sys.argv:  # always: the line below is what an error skips
        raise ValueError("no paper left")
    lock.release()


def _free_after(do: Any) -> bool:
    lock = _FORK.Lock()
    try:
        do(lock)
    except ValueError:
        pass
    return bool(lock.acquire(block=False))
