"""Bakes and eats: one after the other, with a counter between, with a full one, and with a guest that dies."""

from __future__ import annotations

import os
import queue
import re
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any, Final

from holdfast.client.sync import Host, connect
from holdfast.lab.cases.producer_consumer.data import Colour, Data, Death, Shop
from holdfast.lab.workbench import Lab

BUNS: Final = 12
GUESTS: Final = 2
WATCHED_S: Final = 0.3
VISIBLE_S: Final = 0.5
"""Who has taken something and is not heard of for so long has lost it."""
_FORK: Any = get_context("fork")
_SEQUENCE: Final = re.compile(r"\x1b\[(\d*)m")
_START: Final = re.compile(r"(?=\x1b\[4)")
_STRAY: Final = re.compile(r"(?<!\x1b)\[\d+m")


def observe(lab: Lab) -> Data:
    """The notes' program, four shops, an early end, colours and a death."""
    step_s = lab.pick(quick=0.02, full=0.05)
    program, repaired = lab.program("p14"), lab.program("p14", "repaired")
    with lab.agent() as host:
        ours = _death_at_holdfast(host)
    return Data(
        program=program,
        repaired=repaired,
        buns=BUNS,
        step_s=step_s,
        shops=(
            _one_after_the_other(step_s),
            _shop("a counter without end, slow guest", 0, step_s, slow=3.0),
            _shop("a counter for three, slow guest", 3, step_s, slow=3.0),
            _shop("a counter for three, as fast", 3, step_s, slow=1.0),
        ),
        guests=GUESTS,
        guests_left=_left_by_one_none(),
        colour=colour(program.out),
        colour_repaired=colour(repaired.out),
        deaths=(_death_at_a_queue(), ours),
    )


def _one_after_the_other(step_s: float) -> Shop:
    began = time.monotonic()
    for _ in range(BUNS):
        time.sleep(step_s)
        time.sleep(step_s)
    return Shop("no counter: bake, eat, bake, eat", time.monotonic() - began, 0, 0.0)


def _shop(way: str, room: int, step_s: float, *, slow: float) -> Shop:
    """A baker and a guest who needs ``slow`` times as long for a bun."""
    counter: queue.Queue[int | None] = queue.Queue(room)
    most, waited = 0, 0.0

    def eat() -> None:
        while counter.get() is not None:
            time.sleep(step_s * slow)

    guest = threading.Thread(target=eat)
    guest.start()
    began = time.monotonic()
    for number in range(BUNS):
        time.sleep(step_s)
        asked = time.monotonic()
        counter.put(number)
        waited += time.monotonic() - asked
        most = max(most, counter.qsize())
    counter.put(None)
    guest.join()
    return Shop(way, time.monotonic() - began, most, waited)


def _left_by_one_none() -> int:
    counter = _FORK.Queue()
    guests = [_FORK.Process(target=_eat_until_none, args=(counter,)) for _ in range(GUESTS)]
    for guest in guests:
        guest.start()
    counter.put(None)
    until = time.monotonic() + 10
    while sum(guest.is_alive() for guest in guests) == GUESTS and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(WATCHED_S)
    left = [guest.is_alive() for guest in guests].count(True)
    for guest in guests:
        guest.kill()
        guest.join()
    counter.close()
    return left


def _eat_until_none(counter: Any) -> None:
    while counter.get() is not None:
        pass


def colour(lines: Sequence[str]) -> Colour:
    """Follow the escape sequences as a terminal does (ECMA-48, "SGR")."""
    # Two processes write: now and then two lines grow together, and an empty one follows.
    told = [piece for line in lines if line != "main" for piece in _START.split(line) if piece]
    coloured = plain = stray = 0
    for line in told:
        codes = _SEQUENCE.findall(line)
        coloured += line.startswith("\x1b[4")
        plain += bool(codes) and codes[-1] in ("", "0")
        stray += bool(_STRAY.search(line))
    return Colour(len(told), coloured, plain, stray)


def _death_at_a_queue() -> Death:
    """A guest takes a bun and is killed; another one eats what comes after."""
    counter, eaten = _FORK.Queue(), _FORK.Queue()
    taken, told = os.pipe()
    victim = _FORK.Process(target=_take_and_wait, args=(counter, told))
    victim.start()
    counter.put(0)
    os.read(taken, 1)
    victim.kill()
    victim.join()
    for number in range(1, BUNS):
        counter.put(number)
    counter.put(None)
    guest = _FORK.Process(target=_eat_and_tell, args=(counter, eaten))
    guest.start()
    guest.join()
    found = set()
    while (bun := eaten.get(timeout=10)) is not None:
        found.add(bun)
    for end in (taken, told):
        os.close(end)
    counter.close()
    eaten.close()
    return Death("multiprocessing.Queue", BUNS, len(found))


def _take_and_wait(counter: Any, told: int) -> None:
    counter.get()
    os.write(told, b"x")
    signal.pause()


def _eat_and_tell(counter: Any, eaten: Any) -> None:
    while (bun := counter.get()) is not None:
        eaten.put(bun)
    eaten.put(None)


def _death_at_holdfast(host: Host) -> Death:
    """The same with a durable queue: a bun is gone only when its taker says so."""
    counter = host.queue("counter", durable=True, visible=VISIBLE_S)
    taken, told = os.pipe()
    for number in range(BUNS):
        counter.put(number)
    victim = os.fork()
    if victim == 0:
        try:
            other = connect(host.address)
            other.queue("counter", durable=True, visible=VISIBLE_S).take()
            os.write(told, b"x")
            signal.pause()
        finally:
            os._exit(0)
    os.read(taken, 1)
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    found: set[object] = set()
    try:
        while len(found) < BUNS:
            item = counter.take(timeout=10)
            found.add(item.value)
            item.ack()
    except queue.Empty:
        pass
    for end in (taken, told):
        os.close(end)
    return Death("Holdfast, durable", BUNS, len(found))
