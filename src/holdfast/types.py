"""The value types that every room shares: ids, states, causes, exit statuses, receipts.

They are ``msgspec.Struct`` rather than dataclasses: half of them travel as JSON, and defining fifty frozen
dataclasses costs a command line 20 ms of start-up (docs/adr/0002-structs.md). All are immutable.
"""

from __future__ import annotations

import signal as _signal
from enum import StrEnum
from typing import Literal, NewType

import msgspec

JobId = NewType("JobId", str)
"""12 characters of lower-case Crockford base32 (60 random bits), made by the agent."""
Offset = NewType("Offset", int)
"""Absolute byte offset in a channel, from 0."""
ShimId = NewType("ShimId", str)

STDIN, STDOUT, STDERR = 0, 1, 2
Channel = Literal[0, 1, 2]

OnDisconnect = Literal["keep", "kill"] | float
"""What the agent does when the last attached client is gone: ``keep``, ``kill``, or kill after so many seconds."""
Durability = Literal["process", "power"]


class JobState(StrEnum):
    """Where a job stands. ``ENDING``: being stopped, or its main process is gone and its tree is not yet."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    DONE = "done"


class Cause(StrEnum):
    """Why a job is DONE. The wait status, if there is one, is kept beside it."""

    EXITED = "exited"
    SIGNALED = "signaled"
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    CLIENT_LOST = "client_lost"
    OUTPUT_LIMIT = "output_limit"
    CANCELLED = "cancelled_before_start"
    EXPIRED = "expired"
    START_FAILED = "start_failed"
    LOST = "lost"
    DAMAGED = "damaged"


class ExitStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the main process ended, as ``waitpid`` told it: exactly one of ``code`` and ``signal`` is set."""

    code: int | None = None
    signal: int | None = None
    core: bool = False

    @classmethod
    def from_wait_status(cls, status: int) -> ExitStatus:
        """The decoded form of a raw wait status (wait(2); core flag is bit 0x80)."""
        signum = status & 0x7F
        if signum:
            return cls(signal=signum, core=bool(status & 0x80))
        return cls(code=(status >> 8) & 0xFF)

    @property
    def wait_status(self) -> int:
        """The raw wait status this was decoded from."""
        if self.signal is not None:
            return self.signal | (0x80 if self.core else 0)
        return (self.code or 0) << 8

    @property
    def returncode(self) -> int:
        """As ``subprocess`` has it: the code, or minus the signal."""
        return -self.signal if self.signal is not None else (self.code or 0)

    @property
    def signal_name(self) -> str | None:
        """``"SIGTERM"`` and the like; real-time signals as ``"SIGRTMIN+N"``; None if no signal ended it."""
        if self.signal is None:
            return None
        try:
            return _signal.Signals(self.signal).name
        except ValueError:
            return f"SIGRTMIN+{self.signal - 34}" if 34 <= self.signal <= 64 else f"SIG{self.signal}"


class ChannelRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One channel of a finished job.

    ``bytes`` is the absolute length; ``first`` the oldest offset still kept (above 0 only by the job's own retention
    rule); ``xxh3`` the XXH3-128 of the bytes from ``first`` on, 32 hex digits; ``sha256`` the same range, added later.
    """

    bytes: int = 0
    first: int = 0
    xxh3: str | None = None
    sha256: str | None = None


class Usage(msgspec.Struct, frozen=True):
    """Resources of the main process and its waited-for descendants (wait4(2)); seconds and bytes."""

    user_s: float = 0.0
    system_s: float = 0.0
    max_rss_bytes: int = 0


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The agent's final record of a job. Times are Unix seconds; a field that is not known is absent.

    ``ended_by`` is ``itself``, ``time-limit``, ``lost-client``, ``lost-host``, ``output-limit``, ``agent`` or
    ``person:NAME``. ``tree`` is ``gone`` (proved), ``left`` (``--leave``) or ``stuck`` (``left`` names the pids).
    ``supervisor`` ``agent``: shim and keeper were both killed under it; then ``gone`` means that no process with the
    job's mark was found, and the output may lack its end.
    """

    job: str
    cause: Cause
    exit: ExitStatus | None = None
    ended_by: str = "itself"
    stdout: ChannelRecord = ChannelRecord()
    stderr: ChannelRecord = ChannelRecord()
    stdin_bytes: int = 0
    attempt: int = 1
    accepted_unix_s: float = 0.0
    started_unix_s: float | None = None
    ended_unix_s: float = 0.0
    usage: Usage | None = None
    tree: Literal["gone", "left", "stuck"] = "gone"
    left: tuple[int, ...] = ()
    reason: str = ""
    errno: int | None = None
    stage: str = ""
    supervisor: Literal["shim", "keeper", "agent"] = "shim"
    retry_of: str | None = None
    timeout_s: float | None = None
    host: str = ""
    boot_id: str = ""

    @property
    def started(self) -> bool | None:
        """Whether the command ran: True, False, or None where that cannot be known."""
        if self.cause in (Cause.START_FAILED, Cause.CANCELLED, Cause.EXPIRED):
            return False
        if self.cause in (Cause.LOST, Cause.DAMAGED):
            return True if self.started_unix_s is not None else None
        return True

    @property
    def output_is_whole(self) -> bool:
        """Whether all that the command wrote is known to be in its channels."""
        return self.exit is None or self.supervisor != "agent"

    @property
    def returncode(self) -> int | None:
        """As ``subprocess`` has it, or None where no status exists or is known."""
        return None if self.exit is None else self.exit.returncode


class Retention(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a job's output: everything (``block``), the last bytes (``keep-tail``), or the job is ended.

    ``limit_bytes`` counts per channel: for ``block`` the most that may lie undelivered (0: only the disk's marks),
    for ``keep-tail`` what is kept, for ``kill`` what may be written.
    """

    rule: Literal["block", "keep-tail", "kill"] = "block"
    limit_bytes: int = 0


class JobInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One job as ``ps`` shows it."""

    job: str
    state: JobState
    argv: tuple[str, ...] = ()
    shell: bool = False
    label: str = ""
    principal: str = ""
    accepted_unix_s: float = 0.0
    started_unix_s: float | None = None
    ended_unix_s: float | None = None
    pid: int | None = None
    attempt: int = 1
    on_disconnect: OnDisconnect = "keep"
    lease_left_s: float | None = None
    clients: int = 0
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    cwd: str = ""
    retry_of: str | None = None
    receipt: Receipt | None = None
