"""Every error that Holdfast raises, in one tree; this module imports nothing of the package.

Rules of this module:

* Each error answers the first question of a caller whose request failed: did the command run? ``ran`` is
  ``"no"``, ``"yes"`` or ``"unknown"``.
* Data sits in attributes; the message states value and limit in one line, without a trailing full stop.
* Where the standard library has a fitting base (``TimeoutError``, ``CalledProcessError``), ours derives from it too,
  so code written for the standard library keeps its ``except`` clauses.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from typing import Literal

Ran = Literal["no", "yes", "unknown"]


class HoldfastError(Exception):
    """Base of every error of this package.

    Attributes:
        ran: Whether the command ran: ``"no"``, ``"yes"`` or ``"unknown"``.
    """

    ran: Ran = "unknown"

    def __init__(self, message: str = "", *, ran: Ran | None = None) -> None:
        super().__init__(message)
        if ran is not None:
            self.ran = ran


class ProtocolError(HoldfastError):
    """The exchange broke the rules of docs/spec/protocol.md."""


class LocalProtocolError(ProtocolError):
    """We asked our own side for something that is illegal in this phase; nothing was sent."""

    ran: Ran = "no"


class RemoteProtocolError(ProtocolError):
    """The peer broke the specification; the connection is closed.

    Attributes:
        code: The wire's error code (docs/spec/protocol.md, "Error codes").
    """

    def __init__(self, message: str, *, code: int = 100) -> None:
        super().__init__(message)
        self.code = code


class ConnectFailed(HoldfastError):
    """No connection came about and nothing was sent: safe to try again.

    Attributes:
        layer: Where it ended, if known: ``"name"``, ``"route"``, ``"port"`` or ``"tls"``.
    """

    ran: Ran = "no"

    def __init__(self, message: str = "", *, layer: str | None = None, ran: Ran | None = None) -> None:
        super().__init__(message, ran=ran)
        self.layer = layer


class LinkLost(HoldfastError):
    """This connection broke; what was under way is being resumed or can be asked for again."""


class OutcomeUnknown(HoldfastError):
    """A request was sent and not answered: it may have run.

    Attributes:
        key: The start key to ask again with; the same key never starts a second command.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class DeadlineExceeded(HoldfastError, TimeoutError):
    """The caller's own waiting time is over; the job is untouched."""


class WouldBlock(HoldfastError):
    """An ``X_nowait`` call would have had to wait."""


class ClosedError(HoldfastError):
    """This handle was closed by us (or belongs to the process before a fork)."""

    ran: Ran = "no"


class Refused(HoldfastError):
    """The agent understood the request and said no; nothing was started.

    Attributes:
        code: The wire's error code.
        retry_after_s: Seconds after which the same request with the same key may succeed, or None: never.
    """

    ran: Ran = "no"

    def __init__(self, message: str, *, code: int = 300, retry_after_s: float | None = None, ran: Ran | None = None):
        super().__init__(message, ran=ran)
        self.code = code
        self.retry_after_s = retry_after_s


class Unauthorized(Refused):
    """This principal may not do this, or the peer's identity was not accepted."""


class KeyChanged(Unauthorized):
    """The agent's key is not the one that is known for it: another agent, or somebody in between. Never accepted."""

    def __init__(self, message: str, *, code: int = 200, retry_after_s: float | None = None, ran: Ran | None = None):
        super().__init__(message, code=code, retry_after_s=retry_after_s, ran=ran)


class NotFound(Refused):
    """No such job or object, or none that this principal may see."""


class Conflict(Refused):
    """The name or key is in use with another content or state."""


class LimitExceeded(Refused):
    """A stated bound was reached; ``retry_after_s`` tells when to try again."""


class VersionMismatch(Refused):
    """Client and agent share no protocol version; the message names both and the fix."""


class JobError(HoldfastError):
    """Base of what a job itself can end with."""


class SpawnFailed(JobError):
    """The command was never executed.

    Attributes:
        errno: The operating system's error number, or None.
        stage: What failed: ``"directory"``, ``"executable"``, ``"user"``, ``"limits"``, ``"stdin"`` or ``"spawn"``.
    """

    ran: Ran = "no"

    def __init__(self, message: str, *, errno: int | None = None, stage: str = "spawn", receipt: object = None) -> None:
        super().__init__(message)
        self.errno = errno
        self.stage = stage
        self.receipt = receipt


class JobLost(JobError):
    """The job's exit status cannot be known any more; it is never made up.

    Attributes:
        receipt: The agent's final record, with the reason.
    """

    def __init__(self, message: str, *, receipt: object = None) -> None:
        super().__init__(message)
        self.receipt = receipt


class CommandFailed(JobError, subprocess.CalledProcessError):
    """The command ended with a non-zero status and ``check`` was asked for.

    Attributes:
        receipt: The agent's final record.
    """

    ran: Ran = "yes"

    def __init__(
        self, returncode: int, cmd: object, output: object = None, stderr: object = None, *, receipt: object = None
    ) -> None:
        subprocess.CalledProcessError.__init__(self, returncode, cmd, output, stderr)  # type: ignore[arg-type]
        self.receipt = receipt

    def __str__(self) -> str:
        return subprocess.CalledProcessError.__str__(self)


class TimeoutExpired(JobError, subprocess.TimeoutExpired):
    """The job reached its own time limit and was ended by its shim.

    Attributes:
        receipt: The agent's final record.
    """

    ran: Ran = "yes"

    def __init__(
        self, cmd: object, timeout: float, output: object = None, stderr: object = None, *, receipt: object = None
    ) -> None:
        subprocess.TimeoutExpired.__init__(self, cmd, timeout, output, stderr)  # type: ignore[arg-type]
        self.receipt = receipt

    def __str__(self) -> str:
        return subprocess.TimeoutExpired.__str__(self)


class OutputMismatch(JobError):
    """What was delivered is not what the agent's receipt says; the exit status must not be trusted to go with it.

    Attributes:
        receipt: The agent's final record.
    """

    ran: Ran = "yes"

    def __init__(self, message: str, *, receipt: object = None) -> None:
        super().__init__(message)
        self.receipt = receipt


class OutputTooLarge(JobError):
    """``run`` collected ``max_output`` bytes of a channel; the job was stopped (``job.output()`` has no bound)."""

    ran: Ran = "yes"


class OffsetGone(HoldfastError):
    """These bytes were dropped by the job's own retention rule.

    Attributes:
        first: The oldest offset still kept.
    """

    ran: Ran = "yes"

    def __init__(self, message: str, *, first: int) -> None:
        super().__init__(message)
        self.first = first


class StorageError(HoldfastError):
    """A file of the state directory could not be read or written.

    Attributes:
        path: The file.
        offset: Where in it, or None.
        full: The disk has no room for it; the same may succeed later.
        read_only: The journal has stopped taking writes for good; the agent must be started again.
    """

    def __init__(
        self, message: str, *, path: str, offset: int | None = None, full: bool = False, read_only: bool = False
    ) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset
        self.full = full
        self.read_only = read_only


class JournalDamaged(StorageError):
    """The journal is not readable as one; it is left as it is and nothing is started."""

    ran: Ran = "no"


class SettingsError(HoldfastError):
    """A settings file or environment variable holds a value that cannot be used."""

    ran: Ran = "no"


class InvitationError(HoldfastError):
    """An invitation that cannot be read, or cannot be made from these values; nothing was sent."""

    ran: Ran = "no"


class IdentityError(HoldfastError):
    """A key or certificate that cannot be used; nothing was sent."""

    ran: Ran = "no"


# --- coordination ----------------------------------------------------------------------------------------------------


class CoordinationError(HoldfastError):
    """Base of what can go wrong with a lock, a queue or another shared object."""

    ran: Ran = "no"


class DeadlockError(CoordinationError, RuntimeError):
    """This wait would never end; the message is the circle, one line a step. What was held before is still held.

    Attributes:
        circle: (owner, name, blocker) of each step; each one's blocker is the next one's owner.
    """

    def __init__(self, message: str, *, circle: tuple[tuple[str, str, str], ...] = ()) -> None:
        super().__init__(message)
        self.circle = circle


class LeaseLost(CoordinationError):
    """This client was not heard of for longer than its lease: what it held may belong to somebody else by now."""

    ran: Ran = "unknown"


class NotHeld(CoordinationError, RuntimeError):
    """Given back without being held, or by somebody else's owner; ``RuntimeError``, as in ``threading``."""


class BrokenBarrier(CoordinationError, threading.BrokenBarrierError):
    """Somebody gave up at the barrier, or it was reset."""


class QueueFull(CoordinationError, queue.Full):
    """No room in the queue, now or until the time was over."""


class QueueEmpty(CoordinationError, queue.Empty):
    """Nothing in the queue, now or until the time was over."""


if sys.version_info >= (3, 13):

    class QueueShutDown(CoordinationError, queue.ShutDown):
        """The queue was shut down: it takes no more items, none is left (3.13: also a ``queue.ShutDown``)."""

else:

    class QueueShutDown(CoordinationError):
        """The queue was shut down: it takes no more items, none is left (3.13: also a ``queue.ShutDown``)."""
