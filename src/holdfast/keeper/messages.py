"""What agent, keeper and shim say to each other, as bytes.

Rules of this module:

* Agent and shim talk over a stream (``sock`` in the shim's directory): ``u32 length, u8 type, fields``, big-endian;
  the length counts type and fields. A job that the keeper has adopted is served on the same socket in the same words.
* Agent and keeper, and keeper and shim, talk over ``SOCK_SEQPACKET`` pairs: one packet is one ``u8 type, fields``.
* ``decode`` takes type and fields; anything that is not exactly one message is a ``ValueError``.
* Directions do not share type numbers, so a message that is sent the wrong way is never understood as another one.
* Arguments, environment and paths are bytes and pass exactly; ids and names are ASCII and UTF-8.
"""

from __future__ import annotations

import struct

from holdfast.store import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NamedTuple
else:
    from holdfast.store.control import NamedTuple

MAX_MESSAGE_BYTES = 3 * 1024 * 1024
"""Longest message to a shim: 2 MiB of arguments and environment, and room to spare."""
MAX_PACKET_BYTES = 4096
"""Longest packet between agent, keeper and shim."""
NO_LIMIT = (1 << 64) - 1
"""A pump limit or a watch offset that is never reached."""

MAIN, GROUP, TREE = range(3)
"""Whom a signal is for: the main process, its process group, every process of the job."""

# Stages of a shim, in STATE.
IDLE, STARTING, RUNNING, ENDING, DONE, LEFT = range(6)

# What RELEASE says the agent has taken (renamed away); the shim makes such files anew.
TAKEN_OUT, TAKEN_ERR, TAKEN_IN = 1, 2, 4


class Run(NamedTuple):
    """Start this job. To an idle shim only.

    Attributes:
        job: Job id, up to 12 ASCII characters.
        argv: The command; ``argv[0]`` without a slash is looked up in the PATH of ``env``.
        env: ``NAME=VALUE`` items, the complete environment.
        cwd: Directory to start in; empty: ``/``.
        flags: ``control.POWER`` (flush the slots), ``control.LEAVE`` (what outlives the main process may go on),
            ``control.STDIN`` (feed the file ``in``; otherwise stdin is ``/dev/null``).
        timeout_ms: Time limit by CLOCK_BOOTTIME from the start; 0: none.
        grace_ms: Between TERM and KILL at the time limit.
        linger_ms: How long the rest of the tree may outlive the main process.
        umask: File mode creation mask of the command.
        rule: ``control.BLOCK``, ``KEEP_TAIL`` or ``KILL_RULE``, applied to each channel.
        limit_bytes: For BLOCK: the pumps stop there until LIMIT says otherwise (0: unlimited); for KEEP_TAIL: what is
            kept at least (twice that at most); for KILL_RULE: what may be written.
        user: None: the shim's own; otherwise (uid, gid, supplementary groups).
        rlimits: (resource, soft, hard) by the numbers of setrlimit(2); -1: unlimited.
    """

    job: str
    attempt: int
    argv: tuple[bytes, ...]
    env: tuple[bytes, ...]
    cwd: bytes = b""
    flags: int = 0
    timeout_ms: int = 0
    grace_ms: int = 10_000
    linger_ms: int = 2_000
    umask: int = 0o022
    rule: int = control.BLOCK
    limit_bytes: int = 0
    user: tuple[int, int, tuple[int, ...]] | None = None
    rlimits: tuple[tuple[int, int, int], ...] = ()


class Stop(NamedTuple):
    """End the job: TERM to every process of the tree, KILL after the grace (0: at once). The first cause stays."""

    cause: int
    by: str = ""
    grace_ms: int = 10_000


class Signal(NamedTuple):
    """Send a signal and change nothing else."""

    signum: int
    scope: int = MAIN


class Release(NamedTuple):
    """The agent has committed the end of this job: forget it and be idle again. Another job than yours: ignored."""

    job: str
    attempt: int
    taken: int = 0


class Retire(NamedTuple):
    """Take no further job and exit as soon as this one, if any, has ended."""


class Stdin(NamedTuple):
    """The file ``in`` holds so many bytes now; ``ended``: and there will be no more."""

    length: int
    ended: bool = False


class Watch(NamedTuple):
    """Tell once (GREW) when a channel is longer than this; at once if it is so already. ``NO_LIMIT``: not this one."""

    out_bytes: int = NO_LIMIT
    err_bytes: int = NO_LIMIT


class Limit(NamedTuple):
    """The pump of this channel (1, 2) may write up to this offset; what comes beyond waits in the pipe.

    When the job's tree is dead, what its pipe still holds (256 KiB at most) is written in any case: an end waits for no
    reader.
    """

    channel: int
    offset: int = NO_LIMIT


class DropBelow(NamedTuple):
    """Give the disk space of this channel below the offset back (in steps of 64 KiB)."""

    channel: int
    offset: int


class Pause(NamedTuple):
    """Write nothing more to the disk until RESUME; the job waits on its pipes."""


class Resume(NamedTuple):
    """The end of a pause."""


class State(NamedTuple):
    """What a shim is doing; the first message on every connection.

    ``stage`` is IDLE, STARTING, RUNNING, ENDING, DONE (EXIT follows) or LEFT; ``supervisor`` as in ``control``.
    """

    shim_pid: int
    stage: int
    job: str = ""
    attempt: int = 0
    main_pid: int = 0
    out_bytes: int = 0
    err_bytes: int = 0
    stdin_bytes: int = 0
    supervisor: int = control.BY_SHIM


class Started(NamedTuple):
    """The command runs."""

    job: str
    attempt: int
    pid: int
    wall_ns: int


class Grew(NamedTuple):
    """The answer to WATCH: the committed lengths."""

    out_bytes: int
    err_bytes: int


class Exited(NamedTuple):
    """The job has ended: the slot exactly as it is on disk. Sent again on every connection until RELEASE."""

    slot: bytes

    @property
    def record(self) -> control.Exit:
        """The decoded slot.

        Raises:
            ValueError: the slot is damaged.
        """
        record = control.decode(self.slot, control.EXIT)
        if not isinstance(record, control.Exit):
            raise ValueError(f"EXIT slot: {record}")  # noqa: TRY004
        return record


class Stuck(NamedTuple):
    """These processes are still there 30 s after KILL; the first ``control.NOTE_PIDS`` of ``number``."""

    job: str
    attempt: int
    number: int
    pids: tuple[int, ...]


class Rejected(NamedTuple):
    """A message that makes no sense in this stage, by its type; nothing was done."""

    type: int
    reason: str


ToShim = Run | Stop | Signal | Release | Retire | Stdin | Watch | Limit | DropBelow | Pause | Resume
FromShim = State | Started | Grew | Exited | Stuck | Rejected


class Want(NamedTuple):
    """Agent to keeper: fork so many shims more."""

    number: int


class Bye(NamedTuple):
    """Agent to keeper: the agent stops in order. Idle shims end, busy ones finish; then the keeper leaves."""


class Hello(NamedTuple):
    """Keeper to agent, first on every socket: who keeps, and of which boot of the machine (boot_id, random(4))."""

    keeper_pid: int
    boot_id: bytes


class Forked(NamedTuple):
    """Keeper to agent: this shim lives, holds its lock and listens. Told again to a restarted agent."""

    shim: str
    pid: int


class ForkFailed(NamedTuple):
    """Keeper to agent: so many wanted shims could not be made; errno 0: it was made, and died before it was ready."""

    number: int
    errno: int


class Died(NamedTuple):
    """Keeper to agent: a shim has ended, and what was decided about its job.

    ``adopted``: the keeper tends the job now, on the same ``sock``. Not adopted: nothing was inherited, so a job with
    CLAIM and without STARTED, MAIN and EXIT provably did not run.
    """

    shim: str
    pid: int
    wait_status: int
    adopted: bool


class Finished(NamedTuple):
    """Keeper to agent: an adopted job has its EXIT slot now."""

    shim: str


ToKeeper = Want | Bye
FromKeeper = Hello | Forked | ForkFailed | Died | Finished


class Ready(NamedTuple):
    """Shim to keeper: the lock is held, the socket is served."""


class Hold(NamedTuple):
    """Shim to keeper, with two descriptors: the write end of a job's stdin and its file ``in``. Answered by HELD."""


class Held(NamedTuple):
    """Keeper to shim: kept; the command may start."""


class Drop(NamedTuple):
    """Shim to keeper: close what HOLD brought; the command's end of file waits for it."""


FromShimToKeeper = Ready | Hold | Drop
FromKeeperToShim = Held | Retire

Message = ToShim | FromShim | ToKeeper | FromKeeper | FromShimToKeeper | FromKeeperToShim

_ID = 40
_RUN = struct.Struct("!12sIIQIIHBQIIHIqI")
_RLIMIT = struct.Struct("!Hqq")
_TYPES: dict[int, tuple[Callable[..., Message], struct.Struct]] = {
    0x01: (Run, _RUN),
    0x02: (Stop, struct.Struct(f"!B{control.BY_BYTES}sI")),
    0x03: (Signal, struct.Struct("!BB")),
    0x04: (Release, struct.Struct("!12sIB")),
    0x05: (Retire, struct.Struct("!")),
    0x06: (Stdin, struct.Struct("!Q?")),
    0x07: (Watch, struct.Struct("!QQ")),
    0x08: (Limit, struct.Struct("!BQ")),
    0x09: (DropBelow, struct.Struct("!BQ")),
    0x0A: (Pause, struct.Struct("!")),
    0x0B: (Resume, struct.Struct("!")),
    0x41: (Want, struct.Struct("!I")),
    0x42: (Bye, struct.Struct("!")),
    0x61: (Held, struct.Struct("!")),
    0x71: (Ready, struct.Struct("!")),
    0x72: (Hold, struct.Struct("!")),
    0x73: (Drop, struct.Struct("!")),
    0x81: (State, struct.Struct("!IB12sIIQQQB")),
    0x82: (Started, struct.Struct("!12sIIQ")),
    0x83: (Grew, struct.Struct("!QQ")),
    0x84: (Exited, struct.Struct(f"!{control.SLOT_BYTES}s")),
    0x85: (Stuck, struct.Struct(f"!12sIIH{control.NOTE_PIDS}I")),
    0x86: (Rejected, struct.Struct("!B64s")),
    0xC1: (Hello, struct.Struct("!I16s")),
    0xC2: (Forked, struct.Struct(f"!{_ID}sI")),
    0xC3: (ForkFailed, struct.Struct("!IH")),
    0xC4: (Died, struct.Struct(f"!{_ID}sIi?")),
    0xC5: (Finished, struct.Struct(f"!{_ID}s")),
}
_NUMBERS: dict[object, int] = {kind: number for number, (kind, _) in _TYPES.items()}
_LENGTH = struct.Struct("!I")
_LONGEST_FRAME = _LENGTH.size + MAX_MESSAGE_BYTES


def number(message: Message) -> int:
    """The type of a message, as it stands in its first byte."""
    return _NUMBERS[type(message)]


def encode(message: Message) -> bytes:
    """Type and fields of a message: one packet of a ``SOCK_SEQPACKET`` pair.

    Raises:
        ValueError: an item of argv or env holds a NUL byte, an env item has no ``=``, or the message is too long.
        struct.error: a number is outside the range of its field.
    """
    kind = type(message)
    number = _NUMBERS[kind]
    if isinstance(message, Run):
        return b"\x01" + _encode_run(message)
    if isinstance(message, Stuck):
        pids = message.pids[: control.NOTE_PIDS]
        values: tuple[object, ...] = (*message[:3], len(pids), *pids, *(0,) * (control.NOTE_PIDS - len(pids)))
    elif isinstance(message, Stop):
        values = (message.cause, _clipped(message.by, control.BY_BYTES), message.grace_ms)
    else:
        values = message
    return bytes((number,)) + _TYPES[number][1].pack(*(v.encode() if isinstance(v, str) else v for v in values))


def decode(data: bytes) -> Message:
    """The message of a packet, or of a frame without its length.

    Raises:
        ValueError: it is no message: unknown type, wrong length, or fields out of order.
    """
    known = _TYPES.get(data[0]) if data else None
    if known is None:
        raise ValueError(f"unknown message type {data[:1].hex() or 'of an empty message'}")
    kind, layout = known
    try:
        if kind is Run:
            return _decode_run(data)
        values = layout.unpack_from(data, 1)
        if len(data) != 1 + layout.size:
            raise ValueError(f"{_name(kind)} of {len(data)} bytes (must be {1 + layout.size})")
        if kind is Exited:
            return Exited(*values)
        if kind is Hello:
            return Hello(*values)
        if kind is Stuck:
            return Stuck(_text(values[0]), values[1], values[2], values[4 : 4 + values[3]])
        return kind(*(_text(value) if isinstance(value, bytes) else value for value in values))
    except (struct.error, IndexError) as exc:
        raise ValueError(f"{_name(kind)}: {exc}") from exc


def frame(message: Message) -> bytes:
    """A message with its length in front, as it goes over ``sock``."""
    data = encode(message)
    return _LENGTH.pack(len(data)) + data


class Reader:
    """Cuts a stream into messages."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with these bytes.

        Raises:
            ValueError: the stream is not in order; it cannot be read any further.
        """
        kept = self._data
        if kept:
            kept += data
            if len(kept) < _LENGTH.size or len(kept) < _LENGTH.size + _LENGTH.unpack_from(kept)[0] <= _LONGEST_FRAME:
                return []  # a long message is gathered without looking at it again and again
            data = bytes(kept)
            kept.clear()
        messages: list[Message] = []
        at, size = 0, len(data)
        while size - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, at)
            if not 0 < length <= MAX_MESSAGE_BYTES:
                raise ValueError(f"message of {length} bytes (1 to {MAX_MESSAGE_BYTES})")
            end = at + _LENGTH.size + length
            if end > size:
                break
            messages.append(decode(data[at + _LENGTH.size : end]))
            at = end
        kept += data[at:]
        return messages


def _name(kind: object) -> str:
    return getattr(kind, "__name__", "message")


def _clipped(text: str, most_bytes: int) -> bytes:
    """As many whole characters as fit."""
    return text.encode()[:most_bytes].decode(errors="ignore").encode()


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode()


def _encode_run(run: Run) -> bytes:
    for item in (*run.argv, *run.env, run.cwd):
        if b"\0" in item:
            raise ValueError("an argument, environment item or directory holds a NUL byte")
    if not run.argv or not all(item.find(b"=") > 0 for item in run.env):
        raise ValueError("no argument, or an environment item without a name")
    uid, gid, groups = run.user or (-1, 0, ())
    head = _RUN.pack(
        run.job.encode("ascii"), run.attempt, run.flags, run.timeout_ms, run.grace_ms, run.linger_ms, run.umask,
        run.rule, run.limit_bytes, len(run.argv), len(run.env), len(run.rlimits), len(groups), uid, gid,
    )  # fmt: skip
    data = b"".join((
        head,
        struct.pack(f"!{len(groups)}I", *groups),
        *(_RLIMIT.pack(*limit) for limit in run.rlimits),
        b"\0".join((*run.argv, *run.env, run.cwd)),
    ))  # fmt: skip
    if len(data) >= MAX_MESSAGE_BYTES:
        raise ValueError(f"job description of {len(data)} bytes ({MAX_MESSAGE_BYTES} at most)")
    return data


def _decode_run(data: bytes) -> Run:
    (
        job, attempt, flags, timeout_ms, grace_ms, linger_ms, umask, rule, limit_bytes,
        arg_count, env_count, rlimit_count, group_count, uid, gid,
    ) = _RUN.unpack_from(data, 1)  # fmt: skip
    at = 1 + _RUN.size
    groups = struct.unpack_from(f"!{group_count}I", data, at)
    at += 4 * group_count
    rlimits = tuple(_RLIMIT.unpack_from(data, at + n * _RLIMIT.size) for n in range(rlimit_count))
    items = tuple(data[at + rlimit_count * _RLIMIT.size :].split(b"\0"))
    if not arg_count or len(items) != arg_count + env_count + 1:
        raise ValueError(f"{len(items)} items for {arg_count} arguments and {env_count} environment items")
    return Run(
        _text(job), attempt, items[:arg_count], items[arg_count:-1], items[-1], flags, timeout_ms, grace_ms,
        linger_ms, umask, rule, limit_bytes, None if uid < 0 else (uid, gid, groups), rlimits,
    )  # fmt: skip
