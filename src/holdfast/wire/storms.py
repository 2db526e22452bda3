"""Bounds on what one connection may make an agent do each second, by frames that cost their sender nothing.

Only an agent counts: it has others to serve. A client reads what it asked for at its own speed, and a flood costs
nobody but itself. New streams are bounded in ``streams``, PINGs on both sides in ``heartbeat``; headers and bodies by
their lengths, in ``phases``.
"""

from __future__ import annotations

from holdfast.errors import RemoteProtocolError
from holdfast.wire.codes import ErrorCode
from holdfast.wire.flow import TokenBucket
from holdfast.wire.limits import CREDITS_BURST, CREDITS_PER_S, FRAMES_BURST, FRAMES_PER_S
from holdfast.wire.phases import Role


class Storms:
    """Counts the frames that one side of a connection receives."""

    __slots__ = ("_counts", "_credits", "_frames")

    def __init__(self, role: Role, *, now: float) -> None:
        self._counts = role is Role.AGENT
        self._frames = TokenBucket(burst=FRAMES_BURST, per_s=FRAMES_PER_S, now=now)
        self._credits = TokenBucket(burst=CREDITS_BURST, per_s=CREDITS_PER_S, now=now)

    def frames(self, count: int, now: float) -> None:
        """So many frames came; called once for each piece of input, since a call for each frame would cost more.

        Raises:
            RemoteProtocolError: too many a second.
        """
        if self._counts and not self._frames.take(now, count):
            raise _too_many(FRAMES_PER_S, "frames")

    def credit(self, now: float) -> None:
        """One of them is a CREDIT.

        Raises:
            RemoteProtocolError: too many a second.
        """
        if self._counts and not self._credits.take(now):
            raise _too_many(CREDITS_PER_S, "CREDITs")


def _too_many(limit: int, what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"more than {limit} {what} a second", code=ErrorCode.RATE_LIMITED)
