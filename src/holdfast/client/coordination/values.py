"""What is put into queues, as bytes and back: plain values, and pickled ones where both sides have asked for it. Pure.

A pickle runs code when it is opened (pickle, Python's library reference). So it is opened only by who has said, for
this queue, that whoever can put into it may run code here; on one's own ``local`` agent that is oneself.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack
from typing import Any, Literal

from holdfast.functions import codec
from holdfast.wire.limits import ITEM_BYTES, RANK_CHARS

Values = Literal["plain", "pickle"]
_PLAIN, _PICKLED = b"p", b"k"


def encode(value: object, values: Values, name: str) -> bytes:
    """A value as the bytes of an item.

    Raises:
        CallRefused: it is not plain (and ``values`` is), or cannot be pickled.
        CallTooLarge: more than ``ITEM_BYTES``.
    """
    plain = codec.encode_if_plain(value) if values == "pickle" else codec.encode(value, "item")
    data = _PLAIN + plain if plain is not None else _PICKLED + _pickled(value)
    if len(data) > ITEM_BYTES:
        from holdfast.functions.errors import CallTooLarge

        raise CallTooLarge(f"an item of {len(data)} bytes for queue {name!r}; the limit (ITEM_BYTES) is {ITEM_BYTES}")
    return data


def decode(data: bytes, values: Values, name: str) -> Any:
    """The value of an item.

    Raises:
        CallRefused: it is pickled, and this side has not asked for that; or nobody knows what it is.
    """
    kind, rest = data[:1], data[1:]
    if kind == _PLAIN:
        return codec.decode(rest)
    from holdfast.functions.errors import CallRefused

    if kind != _PICKLED:
        raise CallRefused(f"an item of queue {name!r} was not put by Holdfast's queues")
    if values != "pickle":
        raise CallRefused(f"an item of queue {name!r} is pickled, and pickles run code: open it with values='pickle'")
    from holdfast.functions import pickles

    return pickles.loads(rest)


def _pickled(value: object) -> bytes:
    from holdfast.functions import pickles

    try:
        return pickles.dumps(value)
    except Exception as exc:
        from holdfast.functions.errors import CallRefused

        raise CallRefused(f"the item cannot be pickled: {exc}") from exc


def order_of(value: object, given: float | None) -> tuple[float, str]:
    """Priority and rank by which a queue of order ``priority`` sorts: of what was given, else of the value itself.

    Ranks compare as the values do: numbers, str, bytes, and tuples and lists of them, part by part. A part that is
    something else ends the comparison, so that a payload behind the priority need not be comparable; what is the same
    up to there, or for ``RANK_CHARS``, comes in the order of arrival. Numbers compare as floats.

    Raises:
        TypeError: the value is none of these, and does not begin with one.
    """
    if given is not None:
        return float(given), ""
    parts = list(value) if isinstance(value, (tuple, list)) else [value]
    if parts and isinstance(parts[0], (int, float)):
        return float(parts[0]), _rank(parts[1:])[:RANK_CHARS]
    if parts and not isinstance(parts[0], (str, bytes, tuple, list)):
        kind = type(parts[0]).__name__
        raise TypeError(f"a {kind} has no place in a line: put (number, value), or give priority=")
    return 0.0, _rank(parts)[:RANK_CHARS]


def _rank(parts: Iterable[object]) -> str:
    """Text that compares as these parts do. Each is a mark of its kind and itself, ended by what is below all else."""
    text = ""
    for part in parts:
        if isinstance(part, (int, float)):
            text += f"1{_number(float(part)):016x}"
        elif isinstance(part, (str, bytes)):
            mark, chars = ("2", part) if isinstance(part, str) else ("3", part.decode("latin-1"))
            escaped = chars.replace("\1", "\1\2").replace("\0", "\1\1")
            text += mark + escaped.encode("utf-8", "replace").decode() + "\0"
        elif isinstance(part, (tuple, list)):
            text += ("4" if isinstance(part, tuple) else "5") + _rank(part) + "\0"
        else:
            break
    return text


def _number(value: float) -> int:
    """64 bits that compare as the float does (those of a negative one count down)."""
    bits = int.from_bytes(pack(">d", value + 0.0), "big")
    return bits ^ (2**64 - 1 if bits >> 63 else 1 << 63)
