"""Machines whose every event is in the journal before it happens, so that a restart finds them as they were.

Rules of this module:

* Written, then applied, then acted upon, in one order: that of the log. Replaying the log gives the same machine, since
  a machine is a deterministic function of its events. What an event orders is not ordered again by its replay.
* Events of one turn of the loop share a commit. The first one of a turn is committed on the spot: that costs less than
  waiting for company that may not come.
* An event that cannot be written has not happened; whoever wanted it is told why.
* From time to time the whole machine is written down, and the log begins anew: in a lull, or without one when the log
  is twice as long. That takes the loop some 4 us an object and 0.3 us a KiB, and the journal's thread the rest.

The recorded clock gives seconds that never go back. It goes on through restarts of the agent (also while there is none)
and through sleep of the host (CLOCK_BOOTTIME); after another boot of the host it goes on from the last recorded event.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar, TypeVarTuple

from holdfast.errors import ClosedError, StorageError
from holdfast.store.writes import AppendLog, KeepSnapshot, SetMeta

if TYPE_CHECKING:
    from holdfast.store.interface import Done, JobJournal

_CLOCK: Final = "recorded_clock"
SNAPSHOT_EVENTS: Final = 10_000
"""Events after which a snapshot is kept: reading them at a start takes a fifth of a second."""
SNAPSHOT_BYTES: Final = 8 * 1024 * 1024
"""The same in bytes; never less than the last snapshot had, so that at most half of what is written is snapshots."""
LULL_S: Final = 0.05
"""Nothing was recorded for so long."""

_E = TypeVar("_E")
_E_co = TypeVar("_E_co", covariant=True)
_Ts = TypeVarTuple("_Ts")
OnRefused = Callable[[StorageError], None]


class EventFailed(StorageError):
    """It was written, and the machine could make nothing of it: a mistake of ours."""


class Machine(Protocol[_E_co]):
    """Pure and deterministic: the same events in, the same state and effects out."""

    def apply(self, event: bytes, now: float) -> Sequence[_E_co]:
        """Let this happen; what is to be done about it. ``now``: recorded clock, never less than before."""

    def snapshot(self) -> bytes:
        """All of it."""

    def restore(self, snapshot: bytes) -> None:
        """Be what ``snapshot`` was taken of; called before the first event."""


class RecordedClock:
    """See the rules above.

    Args:
        journal: Where its offset is kept, and where the last recorded event is found.
        boottime: Seconds since the host's boot, including sleep.

    Attributes:
        rebooted: The host was started again since the last event; told to every agent until one calls ``keep``.
    """

    def __init__(self, journal: JobJournal, boottime: Callable[[], float] | None = None) -> None:
        self._boottime = boottime or _boottime
        until = journal.recorded_until()
        self._last = until or 0.0
        boot_id, _, offset = str(journal.meta(_CLOCK) or "").partition(" ")
        self._journal = journal
        self.rebooted = until is not None and boot_id != journal.boot_id
        same_boot = boot_id == journal.boot_id
        self._offset = float(offset) if same_boot else self._last - self._boottime()

    def keep(self) -> None:
        """Every machine has recorded that the host was away, if it was: from now on nobody is told so again."""
        self._journal.submit((SetMeta(_CLOCK, f"{self._journal.boot_id} {self._offset!r}"),))

    def now(self) -> float:
        """Recorded seconds."""
        now = self._boottime() + self._offset
        if now > self._last:
            self._last = now
        return self._last


class _Entry:
    """An event on its way."""

    __slots__ = ("done", "error", "refused", "then", "write")

    def __init__(self, write: AppendLog, refused: OnRefused, then: Callable[[], None] | None) -> None:
        self.write = write
        self.refused = refused
        self.then = then
        self.done = False
        self.error: StorageError | None = None


class Recorded(Generic[_E]):
    """One machine and its log. Everything runs on the agent's loop.

    Args:
        name: The machine's, in the journal.
        machine: As new; ``restore`` brings it up to date.
        clock: One for all machines of an agent.
        log: Takes one line for the agent's log.

    Attributes:
        on_effect: Gets what events order, one by one, in order.
        on_settled: Called after some events have happened, or were refused, and everybody was told.
        events: Events since the last snapshot.
    """

    def __init__(
        self,
        name: str,
        machine: Machine[_E],
        journal: JobJournal,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: RecordedClock,
        log: Callable[[str], None],
    ) -> None:
        self.on_effect: Callable[[_E], None] = lambda effect: None
        self.on_settled: Callable[[], None] = lambda: None
        self.events = 0
        self.clock = clock
        self._name = name
        self._machine = machine
        self._journal = journal
        self._loop = loop
        self._log = log
        self._seq = 0  # of the last event that was given a number
        self._applied = 0
        self._bytes = 0
        self._kept_bytes = 0
        self._going: deque[_Entry] = deque()
        self._turn: list[_Entry] = []
        self._hot = False
        self._draining = False
        self._lull: asyncio.TimerHandle | None = None

    def restore(self) -> int:
        """Bring the machine up to date; how many events that took. Nothing of it is ordered again.

        Raises:
            StorageError: the journal cannot be read.
        """
        kept = self._journal.snapshot(self._name)
        if kept is not None:
            self._machine.restore(kept.body)
            self._seq, self._kept_bytes = kept.seq, len(kept.body)
        while rows := self._journal.log(self._name, self._seq):
            for row in rows:
                self._apply(row.event, row.at_s)
                self._seq = row.seq
                self.events += 1
                self._bytes += len(row.event)
        self._applied = self._seq
        return self.events

    def record(
        self, event: bytes, *, power: bool = False, refused: OnRefused, then: Callable[[], None] | None = None
    ) -> None:
        """Let this happen as soon as it is written; then ``on_effect`` gets what it orders.

        Args:
            event: In the machine's own terms.
            power: It is to survive a power failure before it happens. All that is recorded later waits for that.
            refused: Told instead, if it cannot be written: it has not happened.
            then: Called when it has happened and what it orders was told.
        """
        entry = self._next(event, refused, then)
        if power:
            self._turn_over_now()
            self._submit([entry], power=True)
        elif self._hot:
            self._turn.append(entry)
        else:
            self._hot = True
            self._loop.call_soon(self._turn_over)
            self._submit([entry])

    def joined(self, event: bytes, *, refused: OnRefused) -> tuple[AppendLog, Done]:
        """Let this happen together with something that somebody else writes: both are written, or neither.

        Returns:
            What to write with it in one transaction, and who must be told how that went. All that is recorded later
            waits for that.
        """
        self._turn_over_now()
        entry = self._next(event, refused, None)
        return entry.write, partial(self._written, [entry])

    def now(self) -> float:
        """The recorded clock."""
        return self.clock.now()

    def flushed(self, then: Callable[[StorageError | None], None]) -> None:
        """``then`` is told when all that has happened so far survives a power failure, or why it may not."""
        try:
            self._journal.submit((), power=True, done=then)
        except ClosedError as exc:
            then(_closed(exc))

    def keep_snapshot(self) -> None:
        """Write the machine down, and begin the log anew; if nothing has happened since, that is so already."""
        if not self.events:
            return
        body = self._machine.snapshot()
        self.events = self._bytes = 0

        def done(error: StorageError | None) -> None:
            if error is not None:  # the log is still there, and grows until the next try
                self._log(f"no snapshot of {self._name}: {error}")
            else:
                self._kept_bytes = len(body)

        try:
            self._journal.submit((KeepSnapshot(self._name, self._applied, self.clock.now(), body),), done=done)
        except ClosedError:
            pass  # the next agent has the log

    # --- inside ------------------------------------------------------------------------------------------------------

    def _next(self, event: bytes, refused: OnRefused, then: Callable[[], None] | None) -> _Entry:
        self._seq += 1
        entry = _Entry(AppendLog(self._name, self._seq, self.clock.now(), event), refused, then)
        self._going.append(entry)
        return entry

    def _turn_over(self) -> None:
        self._hot = bool(self._turn)
        if self._hot:
            self._loop.call_soon(self._turn_over)
            self._turn_over_now()

    def _turn_over_now(self) -> None:
        """Submit what has gathered in this turn: the journal must get all events in order."""
        turn, self._turn = self._turn, []
        if turn:
            self._submit(turn)

    def _submit(self, entries: list[_Entry], *, power: bool = False) -> None:
        writes = [entry.write for entry in entries]
        done = partial(self._written, entries)
        try:
            self._journal.submit(writes, power=power, at_once=True, done=done)
        except ClosedError as exc:
            done(_closed(exc))

    def _written(self, entries: list[_Entry], error: StorageError | None) -> None:
        for entry in entries:
            entry.done, entry.error = True, error
        self._drain()

    def _drain(self) -> None:
        """Apply what is written, in order. What an effect records meanwhile comes after it."""
        if self._draining:
            return
        self._draining = True
        try:
            while self._going and self._going[0].done:
                self._happen(self._going.popleft())
        finally:
            self._draining = False
        self.on_settled()

    def _happen(self, entry: _Entry) -> None:
        write = entry.write
        if entry.error is not None:
            self._safely(entry.refused, entry.error)
            return
        effects = self._apply(write.event, write.at_s)
        self._applied = write.seq
        self.events += 1
        self._bytes += len(write.event)
        if effects is None:
            self._safely(entry.refused, EventFailed("a mistake of the agent; its log says more", path=self._name))
        else:
            for effect in effects:
                self._safely(self.on_effect, effect)
            if entry.then is not None:
                self._safely(entry.then)
        if self._is_long(2):
            self.keep_snapshot()
        elif self._lull is None and self._is_long():
            self._lull = self._loop.call_later(LULL_S, self._in_a_lull, self._seq)

    def _is_long(self, times: int = 1) -> bool:
        """Whether the log is (so many times) longer than it has to be."""
        return self.events >= times * SNAPSHOT_EVENTS or self._bytes >= times * max(SNAPSHOT_BYTES, self._kept_bytes)

    def _in_a_lull(self, seq: int) -> None:
        self._lull = None
        if self._is_long():
            if self._seq == seq:
                self.keep_snapshot()
            else:
                self._lull = self._loop.call_later(LULL_S, self._in_a_lull, self._seq)

    def _apply(self, event: bytes, at_s: float) -> Sequence[_E] | None:
        """What it orders; None: the machine has failed, and does so again at the same event of a replay."""
        try:
            return self._machine.apply(event, at_s)
        except Exception:
            self._log(f"{self._name}: event {event[:200]!r} failed\n{traceback.format_exc()}")
            return None

    def _safely(self, call: Callable[[*_Ts], None], *about: *_Ts) -> None:
        """A mistake in one consequence must not cost the others theirs."""
        try:
            call(*about)
        except Exception:
            self._log(f"{self._name}: a consequence failed\n{traceback.format_exc()}")


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _closed(exc: ClosedError) -> StorageError:
    error = StorageError("the journal is closed", path="")
    error.__cause__ = exc
    return error
