"""How a durable call has ended, as the one line on its job's standard output.

A JSON object with one key: ``value`` (``text``), ``pickle`` (base64) or ``error``, whose fields are those of
``raised.Raised``. So it can be read with any tool, and by another program of the same user years later.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from holdfast.functions import calls, codec, messages, raised, text

_dumps: Final = msgspec.json.Encoder().encode


class _Error(msgspec.Struct, frozen=True, omit_defaults=True):
    """``Raised`` by the names of its fields; bytes are base64."""

    module: str
    qualname: str
    text: str
    traceback: str = ""
    args: bytes | None = None
    pickle: bytes | None = None
    ran: Literal["no", "yes"] = "yes"


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    value: Any = msgspec.UNSET
    pickle: bytes | None = None
    error: _Error | None = None


_loads: Final = msgspec.json.Decoder(_Line).decode


def result_line(value: object, *, pickles: bool) -> bytes:
    """The line of a call that has returned; in the worker.

    Raises:
        CallRefused: the value is not plain, or cannot be pickled.
        CallTooLarge: it is longer than ``messages.MESSAGE_BYTES``.
    """
    if not pickles:
        codec.encode(value, "the result")  # says what is wrong with it
    if not pickles or codec.encode_if_plain(value) is not None:
        line = _dumps(_Line(value=text.tagged(value)))
    else:
        line = _dumps(_Line(pickle=calls.pickled(value, "the result")))
    if len(line) > messages.MESSAGE_BYTES:
        from holdfast.functions.errors import CallTooLarge

        raise CallTooLarge(f"the result: {len(line)} bytes; the limit MESSAGE_BYTES is {messages.MESSAGE_BYTES}")
    return line + b"\n"


def error_line(body: bytes) -> bytes:
    """The line of a call that has raised, from the body of an ERROR; in the worker."""
    return _dumps(_Line(error=_Error(*msgspec.structs.astuple(raised.fields(body))))) + b"\n"


def open_line(line: bytes, *, pickles: bool) -> Any:
    """What the call returned; in the client.

    Args:
        line: All of the job's standard output.
        pickles: Open a pickle if it is one.

    Raises:
        ValueError: this is no such line.
        CallRefused: it is a pickle, and must not be opened.
        BaseException: what the call has raised; or whatever opening the pickle raises.
    """
    try:
        told = _loads(line)
    except (msgspec.DecodeError, UnicodeError) as exc:
        raise ValueError(f"unreadable outcome: {exc}") from exc
    if told.error is not None:
        raise raised.rebuilt(raised.Raised(*msgspec.structs.astuple(told.error)), pickles=pickles)
    if told.pickle is not None:
        return calls.open_pickle(told.pickle, pickles=pickles)
    if told.value is msgspec.UNSET:
        raise ValueError("unreadable outcome: neither value nor error")
    return text.untagged(told.value)
