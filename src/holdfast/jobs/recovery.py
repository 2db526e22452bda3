"""What to do with each job that an agent finds when it comes back: a table from findings to actions, and nothing else.

Rules of this room:

* Nothing that has a CLAIM, STARTED, MAIN or EXIT record is started again, with one exception: a CLAIM alone, whose
  keeper lived all along and inherited nothing. A command's process cannot exist without being inherited by it.
* An EXIT record is the truth, whoever is alive.
* A record that fails its checksum proves nothing, so nothing is started because of it.
* After a reboot only a job whose records were flushed before the act (``power``) may still be started.

The first rule that fits decides; the last ones fit everything (docs/spec/recovery.md is drawn from the table).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec

KeeperSays = Literal["unknown", "adopted", "nothing_inherited", "gone"]
RowIs = Literal["none", "unfinished", "done"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of one job (of its newest attempt) at recovery.

    Attributes:
        row: The journal's row. ``none``: records or files of a job that the journal does not know.
        claim: The CLAIM slot holds this attempt.
        started: The STARTED slot does, or the journal says that it ran.
        main: The MAIN slot does: the wait status of the main process is known.
        exit: The EXIT slot does.
        damaged: A slot fails its checksum.
        shim_alive: The lock on the shim's control file is held.
        keeper: What the keeper says of a dead shim's tree. ``unknown``: it is alive and has not said yet.
        tree_alive: A process with the recorded pid and start time (or of the job's session) is there.
        same_boot: The host has not been restarted since the job was accepted.
        power: Its records were flushed before each act.
    """

    row: RowIs = "unfinished"
    claim: bool = False
    started: bool = False
    main: bool = False
    exit: bool = False
    damaged: bool = False
    shim_alive: bool = False
    keeper: KeeperSays = "unknown"
    tree_alive: bool = False
    same_boot: bool = True
    power: bool = False


class Action(StrEnum):
    """What the agent does; the stimulus for the job's machine stands beside it."""

    FORGET = "forget"  # none: tell the shim to forget it, remove what is left of it
    QUARANTINE = "quarantine"  # none: move its files aside and report them
    TAKE_RESULT = "take result"  # Exited, as recorded
    ATTACH = "attach"  # Attached; if the shim turns out to be idle: NothingInherited
    AWAIT_KEEPER = "await keeper"  # Attached(adopted=True), or nothing until the keeper says
    REQUEUE = "requeue"  # NothingInherited: the same attempt, never begun
    START_AGAIN = "start again"  # NothingInherited: the next attempt
    TAKE_MAIN = "take main"  # Exited, with the status of the MAIN record and the agent as supervisor
    WATCH_PID = "watch pid"  # Attached(adopted=True); its end by pidfd: the status if the kernel tells, else Lost
    LOST_SUPERVISOR = "lost (supervisor)"  # Lost("supervisor")
    LOST_HOST_RESTART = "lost (host restart)"  # Lost("host_restart")
    DAMAGED = "damaged"  # FoundDamaged


STARTS: Final = frozenset((Action.REQUEUE, Action.START_AGAIN))
"""The actions after which a command may be executed."""


class Rule(msgspec.Struct, frozen=True):
    """Fits a finding that has all the values of ``when``."""

    action: Action
    when: dict[str, bool | str]
    why: str

    def fits(self, finding: Finding) -> bool:
        """Whether all conditions hold."""
        return all(getattr(finding, name) == value for name, value in self.when.items())


RULES: Final[tuple[Rule, ...]] = (
    Rule(Action.QUARANTINE, {"row": "none"}, "the journal is the only truth about jobs"),
    Rule(Action.FORGET, {"row": "done"}, "it was recorded before the agent went; only the tidying is left"),
    Rule(Action.DAMAGED, {"damaged": True, "same_boot": False}, "nothing of it can be alive to tell more"),
    Rule(Action.ATTACH, {"damaged": True, "shim_alive": True}, "the shim knows more than its file"),
    Rule(Action.AWAIT_KEEPER, {"damaged": True, "keeper": "adopted"}, "the keeper knows more than the file"),
    Rule(Action.DAMAGED, {"damaged": True}, "nothing is concluded from a broken record"),
    Rule(Action.TAKE_RESULT, {"exit": True}, "what is recorded is true, whoever is alive"),
    Rule(Action.LOST_HOST_RESTART, {"same_boot": False, "main": True}, "the rest of its tree was cut off"),
    Rule(Action.LOST_HOST_RESTART, {"same_boot": False, "started": True}, "it ran when the host went down"),
    Rule(Action.LOST_HOST_RESTART, {"same_boot": False, "claim": True}, "it may have run when the host went down"),
    Rule(Action.REQUEUE, {"same_boot": False, "power": True}, "no flushed CLAIM: it was never begun"),
    Rule(Action.LOST_HOST_RESTART, {"same_boot": False}, "records were not flushed: a missing CLAIM proves nothing"),
    Rule(Action.ATTACH, {"shim_alive": True}, "also without a CLAIM: the order may lie in its socket"),
    Rule(Action.AWAIT_KEEPER, {"keeper": "adopted"}, "it supervises on and will record EXIT"),
    Rule(Action.AWAIT_KEEPER, {"keeper": "unknown", "main": True}, "it will finish it from the MAIN record"),
    Rule(Action.TAKE_MAIN, {"main": True}, "the status was recorded before the process was reaped"),
    Rule(Action.AWAIT_KEEPER, {"keeper": "unknown", "started": True}, "it has not said yet what it inherited"),
    Rule(Action.AWAIT_KEEPER, {"keeper": "unknown", "claim": True}, "it has not said yet what it inherited"),
    Rule(Action.WATCH_PID, {"started": True, "tree_alive": True}, "nobody supervises it; the kernel may tell its end"),
    Rule(Action.LOST_SUPERVISOR, {"started": True}, "it ended unseen"),
    Rule(Action.LOST_SUPERVISOR, {"tree_alive": True}, "it runs, and nobody knows since when"),
    Rule(Action.START_AGAIN, {"claim": True, "keeper": "nothing_inherited"}, "no process came of the claim"),
    Rule(Action.LOST_SUPERVISOR, {"claim": True}, "shim and keeper died together around the start"),
    Rule(Action.REQUEUE, {}, "never begun"),
)


def decide(finding: Finding) -> Action:
    """The action for a finding: that of the first rule that fits."""
    for rule in RULES:
        if rule.fits(finding):
            return rule.action
    raise AssertionError("the last rule fits everything")
