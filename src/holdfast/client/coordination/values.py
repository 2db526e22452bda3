"""What is put into queues, as bytes and back: plain values, and pickled ones where both sides have asked for it. Pure.

A pickle runs code when it is opened (pickle, Python's library reference). So it is opened only by who has said, for
this queue, that whoever can put into it may run code here; on one's own ``local`` agent that is oneself.
"""

from __future__ import annotations

from typing import Any, Literal

from holdfast.functions import codec
from holdfast.wire.limits import ITEM_BYTES

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


def priority_of(value: object, given: float | None) -> float:
    """What a queue of order ``priority`` sorts by: what was given, the value, or the first part of it.

    Raises:
        TypeError: neither is a number.
    """
    if given is not None:
        return float(given)
    first = value[0] if isinstance(value, (tuple, list)) and value else value
    if isinstance(first, bool) or not isinstance(first, (int, float)):
        raise TypeError(f"a {type(first).__name__} is no priority: put (number, value), or give priority=")
    return float(first)
