"""How a worker is told what it is: in variables of its job's environment, which it takes away before it runs anything.

``HOLDFAST_WORKER`` holds the setup as JSON. ``HOLDFAST_CALL_0``, ``_1`` ... hold, in base64 and in pieces that the
kernel takes, a function and its arguments: the one call of a worker that makes one, or what a pool's worker does first.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import MutableMapping
from typing import Final, Literal, NamedTuple

import msgspec

from holdfast.functions.messages import CALL_BYTES

SETUP_VARIABLE: Final = "HOLDFAST_WORKER"
CALL_VARIABLE: Final = "HOLDFAST_CALL_"
SOCKET_VARIABLE: Final = "HOLDFAST_WORKER_SOCKET"
"""Where the agent listens for its workers; set by the agent. Beside it is the folder ``workers`` with their records."""
PIECE_CHARS: Final = 100 * 1024
"""A variable may have 128 KiB (MAX_ARG_STRLEN, execve(2))."""

POOL: Final = "pool"
"""Last word of the command line of a worker that is asked over its socket."""
CALL: Final = "call"
"""Last word of the command line of a worker that makes one call and ends."""


class WorkerSetup(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker is.

    Attributes:
        kind: Of a pool: one call at a time in the main thread; in threads; as tasks of one loop.
        at_once: Of a pool of threads or coroutines: most calls that run at a time.
        pickles: The client opens pickles of results and exceptions.
        result: Of a single call: ``line``: standard output has the outcome, as one line (``outcome``), prints go to
            standard error; ``none``: exit status as of ``multiprocessing.Process``.
        sys_path: Searched for modules after the worker's own places.
        argv: ``sys.argv`` there.
        name: Of the process, for people.
    """

    kind: Literal["processes", "threads", "coroutines"] = "processes"
    at_once: int = 1
    pickles: bool = False
    result: Literal["line", "none"] = "line"
    sys_path: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    name: str = ""


class FirstCall(msgspec.Struct, frozen=True, array_like=True):
    """A call that travels with the start: function, flags and arguments as in ``calls``."""

    function: bytes
    flags: int
    arguments: bytes


class Orders(NamedTuple):
    """All that a worker is told at its start."""

    setup: WorkerSetup
    call: FirstCall | None


def environment(setup: WorkerSetup, call: FirstCall | None = None) -> dict[str, str]:
    """The variables that tell it.

    Raises:
        CallTooLarge: the call is longer than ``CALL_BYTES``.
    """
    variables = {SETUP_VARIABLE: msgspec.json.encode(setup).decode()}
    if call is not None:
        data = msgspec.msgpack.encode(call)
        if len(data) > CALL_BYTES:
            from holdfast.functions.errors import CallTooLarge

            raise CallTooLarge(f"function and arguments: {len(data)} bytes; the limit CALL_BYTES is {CALL_BYTES}")
        text = b64encode(data).decode()
        for number, at in enumerate(range(0, len(text), PIECE_CHARS)):
            variables[f"{CALL_VARIABLE}{number}"] = text[at : at + PIECE_CHARS]
    return variables


def take_orders(environ: MutableMapping[str, str]) -> Orders:
    """What these variables tell; they are not there any more.

    Raises:
        ValueError: they are not what ``environment`` makes.
    """
    setup = msgspec.json.decode(environ.pop(SETUP_VARIABLE, "{}"), type=WorkerSetup)
    pieces: list[str] = []
    while (piece := environ.pop(f"{CALL_VARIABLE}{len(pieces)}", None)) is not None:
        pieces.append(piece)
    if not pieces:
        return Orders(setup, None)
    return Orders(setup, msgspec.msgpack.decode(b64decode("".join(pieces), validate=True), type=FirstCall))
