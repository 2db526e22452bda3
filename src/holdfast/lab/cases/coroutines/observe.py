"""Runs each experiment in a program of its own: what is patched stays there."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from holdfast.lab.cases.coroutines import stopping
from holdfast.lab.cases.coroutines.data import Cost, Data, Ending, Family, Served, Stop, Worked
from holdfast.lab.kernel_tables import counters
from holdfast.lab.measure import usage
from holdfast.lab.seen import Line
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

T = TypeVar("T")

TASKS = 6
CLIENTS = 500
BACKLOG = 5
ROOMY_BACKLOG = 1024
PATIENCE_S = 15.0
ANSWER: Final = re.compile(r"(THREAD-\d+)(?: \(CHAT\))? IS ON THE LINE")
"""One line may hold several or none: `print` writes the text and its end apart, and another thread comes in between."""
HERE: Final = Path(__file__).parent
ENDINGS: Final = (
    ("greenlet", "alone"),
    ("greenlet, joined", "joined"),
    ("greenlet, another one joined", "another"),
    ("thread", "thread"),
)


def observe(lab: Lab) -> Data:
    """What coroutines bring, what they cost, what stops them, and the notes' server with its clients."""
    has_gevent = find_spec("gevent") is not None
    if not has_gevent:
        lab.lacks("gevent", Text("coroutines of asyncio alone were tried", "只试了 asyncio 的协程"))
    lab.say("waiting and computing")
    worked = _told(lab, tuple[Worked, ...], "working.py", str(TASKS), str(lab.pick(quick=3, full=9)))
    costs = _told(lab, tuple[Cost, ...], "switching.py", str(lab.pick(quick=5, full=15)))
    lab.say("one that blocks")
    stops = _told(lab, tuple[Stop, ...], "stopping.py", "asyncio")
    patched = None
    if has_gevent:
        stops += _told(lab, tuple[Stop, ...], "stopping.py", "gevent")
        run = _told(lab, stopping.PatchedRun, "stopping.py", "patched")
        stops, patched = stops + run.stops, run.patched
    endings = [_ending(lab, what, name) for what, name in ENDINGS if has_gevent or what == "thread"]
    lab.say("the notes' server and its clients")
    return Data(
        tasks=TASKS,
        worked=worked,
        costs=costs,
        stops=stops,
        patched=patched,
        endings=tuple(endings),
        family=_told(lab, Family, "ending.py", "family") if has_gevent else None,
        served=_serve(lab, "as-in-the-notes", BACKLOG, lab.pick(quick=2.5, full=8.0)) if has_gevent else None,
        roomy=_serve(lab, "repaired", ROOMY_BACKLOG, PATIENCE_S) if has_gevent else None,
    )


def _told(lab: Lab, kind: type[T], script: str, *arguments: str) -> T:
    """What a script of this folder has printed, as JSON.

    Raises:
        RuntimeError: it did not come to its end.
    """
    ran = lab.script(HERE / script, *arguments, limit_s=60)
    if ran.returncode != 0:
        raise RuntimeError("\n".join([f"{script} ended with {ran.returncode}", *ran.out, *ran.err]))
    told: T = msgspec.json.decode(ran.out[-1], type=kind)
    return told


def _ending(lab: Lab, what: Any, name: str) -> Ending:
    out = lab.script(HERE / "ending.py", name).out
    return Ending(what, "began" in out, "finished" in out)


def _serve(lab: Lab, kind: str, backlog: int, limit_s: float) -> Served:
    """The server, then the clients, until all have had an answer or the time is over."""
    with lab.started("p34", kind, "0") as server:
        port = server.await_line("port").text.rpartition(" ")[2]
        before = counters()["ListenOverflows"]
        with lab.started("p35", "as-in-the-notes", port) as clients:
            until = time.monotonic() + limit_s
            names: dict[str, float] = {}
            seen = 0
            while len(names) < CLIENTS and time.monotonic() < until:
                time.sleep(0.1)
                seen += _note(names, clients.lines()[seen:])
            used = usage(server.pid)
        lines = clients.lines()
    firsts = sorted(names.values())
    return Served(
        backlog=backlog,
        overflows=counters()["ListenOverflows"] - before,
        clients=CLIENTS,
        answered=len(names),
        first_s=firsts[0] if firsts else 0.0,
        all_s=firsts[-1] if len(names) >= CLIENTS else None,
        answers=sum(len(ANSWER.findall(line.text)) for line in lines if line.stream == "out"),
        wrong=sum(bool(ANSWER.sub("", line.text)) for line in lines if line.stream == "out"),
        seconds=lines[-1].at_s if lines else 0.0,
        threads=used.threads,
        processes=used.processes,
        lines=lines[:12],
        curve=tuple((at, number) for number, at in enumerate(firsts, 1) if number % 10 == 0 or number == len(firsts)),
    )


def _note(names: dict[str, float], lines: Sequence[Line]) -> int:
    """Note the clients whose first answer is in these lines, and when it came; gives the number of lines."""
    for line in lines:
        if line.stream == "out":
            for name in ANSWER.findall(line.text):
                names.setdefault(name, line.at_s)
    return len(lines)
