"""The verdict on a dead shim's job, as a table of what is recorded and what was inherited."""

from __future__ import annotations

import pytest

from holdfast.keeper.adoption import ADOPT, DRAIN, NOT_RUN, NOTHING, WAIT, judge
from holdfast.keeper.tree import Process
from holdfast.store import control

SHIM, MAIN = 100, 101
CLAIM = control.Claim("job", 1, SHIM)
STARTED = control.Started("job", 1, MAIN)
ENDED = control.Main("job", 1, 0)
EXIT = control.Exit("job", 1, 0, control.EXITED)
BAD = control.Damaged(0, "checksum does not match")


def process(
    pid: int, *, state: str = "S", session: int = SHIM, group: int | None = None, executed: bool = True
) -> Process:
    return Process(pid, state, 1, group or pid, session, 0 if executed else 0x40, pid)


ALIVE, ZOMBIE = process(MAIN), process(MAIN, state="Z")
YOUNGER, DAEMON = process(150), process(90, session=90)
UNBORN, STILLBORN = process(MAIN, executed=False), process(MAIN, state="Z", executed=False)


@pytest.mark.parametrize(
    ("slots", "inherited", "verdict"),
    [
        (control.Slots(), [], (NOTHING, 0)),
        (control.Slots(), [ALIVE], (DRAIN, 0)),
        (control.Slots(BAD), [ALIVE], (DRAIN, 0)),
        (control.Slots(BAD, STARTED), [], (NOTHING, 0)),
        (control.Slots(CLAIM), [], (NOTHING, 0)),
        (control.Slots(CLAIM), [ALIVE], (ADOPT, MAIN)),
        (control.Slots(CLAIM), [ZOMBIE], (ADOPT, MAIN)),
        (control.Slots(CLAIM), [YOUNGER, ZOMBIE], (ADOPT, MAIN)),
        (control.Slots(CLAIM), [DAEMON, ALIVE], (ADOPT, MAIN)),
        (control.Slots(CLAIM), [UNBORN], (WAIT, MAIN)),
        (control.Slots(CLAIM), [STILLBORN], (NOT_RUN, MAIN)),
        (control.Slots(CLAIM, STARTED), [], (NOTHING, MAIN)),
        (control.Slots(CLAIM, STARTED), [ALIVE, YOUNGER], (ADOPT, MAIN)),
        (control.Slots(CLAIM, STARTED), [YOUNGER], (ADOPT, MAIN)),
        (control.Slots(CLAIM, STARTED, ENDED), [], (ADOPT, MAIN)),
        (control.Slots(CLAIM, STARTED, ENDED), [YOUNGER], (ADOPT, MAIN)),
        (control.Slots(CLAIM, STARTED, ENDED, EXIT), [], (NOTHING, 0)),
        (control.Slots(CLAIM, STARTED, ENDED, EXIT), [YOUNGER], (DRAIN, 0)),
        (control.Slots(CLAIM, STARTED, ENDED, BAD), [YOUNGER], (DRAIN, 0)),
    ],
)
def test_judge(slots: control.Slots, inherited: list[Process], verdict: tuple[int, int]) -> None:
    assert judge(slots, inherited) == verdict
