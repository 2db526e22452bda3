"""RUN, the request that starts a job, and its body."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.errors import RemoteProtocolError
from holdfast.types import Durability
from holdfast.wire import limits
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import Hold
from holdfast.wire.request_types import Bytes, Key, Name, Request, RetentionAsked, Seconds


class Run(Request, frozen=True, tag="run"):
    """Submit a job. The body holds ``argc`` arguments, ``envc`` entries ``K=V``, then the directory if ``has_cwd``.

    Each item ends with NUL. Attached runs stay on this stream: EVT accepted, EVT started, DATA and END for each
    channel, then RES with the receipt; detached ones are answered by RES accepted.
    """

    key: Key
    argc: Annotated[int, Meta(ge=1, le=limits.ARGV_ITEMS)]
    envc: Annotated[int, Meta(ge=0, le=limits.ENV_ITEMS)] = 0
    has_cwd: bool = False
    user_key: bool = False
    shell: bool = False
    umask: Annotated[int, Meta(ge=0, le=0o777)] | None = None
    user: Name | None = None
    groups: tuple[Name, ...] = ()
    rlimits: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    timeout_s: Seconds | None = None
    grace_s: Seconds = 10.0
    leave: bool = False
    stdin: bool = False
    on_disconnect: Literal["keep", "kill"] | Seconds | None = None
    retention: RetentionAsked = RetentionAsked()
    durability: Durability = "process"
    attach: bool = True
    credit: Bytes = limits.INITIAL_WINDOW_BYTES
    label: Annotated[str, Meta(max_length=limits.LABEL_BYTES)] = ""
    not_after_unix_s: float | None = None
    incarnation: str | None = None
    hold: Hold | None = None
    hints: dict[str, str] = msgspec.field(default_factory=dict)


def pack_items(argv: tuple[bytes, ...], env: tuple[bytes, ...] = (), cwd: bytes | None = None) -> bytes:
    """The body of RUN: every item ended by NUL.

    Raises:
        ValueError: an item contains NUL, which no argument, variable or path can hold.
    """
    items = (*argv, *env) if cwd is None else (*argv, *env, cwd)
    packed = b"\0".join(items) + b"\0"
    if packed.count(b"\0") != len(items):
        raise ValueError("a NUL byte cannot be part of an argument, a variable or a directory")
    return packed


def unpack_items(run: Run, body: bytes) -> tuple[list[bytes], list[bytes], bytes | None]:
    """argv, environment and directory from the body of ``run``.

    Raises:
        RemoteProtocolError: the body does not hold exactly the announced items.
    """
    announced = run.argc + run.envc + run.has_cwd
    if not body.endswith(b"\0") or body.count(b"\0") != announced:  # counted first: two million NULs make no list
        raise RemoteProtocolError("the body of RUN does not hold the announced items", code=ErrorCode.INVALID)
    items = body.split(b"\0")
    items.pop()
    cwd = items.pop() if run.has_cwd else None
    return items[: run.argc], items[run.argc :], cwd
