"""The shared objects of an agent as a recorded machine: its time, its tokens, who is heard of, what survives a reboot.

Rules of this module:

* It decides nothing about an object (``coordination.space``); requests come from ``agent.coordination_desk``.
* A client is heard of by any byte of any of its connections. That is noted in memory and recorded from time to time,
  only for clients that have a session: a renewal a frame would cost a commit a frame.
* No token is given that is not on the disk as used: they are reserved in blocks, and what comes after a reservation
  waits for its flush. A block is large, so that hardly anything ever waits; numbers that are never given cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from holdfast.agent.recorded import OnRefused, Recorded, RecordedClock
from holdfast.coordination.records import (
    AnyRecord,
    Effect,
    LeaseOver,
    Renewed,
    Reserved,
    Restored,
    Tick,
    encode,
)
from holdfast.coordination.space import Space
from holdfast.wire import limits

if TYPE_CHECKING:
    from holdfast.errors import StorageError
    from holdfast.store.interface import JobJournal

NAME: Final = "coordination"
"""This machine in the journal."""
TOKENS: Final = 100_000
"""Tokens of one reservation. When half of them are left the next one begins: one event can grant as many requests as
wait (``core.PENDING``), and those that are on their way when the reservation is made may do so, too."""
AGAIN_S: Final = 1.0
"""After the journal took no event of time, the next one is tried so much later."""
BEAT_S: Final = 0.5
"""So often it is looked who was heard of."""
RENEW_SHARE: Final = 0.15
"""A client that is heard of is recorded as such once in this share of its lease. If the agent is killed, the recorded
lease is at most so much (and a beat) shorter than the client believes; between the two sides lies a fifth of the lease
and half a second (``coordination.leases``)."""


class Shared:
    """The machine, recorded.

    Args:
        journal: Where it is recorded.
        loop: The agent's loop.
        clock: The recorded clock.
        log: Takes one line for the agent's log.

    Attributes:
        space: For looking at; it is changed by ``record`` alone.
        on_effect: Gets what events order, but for leases that are over, which are logged here.
        on_settled: Called when events have happened and all that they order was told.
        listen: Calls ``heard`` for everybody of whom something has come since the last time.
    """

    def __init__(
        self, journal: JobJournal, *, loop: asyncio.AbstractEventLoop, clock: RecordedClock, log: Callable[[str], None]
    ) -> None:
        self.space = Space()
        self.recorded: Recorded[Effect] = Recorded(NAME, self.space, journal, loop=loop, clock=clock, log=log)
        self.on_effect: Callable[[Effect], None] = lambda effect: None
        self.on_settled: Callable[[], None] = lambda: None
        self.listen: Callable[[], None] = lambda: None
        self.counters = {"leases_lost": 0}
        self._loop = loop
        self._log = log
        self._rebooted = clock.rebooted
        self._reserving = False
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._not_before = 0.0
        self._beat: asyncio.TimerHandle | None = None
        self._heard: dict[str, str] = {}
        self._renewed_at: dict[str, float] = {}
        self._ttl_s: dict[str, float] = {}
        self.recorded.on_effect = self._told
        self.recorded.on_settled = self._settled

    def restore(self) -> int:
        """Bring the machine up to date; how many events that took.

        Raises:
            StorageError: the journal cannot be read.
        """
        return self.recorded.restore()

    def start(self) -> None:
        """From now on its time passes. After a reboot of the host nobody has lost anything by it."""
        if self._rebooted:
            self.record(Restored())
        self._settled()

    def close(self) -> None:
        """Its time passes no more."""
        for timer in (self._timer, self._beat):
            if timer is not None:
                timer.cancel()
        self._timer = self._beat = None

    @property
    def is_needed(self) -> bool:
        """Whether there is something that somebody holds, waits for or will come for."""
        counts = self.space.counts
        return bool(counts["held"] or counts["waiting"] or counts["items"])

    @property
    def gauges(self) -> dict[str, int]:
        """How much there is of everything, for status and metrics."""
        counts = self.space.counts
        names = {"held": "leases"}
        return {names.get(name, name): number for name, number in counts.items()}

    def record(
        self,
        record: AnyRecord,
        *,
        power: bool = False,
        refused: OnRefused | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Let this happen; see ``Recorded.record``."""
        self.reserve()
        self.recorded.record(encode(record), power=power, refused=refused or self._not_written, then=then)

    def reserve(self) -> None:
        """Have enough tokens reserved for what is recorded next."""
        space = self.space
        if space.reserved - space.last_token < TOKENS // 2 and not self._reserving:
            self._reserving = True
            event = encode(Reserved(space.last_token + TOKENS))
            self.recorded.record(event, power=True, refused=self._not_reserved, then=self._reserved)

    # --- who is there ------------------------------------------------------------------------------------------------

    def heard(self, instance: str, principal: str) -> None:
        """Something came from this client process."""
        self._heard[instance] = principal

    def renew(
        self, instance: str, principal: str, ttl_s: float, *, refused: OnRefused, then: Callable[[], None]
    ) -> None:
        """A client says that it is there; ``then`` is called when ``space.is_here`` tells the truth about it."""
        if self.space.is_here(instance):
            if ttl_s == self._ttl_s.get(instance) and not self._is_due(instance):
                self._heard[instance] = principal
                then()
                return
            self._ttl_s[instance] = ttl_s
            self._renewed_at[instance] = self._loop.time()
        self.record(Renewed(instance, principal, ttl_s), refused=refused, then=then)

    def _is_due(self, instance: str) -> bool:
        share_s = RENEW_SHARE * self._ttl_s.get(instance, limits.LEASE_S)
        return self._loop.time() - self._renewed_at.get(instance, float("-inf")) >= share_s

    def _look_around(self) -> None:
        """Record who was heard of since the last time, and forget those who are gone."""
        self._beat = None
        self.listen()
        for instance, principal in list(self._heard.items()):
            if not self.space.is_here(instance):
                del self._heard[instance]
            elif self._is_due(instance):
                del self._heard[instance]
                self._renewed_at[instance] = self._loop.time()
                self.record(Renewed(instance, principal))
        for instance in [each for each in self._renewed_at if not self.space.is_here(each)]:
            del self._renewed_at[instance]
            self._ttl_s.pop(instance, None)
        self._settled()

    # --- time --------------------------------------------------------------------------------------------------------

    def _settled(self) -> None:
        """Have the timers that the machine needs now; one that rings too early only looks again."""
        deadline = self.space.next_deadline()
        if deadline is not None and (self._due is None or deadline < self._due):
            if self._timer is not None:
                self._timer.cancel()
            self._due = deadline
            delay_s = max(0.0, deadline - self.recorded.now(), self._not_before - self._loop.time())
            self._timer = self._loop.call_later(delay_s, self._time_passed)
        if self._beat is None and self.space.has_clients:
            self._beat = self._loop.call_later(BEAT_S, self._look_around)
        self.on_settled()

    def _time_passed(self) -> None:
        self._timer = self._due = None
        deadline = self.space.next_deadline()
        if deadline is not None and deadline <= self.recorded.now():
            self.record(Tick())
        else:
            self._settled()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _told(self, effect: Effect) -> None:
        if isinstance(effect, LeaseOver):
            self.counters["leases_lost"] += 1
            names = ", ".join(effect.names[:5]) + (" and more" if len(effect.names) > 5 else "")
            self._log(f"{effect.principal} ({effect.instance[:6]}) was not heard of for too long and lost {names}")
        self.on_effect(effect)

    def _reserved(self) -> None:
        self._reserving = False

    def _not_reserved(self, error: StorageError) -> None:
        self._reserving = False
        self._not_written(error)

    def _not_written(self, error: StorageError) -> None:
        """Time and renewals come again by themselves."""
        self._not_before = self._loop.time() + AGAIN_S
        self._log(f"{NAME}: {error}")
