"""Programs whose last line is over while something still has to run, and a hundred greenlets seen from outside.

``python ending.py alone|joined|another|thread|family``
"""

from __future__ import annotations

import os
import sys
import threading
import time

import msgspec

from holdfast.lab.cases.coroutines.data import Family
from holdfast.lab.proc import descendants

LONG_S = 0.3
GREENLETS = 100


def alone() -> None:
    """A greenlet, and nobody waits for it."""
    import gevent

    gevent.spawn(_slow, gevent.sleep)


def joined() -> None:
    """A greenlet that is waited for."""
    import gevent

    gevent.spawn(_slow, gevent.sleep).join()


def another() -> None:
    """Two, and the one that ends first is waited for: a server that stops while clients are there."""
    import gevent

    gevent.spawn(_slow, gevent.sleep)
    gevent.spawn(gevent.sleep, LONG_S / 10).join()


def thread() -> None:
    """A thread, and nobody waits for it in so many words."""
    threading.Thread(target=_slow, args=(time.sleep,)).start()


def _slow(sleep: object) -> None:
    print("began", flush=True)
    assert callable(sleep)
    sleep(LONG_S)
    print("finished", flush=True)


def count_family() -> None:
    """Where greenlets run."""
    import gevent

    pids: set[int] = set()

    def look() -> None:
        pids.add(os.getpid())
        gevent.sleep(LONG_S)

    greenlets = [gevent.spawn(look) for _ in range(GREENLETS)]
    gevent.sleep(LONG_S / 2)
    threads = len(os.listdir("/proc/self/task"))
    told = Family(GREENLETS, len(pids), threads, len(descendants(os.getpid())))
    gevent.killall(greenlets)
    print(msgspec.json.encode(told).decode())


if __name__ == "__main__":
    {"alone": alone, "joined": joined, "another": another, "thread": thread, "family": count_family}[sys.argv[1]]()
