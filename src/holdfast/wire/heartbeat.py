"""Is the peer still there, and does it know that we are? Greeting deadline, PINGs to send, PINGs to refuse, silence."""

from __future__ import annotations

from enum import Enum, auto

from holdfast.wire.flow import TokenBucket
from holdfast.wire.limits import HEARTBEAT_S, HELLO_DEADLINE_S, PINGS_BURST, PROBE_GAP_S, PROBE_S, SILENCE_S


class Due(Enum):
    """What time asks for."""

    GREETING_OVERDUE = auto()
    PING = auto()
    SILENCE = auto()
    PROBE_UNANSWERED = auto()


class Heartbeat:
    """The times of one connection, in monotonic seconds.

    Attributes:
        received_at: When bytes last came in.
        sent_at: When bytes last went out.
        greeted: The greeting is over; from now on heartbeats count.
    """

    __slots__ = (
        "_greet_deadline",
        "_pinged_at",
        "_pings",
        "_probe_at",
        "_probed_at",
        "greeted",
        "received_at",
        "sent_at",
    )

    def __init__(self, *, now: float, greeting_s: float = HELLO_DEADLINE_S) -> None:
        self._greet_deadline = now + greeting_s
        self._pings = TokenBucket(burst=PINGS_BURST, per_s=1, now=now)
        self._pinged_at = float("-inf")
        self._probe_at: float | None = None  # a PING is wanted then
        self._probed_at: float | None = None  # one was sent then, and nothing has come since
        self.greeted = False
        self.received_at = now
        self.sent_at = now

    def received(self, now: float) -> None:
        """Bytes came in; any are an answer to a probe."""
        self.received_at = now
        self._probed_at = None

    def probe(self, now: float) -> None:
        """Find out now whether the peer is there; a question that is under way is not asked twice."""
        if self.greeted and self._probed_at is None and self._probe_at is None:
            self._probe_at = max(now, self._pinged_at + PROBE_GAP_S)

    def next_deadline(self) -> float:
        """When ``due`` will give something, if nothing is sent or received before."""
        if not self.greeted:
            return self._greet_deadline
        deadline = min(self.sent_at + HEARTBEAT_S, self.received_at + SILENCE_S)
        if self._probe_at is not None:
            deadline = min(deadline, self._probe_at)
        if self._probed_at is not None:
            deadline = min(deadline, self._probed_at + PROBE_S)
        return deadline

    def due(self, now: float) -> Due | None:
        """What is to be done now; None when called early."""
        if not self.greeted:
            return Due.GREETING_OVERDUE if now >= self._greet_deadline else None
        if now >= self.received_at + SILENCE_S:
            return Due.SILENCE
        if self._probed_at is not None and now >= self._probed_at + PROBE_S:
            return Due.PROBE_UNANSWERED
        if self._probe_at is not None and now >= self._probe_at:
            return Due.PING
        return Due.PING if now >= self.sent_at + HEARTBEAT_S else None

    def pinged(self, now: float) -> None:
        """The PING that was due goes out."""
        self.sent_at = self._pinged_at = now
        if self._probe_at is not None and now >= self._probe_at:
            self._probe_at = None
            self._probed_at = now

    def take_ping(self, now: float) -> bool:
        """Whether the peer may send this PING: a few at once, then one a second."""
        return self._pings.take(now)
