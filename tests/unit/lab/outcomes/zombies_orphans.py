"""Zombies and orphans as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.zombies_orphans.data import Data, Limit, Orphan, State, Zombie
from tests.unit.lab.outcomes.table import Outcomes

ZOMBIE = Zombie(
    states=(State(0.0, "S", "fork"), State(0.1, "Z", "exit"), State(0.2, "Z", "SIGKILL"), State(0.3, "", "wait")),
    memory_kib=0,
    memory_kib_alive=12_000,
    state_after_kill="Z",
    state_after_wait=None,
    exit_code=5,
    left_if_ignored=None,
    left_after_parent=None,
)
ORPHAN = Orphan(
    parent=20,
    adopter=10,
    parent_after=10,
    parent_in_namespace=1,
    lock_held=True,
    state_unburied="Z",
    state_buried=None,
)
TRUE = Data(
    zombie=ZOMBIE,
    orphan=ORPHAN,
    forks=(75, 150, 300),
    piled=(75, 150, 300),
    piled_after_parent=0,
    starts=30,
    piled_by_multiprocessing=1,
    kernel_kib=(-3.0, 8.0, 19.0),
    records_kib=10.0,
    memory_mib=24_000.0,
    slots=32_768,
    limits=(("pid_max", 32_768), ("RLIMIT_NPROC", 96_000)),
    limit=Limit(50, 50, "Resource temporarily unavailable", 23_000.0),
    holdfast_left=0,
    holdfast_tree="gone",
)

OUTCOMES: Outcomes = {
    "n061": [
        (TRUE, "refined"),
        (replace(TRUE, orphan=replace(ORPHAN, parent_in_namespace=None)), "refined"),
        (replace(TRUE, orphan=replace(ORPHAN, parent_after=1, lock_held=False, state_unburied=None)), "confirmed"),
        (replace(TRUE, orphan=replace(ORPHAN, parent_after=None)), "refuted"),
    ],
    "n062": [
        (TRUE, "confirmed"),
        (replace(TRUE, zombie=replace(ZOMBIE, state_after_wait="Z")), "refuted"),
        (replace(TRUE, zombie=replace(ZOMBIE, states=())), "refuted"),
    ],
    "n063": [
        (TRUE, "refined"),
        (replace(TRUE, piled=(75, 1, 1)), "refuted"),
        (replace(TRUE, piled_by_multiprocessing=30, piled_after_parent=300), "confirmed"),
    ],
    "n064": [
        (TRUE, "refuted"),
        (replace(TRUE, limit=Limit(50, 150, "", 23_000.0)), "refined"),
        (replace(TRUE, records_kib=None), "refuted"),
        (replace(TRUE, slots=4_000_000), "confirmed"),
    ],
}
