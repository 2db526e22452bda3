"""Is the peer still there, and does it know that we are? Greeting deadline, PINGs to send, PINGs to refuse, silence."""

from __future__ import annotations

from enum import Enum, auto

from holdfast.wire.flow import TokenBucket
from holdfast.wire.limits import HEARTBEAT_S, HELLO_DEADLINE_S, PINGS_BURST, SILENCE_S


class Due(Enum):
    """What time asks for."""

    GREETING_OVERDUE = auto()
    PING = auto()
    SILENCE = auto()


class Heartbeat:
    """The times of one connection, in monotonic seconds.

    Attributes:
        received_at: When bytes last came in.
        sent_at: When bytes last went out.
        greeted: The greeting is over; from now on heartbeats count.
    """

    __slots__ = ("_greet_deadline", "_pings", "greeted", "received_at", "sent_at")

    def __init__(self, *, now: float) -> None:
        self._greet_deadline = now + HELLO_DEADLINE_S
        self._pings = TokenBucket(burst=PINGS_BURST, per_s=1, now=now)
        self.greeted = False
        self.received_at = now
        self.sent_at = now

    def next_deadline(self) -> float:
        """When ``due`` will give something, if nothing is sent or received before."""
        if not self.greeted:
            return self._greet_deadline
        return min(self.sent_at + HEARTBEAT_S, self.received_at + SILENCE_S)

    def due(self, now: float) -> Due | None:
        """What is to be done now; None when called early."""
        if not self.greeted:
            return Due.GREETING_OVERDUE if now >= self._greet_deadline else None
        if now >= self.received_at + SILENCE_S:
            return Due.SILENCE
        return Due.PING if now >= self.sent_at + HEARTBEAT_S else None

    def take_ping(self, now: float) -> bool:
        """Whether the peer may send this PING: a few at once, then one a second."""
        return self._pings.take(now)
