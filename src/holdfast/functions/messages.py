"""The messages between a client and one of its workers, as bytes: a prefix of 13 bytes, then a body.

Everything is big-endian. The prefix holds the length of the body (4 bytes), the kind (1) and a number (8):

| kind | from | number | body |
|---|---|---|---|
| ATTACH | client | outcomes it has received | empty |
| DEFINE | client | function, by a number that calls use | how to get it (``calls``) |
| CALL | client | the call: 1, 2 ... | function (4 bytes), flags (1), seconds allowed (8, a double; 0: any), arguments |
| CANCEL | client | a call that is not wanted any more, unless it was begun | empty |
| ACK | client | outcomes it has received | empty |
| END | client | calls there were | empty |
| READY | worker | calls it has received | ``Ready`` |
| RESULT | worker | the call | how it is written (1 byte), the value (``calls``) |
| ERROR | worker | the call | ``calls.Raised`` |
| RETURNED | worker | the call, which was not begun | why, as UTF-8 |
| PROGRESS | worker | the call; 0: the only one there is | ``Progress`` |
| PACE | worker | microseconds that the calls ended since the last one took there, on the average | empty |

RESULT, ERROR and RETURNED are outcomes: each call has exactly one. ``pipe`` says what comes when.

This module knows bytes alone; it neither reads a clock nor opens a socket.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

import msgspec

ATTACH, DEFINE, CALL, CANCEL, ACK, END = 1, 2, 3, 4, 5, 6
READY, RESULT, ERROR, RETURNED, PROGRESS, PACE = 16, 17, 18, 19, 20, 21

PICKLED: Final = 1
"""Flag of a call: its arguments are a pickle."""

PREFIX_BYTES: Final = 13
MESSAGE_BYTES: Final = 256 * 1024 * 1024
"""Longest body: a function, the arguments of one call, or one result."""
CALL_BYTES: Final = 1024 * 1024
"""Function and arguments of a call that travels with the start of its worker: they pass through its environment."""
PROGRESS_CHARS: Final = 1000
"""Longest text of a progress."""

RECALLED: Final = b"recalled"
"""Why a call came back: the one before it takes long, and another worker may have it sooner."""
CANCELLED: Final = b"cancelled"
"""Why a call came back: it was asked back."""
NO_MODULE: Final = b"no module "
"""Why a call came back: its function or arguments are of a module that cannot be imported there; its name follows."""

_PREFIX: Final = Struct("!IBQ")
_CALL: Final = Struct("!IBQIBd")
_CALL_HEAD: Final = Struct("!IBd")
_CALL_HEAD_BYTES: Final = _CALL_HEAD.size
_call_head: Final = _CALL_HEAD.unpack_from
OUTCOMES: Final = frozenset((RESULT, ERROR, RETURNED))
"""The kinds of messages that end a call."""


class ConversationError(Exception):
    """The other end said something that cannot be; the connection is of no use any more."""


class Ready(msgspec.Struct, frozen=True, array_like=True):
    """What a worker says of itself. ``cpus``: how many processors it may use; 0: not told."""

    pid: int
    python: str = ""
    cpus: int = 0


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How far a call is: ``done`` of ``total`` (0: not known), and what it is doing."""

    done: float
    total: float = 0.0
    text: str = ""


class MessageParser:
    """Cuts a stream of bytes into messages, many at a time; ``most``: longest body."""

    __slots__ = ("_chunks", "_have", "_most", "_need")

    def __init__(self, most: int = MESSAGE_BYTES) -> None:
        self._most = most
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = PREFIX_BYTES

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """All messages that are complete now, as (kind, number, body).

        Raises:
            ConversationError: a body that is too long is announced.
        """
        if self._have:  # joined when a whole message is there: a long one is not copied with each of its chunks
            self._chunks.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._have = 0
        at, end = 0, len(data)
        messages: list[tuple[int, int, bytes]] = []
        unpack, add = _PREFIX.unpack_from, messages.append
        need = PREFIX_BYTES
        while end - at >= PREFIX_BYTES:
            length, kind, number = unpack(data, at)
            if length > self._most:
                raise ConversationError(f"a message of {length} bytes; the limit is {self._most}")
            body = at + PREFIX_BYTES
            after = body + length
            if after > end:
                need = PREFIX_BYTES + length
                break
            add((kind, number, data[body:after]))
            at = after
        self._need = need
        if at < end:
            self._chunks.append(data[at:] if at else data)
            self._have = end - at
        return messages


def encode(kind: int, number: int, body: bytes = b"") -> bytes:
    """A message as bytes."""
    return _PREFIX.pack(len(body), kind, number) + body


def encode_call(number: int, function: int, flags: int, limit_s: float, arguments: bytes) -> bytes:
    """A CALL as bytes."""
    return _CALL.pack(len(arguments) + _CALL_HEAD_BYTES, CALL, number, function, flags, limit_s) + arguments


def open_call(body: bytes) -> tuple[int, int, float, bytes]:
    """The body of a CALL: number of the function, flags, limit in seconds (0: none), arguments.

    Raises:
        ConversationError: it is too short for one.
    """
    if len(body) < _CALL_HEAD_BYTES:
        raise ConversationError(f"a CALL of {len(body)} bytes")
    function, flags, limit_s = _call_head(body)
    return function, flags, limit_s, body[_CALL_HEAD_BYTES:]


_pack: Final = msgspec.msgpack.Encoder().encode
_progress: Final = msgspec.msgpack.Decoder(Progress).decode
_ready: Final = msgspec.msgpack.Decoder(Ready).decode


def encode_ready(ready: Ready) -> bytes:
    """The body of a READY."""
    return _pack(ready)


def open_ready(body: bytes) -> Ready:
    """The body of a READY.

    Raises:
        ConversationError: it is none.
    """
    try:
        return _ready(body)
    except msgspec.DecodeError as exc:
        raise ConversationError(f"unreadable READY: {exc}") from exc


def encode_progress(progress: Progress) -> bytes:
    """The body of a PROGRESS; its text is cut at ``PROGRESS_CHARS``."""
    text = progress.text[:PROGRESS_CHARS].encode("utf-8", "replace").decode()
    return _pack(Progress(float(progress.done), float(progress.total), text))


def open_progress(body: bytes) -> Progress:
    """The body of a PROGRESS.

    Raises:
        ConversationError: it is none.
    """
    try:
        progress = _progress(body)
    except msgspec.DecodeError as exc:
        raise ConversationError(f"unreadable PROGRESS: {exc}") from exc
    if len(progress.text) > PROGRESS_CHARS:
        raise ConversationError(f"a text of {len(progress.text)} characters; the limit is {PROGRESS_CHARS}")
    return progress
