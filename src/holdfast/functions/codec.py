"""Plain values as bytes and back: None, bool, int, float, str, bytes, list, tuple, dict and set, and nothing else.

Rules of this module:

* What is decoded equals what was encoded, in type, too. Values of other types, of subclasses as well, are refused by
  name and with the place where they were found; nothing is converted in silence.
* Decoding builds these ten types, whatever the bytes say (and dates, of which MessagePack has a type; we write none).
* The bytes are MessagePack. It knows no tuples, sets, keys that are tuples, integers beyond 64 bits and text that is
  not Unicode (as file names may be): those are extension types, of the numbers below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import DecodeError
from msgspec.msgpack import Decoder, Encoder, Ext

_SCALARS: Final = frozenset((type(None), bool, int, float, str, bytes))
_TUPLE, _SET, _PAIRS, _INT, _TEXT = 1, 2, 3, 4, 5
"""Extension types: an array each, of the elements or of keys and values in turn; a big-endian integer; UTF-8 in which
surrogates stand for themselves."""
_INT_LEAST, _INT_MOST = -(2**63), 2**64 - 1

_pack: Final = Encoder().encode


def encode(value: object, place: str = "value") -> bytes:
    """A plain value as bytes.

    Args:
        value: Anything that is made of the ten types.
        place: What it is called in a refusal.

    Raises:
        CallRefused: it holds something else; the message says what and where.
    """
    data = encode_if_plain(value)
    if data is None:
        from holdfast.functions.errors import CallRefused  # costs more to import than all the rest of a worker

        raise CallRefused(_objection(value, place))
    return data


def encode_if_plain(value: object) -> bytes | None:
    """As ``encode``; None: it is not plain, or nested too deeply."""
    try:
        return _pack(_tagged(value, hard=False))
    except (OverflowError, UnicodeEncodeError):  # rare, so nothing is looked at one by one before
        return _pack(_tagged(value, hard=True))
    except (_NotPlain, RecursionError):
        return None


def decode(data: bytes | memoryview) -> Any:
    """The value that was encoded.

    Raises:
        ValueError: these bytes are no value.
    """
    try:
        return _unpack(data)
    except (DecodeError, RecursionError, UnicodeDecodeError, TypeError) as exc:  # TypeError: an unhashable key
        raise ValueError(f"unreadable value: {exc}") from exc


class _NotPlain(Exception):
    """Something else than the ten types was met."""


def _tagged(value: Any, *, hard: bool) -> Any:
    """``value`` with all that MessagePack does not know replaced by extension types.

    ``hard``: it holds integers or text that MessagePack does not take, too.
    """
    kind = type(value)
    if kind in _SCALARS:
        return _tagged_scalar(value) if hard else value
    if kind is list:
        return value if not hard and _SCALARS.issuperset(map(type, value)) else [_tagged(v, hard=hard) for v in value]
    if kind is tuple:
        return Ext(_TUPLE, _pack(_tagged(list(value), hard=hard)))
    if kind is dict:
        if hard or not _SCALARS.issuperset(map(type, value)):
            return Ext(_PAIRS, _pack([_tagged(each, hard=hard) for pair in value.items() for each in pair]))
        if _SCALARS.issuperset(map(type, value.values())):
            return value
        return {key: _tagged(each, hard=hard) for key, each in value.items()}
    if kind is set:
        return Ext(_SET, _pack(_tagged(list(value), hard=hard)))
    raise _NotPlain


def _tagged_scalar(value: Any) -> Any:
    if type(value) is int and not _INT_LEAST <= value <= _INT_MOST:
        return Ext(_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if type(value) is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return Ext(_TEXT, value.encode("utf-8", "surrogatepass"))
    return value


def _untagged(code: int, data: memoryview) -> Any:
    if code == _TUPLE:
        return tuple(_elements(data))
    if code == _SET:
        return set(_elements(data))
    if code == _PAIRS:
        flat = _elements(data)
        if len(flat) % 2:
            raise DecodeError("a key without a value")
        return dict(zip(flat[::2], flat[1::2], strict=True))
    if code == _INT:
        return int.from_bytes(data, "big", signed=True)
    if code == _TEXT:
        return bytes(data).decode("utf-8", "surrogatepass")
    raise DecodeError(f"extension type {code}")


def _elements(data: memoryview) -> list[Any]:
    found = _unpack(data)
    if type(found) is not list:
        raise DecodeError("an extension that holds no array")
    return found


_unpack: Final = Decoder(ext_hook=_untagged).decode


def _objection(value: Any, place: str) -> str:
    """What is wrong with a value that is not plain: the first thing that is not, and where it is."""
    try:
        return next(_objections(value, place))
    except RecursionError:
        return f"{place} is nested too deeply, or contains itself"


def _objections(value: Any, place: str) -> Iterator[str]:
    kind = type(value)
    if kind in (list, tuple):
        for index, each in enumerate(value):
            yield from _objections(each, f"{place}[{index}]")
    elif kind is set:
        for each in value:
            yield from _objections(each, f"an element of {place}")
    elif kind is dict:
        for key, each in value.items():
            yield from _objections(key, f"a key of {place}")
            yield from _objections(each, f"{place}[{key!r:.80}]")
    elif kind not in _SCALARS:
        name = type_name(kind)
        yield f"{place} is {'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def type_name(kind: type) -> str:
    """A type as people write it: without the module for builtins."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
