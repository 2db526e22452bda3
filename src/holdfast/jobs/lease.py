"""What becomes of a job whose clients are gone, as a lease: held while any client is attached, running out afterwards.

A client is its instance id (random, one a process); it may be attached over several connections at once, and cutting
one of them lets go of nothing. The agent tells of clients only when their last connection is closed.

Times are seconds of one clock that never goes back, given as arguments.
"""

from __future__ import annotations

from typing import Final

from holdfast.types import OnDisconnect

ATTACHED_DEFAULT: Final[OnDisconnect] = 60.0
"""Policy of a run that somebody watches: its command is ended a minute after the last client is gone."""

DETACHED_DEFAULT: Final[OnDisconnect] = "keep"


class Lease:
    """The client-loss policy of one job.

    Args:
        policy: ``keep``: runs on. ``kill``: ends with the last client. A number: ends so many seconds after.

    Attributes:
        deadline: When it runs out, or None: it does not for now.
    """

    __slots__ = ("_attached", "deadline", "policy")

    def __init__(self, policy: OnDisconnect) -> None:
        if not isinstance(policy, str) and not 0 <= policy < float("inf"):
            raise ValueError(f"on_disconnect {policy!r}: keep, kill or seconds from 0 on")
        self.policy = policy
        self._attached: dict[bytes, int] = {}  # instance id -> its connections that are attached
        self.deadline: float | None = None

    @property
    def clients(self) -> int:
        """Clients that are attached (one that is attached twice counts once)."""
        return len(self._attached)

    def attach(self, instance: bytes) -> float | None:
        """A client attached; the lease does not run out while it is there. Gives the deadline: None."""
        self._attached[instance] = self._attached.get(instance, 0) + 1
        self.deadline = None
        return None

    def detach(self, instance: bytes, now: float) -> float | None:
        """One attachment of a client ended. Gives the new deadline; one that is not attached changes nothing."""
        count = self._attached.get(instance, 0)
        if count > 1:
            self._attached[instance] = count - 1
        elif count == 1:
            del self._attached[instance]
            if not self._attached:
                self._arm(now)
        return self.deadline

    def recovered(self, now: float) -> float | None:
        """The agent came back, its connections did not: clients have the whole time again. Gives the deadline.

        With ``kill`` they have :data:`RECOVERY_GRACE_S`: an agent that was restarted is not a client that left.
        """
        self._attached.clear()
        self._arm(now)
        if self.policy == "kill":
            self.deadline = now + RECOVERY_GRACE_S
        return self.deadline

    def never_attached(self, now: float) -> float | None:
        """The job was accepted and its client was gone before it could attach. Gives the deadline."""
        if not self._attached and self.deadline is None:
            self._arm(now)
        return self.deadline

    def expired(self, now: float) -> bool:
        """Whether it has run out: nobody attached, and the deadline is reached."""
        return self.deadline is not None and now >= self.deadline

    def left_s(self, now: float) -> float | None:
        """Seconds until it runs out, or None: it does not for now."""
        return None if self.deadline is None else max(0.0, self.deadline - now)

    def _arm(self, now: float) -> None:
        if self.policy == "keep":
            self.deadline = None
        elif self.policy == "kill":
            self.deadline = now
        else:
            self.deadline = now + self.policy


RECOVERY_GRACE_S: Final = 15.0
"""Longest back-off of a client (15 s): with ``kill``, what a restarted agent waits for clients to come back."""
