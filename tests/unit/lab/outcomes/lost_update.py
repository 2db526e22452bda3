"""Lost updates as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.lost_update.data import Data, Round, Step
from tests.unit.lab.outcomes.table import Outcomes

TRUE = Data(
    threads=100,
    pause_s=0.005,
    unlocked=(Round(99, 0.11),) * 3,
    locked=(Round(0, 0.55),) * 3,
    unlocked_short=(Round(97, 0.02),) * 3,
    locked_late=(Round(0, 0.02),) * 3,
    holdfast=(Round(0, 0.05),) * 3,
    steps=(Step(0.0, 0.1, 99), Step(0.001, 0.101, 99)),
    increments=1000,
    increments_missing=0,
    switch_interval_s=1e-6,
)

OUTCOMES: Outcomes = {
    "n090": [
        (TRUE, "confirmed"),
        (replace(TRUE, unlocked=(Round(99, 0.11), Round(97, 0.2))), "refined"),
        (replace(TRUE, unlocked=(Round(99, 1.4),)), "refined"),
        (replace(TRUE, unlocked=(Round(0, 0.11),)), "refuted"),
    ],
    "n091": [
        (TRUE, "refined"),
        (replace(TRUE, locked_late=(Round(0, 0.5),)), "confirmed"),
        (replace(TRUE, locked=(Round(3, 0.55),)), "refuted"),
    ],
}
