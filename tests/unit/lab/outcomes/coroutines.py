"""Coroutines as they are, and as they might be."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from holdfast.lab.blocks import once
from holdfast.lab.cases.coroutines.data import (
    Burst,
    Cost,
    Data,
    Ending,
    Family,
    Impolite,
    Means,
    Patched,
    Served,
    Stop,
    Worked,
)
from holdfast.lab.seen import Line
from tests.unit.lab.outcomes.table import Outcomes


def worked(means: Means, waiting_s: float, computing_s: float) -> Worked:
    """Tasks by one means."""
    return Worked(means, once(waiting_s, "s"), once(computing_s, "s"), computing_s)


def cost(name: str, us: float) -> Cost:
    """A hand-over."""
    inside = name not in ("threads", "processes")
    return Cost(name, inside, once(us, "µs"), 0.0 if inside else 1.0)


def stop(
    loop: Literal["asyncio", "gevent", "gevent, patched"], call: str, *, gives_way: bool, still: bool | None = None
) -> Stop:
    """A ticker beside a call; it stands still, as it should, beside what the loop does not know of."""
    still = not gives_way if still is None else still
    ticks = tuple(number / 100 for number in range(100) if not (still and 10 < number < 90))
    return Stop(loop, call, gives_way, 0.1, 0.9, ticks, 0.01)


TURNS = worked("turn by turn", 0.6, 0.1)
SWITCHED = (worked("asyncio", 0.1, 0.1), worked("gevent", 0.1, 0.11))
COSTS = (cost("greenlets", 0.2), cost("asyncio.sleep(0)", 2.0), cost("threads", 6.0), cost("processes", 4.0))
STOPS = (
    stop("asyncio", "asyncio.sleep", gives_way=True),
    stop("asyncio", "time.sleep", gives_way=False),
    stop("gevent", "gevent.sleep", gives_way=True),
    stop("gevent", "time.sleep", gives_way=False),
    stop("gevent, patched", "time.sleep", gives_way=True),
)
PATCHED = Patched(
    replaced=(("socket", 11), ("time", 1), ("json", 0)),
    same_code=True,
    early_name_is_old=True,
    early_name=stop("gevent, patched", "sleep, imported before", gives_way=False),
    written_above=STOPS[-1],
)
ENDINGS = (
    Ending("greenlet", began=False, finished=False),
    Ending("greenlet, joined", began=True, finished=True),
    Ending("greenlet, another one joined", began=True, finished=False),
    Ending("thread", began=True, finished=True),
)
ROOMY = Served(
    kind="repaired",
    clients=500,
    rounds=3,
    answers=1500,
    wrong=0,
    complete=500,
    ended=True,
    overflows=0,
    seconds=0.5,
    lines=(Line(0.1, "THREAD-1 (CHAT) IS ON THE LINE"),),
    curve=((0.1, 1), (0.4, 500)),
)
SERVED = replace(ROOMY, kind="as-in-the-notes", answers=900, complete=300, ended=False, overflows=1500, seconds=2.0)
ALL_IN = Burst("repaired", backlog=1024, knocked=500, let_in=500, answered=500, threads=1, processes=1)
FEW_IN = replace(ALL_IN, kind="as-in-the-notes", backlog=5, let_in=6, answered=6)
FAMILY = Family(greenlets=100, pids=1, threads=1, children=0)
IMPOLITE = (
    Impolite("as-in-the-notes", sent_bytes=1000, returned_bytes=900, vanished=10, escaped=10, serves=True),
    Impolite("repaired", sent_bytes=1000, returned_bytes=1000, vanished=10, escaped=0, serves=True),
)
TRUE = Data(6, (TURNS, *SWITCHED), COSTS, STOPS, PATCHED, ENDINGS, FAMILY, (SERVED, ROOMY), (FEW_IN, ALL_IN), IMPOLITE)
BARE = replace(
    TRUE,
    worked=(TURNS, SWITCHED[0]),
    stops=STOPS[:2],
    patched=None,
    endings=ENDINGS[3:],
    family=None,
    served=(),
    bursts=(),
    impolite=(),
)
"""Without gevent."""

OUTCOMES: Outcomes = {
    "n118": [
        (TRUE, "confirmed"),
        (BARE, "confirmed"),
        (replace(TRUE, worked=(TURNS, worked("asyncio", 0.1, 0.02))), "refined"),
        (replace(TRUE, worked=(TURNS, worked("asyncio", 0.6, 0.1))), "refuted"),
    ],
    "n119": [
        (TRUE, "refined"),
        (replace(TRUE, costs=(cost("greenlets", 0.2), cost("threads", 6.0))), "confirmed"),
        (replace(TRUE, costs=(cost("greenlets", 2.0), cost("threads", 6.0))), "refuted"),
    ],
    "n120": [
        (TRUE, "confirmed"),
        (BARE, "confirmed"),
        (replace(TRUE, stops=(*STOPS, stop("asyncio", "read", gives_way=False, still=False))), "refined"),
        (replace(TRUE, stops=(stop("asyncio", "read", gives_way=False, still=False),)), "refuted"),
    ],
    "n121": [
        (TRUE, "refuted"),
        (BARE, "refined"),
        (replace(TRUE, patched=replace(PATCHED, early_name_is_old=False)), "refined"),
        (replace(TRUE, patched=replace(PATCHED, replaced=(("time", 0),), same_code=False)), "confirmed"),
    ],
    "n122": [
        (TRUE, "refined"),
        (BARE, "refined"),
        (replace(TRUE, bursts=(replace(ALL_IN, kind="as-in-the-notes"), ALL_IN)), "confirmed"),
        (replace(TRUE, bursts=(replace(ALL_IN, kind="as-in-the-notes", threads=501), ALL_IN)), "refined"),
        (replace(TRUE, served=(replace(SERVED, wrong=3), ROOMY)), "refuted"),
        (replace(TRUE, served=(SERVED, replace(ROOMY, answers=1499, complete=499))), "refuted"),
        (replace(TRUE, served=(SERVED, replace(ROOMY, answers=900, complete=300, ended=False))), "refined"),
        (replace(TRUE, bursts=(FEW_IN, replace(ALL_IN, answered=499))), "refuted"),
    ],
    "n123": [
        (TRUE, "refuted"),
        (BARE, "refined"),
        (replace(TRUE, family=replace(FAMILY, pids=101, children=100)), "refined"),
        (
            replace(
                TRUE,
                family=replace(FAMILY, pids=101, children=100),
                endings=tuple(replace(each, began=True, finished=True) for each in ENDINGS),
            ),
            "confirmed",
        ),
    ],
}
