"""Runs each experiment in a program of its own: what is patched stays there."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from holdfast.lab.cases.coroutines import serving, stopping
from holdfast.lab.cases.coroutines.data import Cost, Data, Ending, Family, Kind, Stop, Worked
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

T = TypeVar("T")

TASKS = 6
BACKLOGS: Final[Mapping[Kind, int]] = {"as-in-the-notes": 5, "repaired": 1024}
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
    servers = BACKLOGS if has_gevent else {}
    rounds, limit_s = lab.pick(quick=(3, 2.0), full=(20, 10.0))
    return Data(
        tasks=TASKS,
        worked=worked,
        costs=costs,
        stops=stops,
        patched=patched,
        endings=tuple(endings),
        family=_told(lab, Family, "ending.py", "family") if has_gevent else None,
        served=tuple(serving.serve(lab, kind, rounds, limit_s) for kind in servers),
        bursts=tuple(serving.burst(lab, kind, backlog) for kind, backlog in servers.items()),
        impolite=tuple(serving.be_impolite(lab, kind) for kind in servers),
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
