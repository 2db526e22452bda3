"""Plain values as JSON text and back: the same ten types as in ``codec``, for lines that people may look at, too.

What JSON has is written as it is. Everything else is an object with one key: ``$tuple``, ``$set`` (arrays), ``$pairs``
(an array of keys and values in turn), ``$bytes`` (base64), ``$text`` (of surrogates: base64), ``$float`` (``nan``,
``inf``, ``-inf``) and ``$int`` (beyond 64 bits). An object of the caller's with such a key is written as ``$pairs``.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from math import isfinite
from typing import Any, Final

import msgspec

from holdfast.functions import codec

_INT_LEAST, _INT_MOST = -(2**63), 2**63 - 1
_dumps: Final = msgspec.json.Encoder().encode
_loads: Final = msgspec.json.Decoder().decode


def encode(value: object, place: str = "value") -> bytes:
    """A plain value as JSON, without line breaks.

    Raises:
        CallRefused: it is not plain; see ``codec.encode``.
    """
    codec.encode(value, place)  # the one judge of what is plain
    return _dumps(tagged(value))


def decode(data: bytes) -> Any:
    """The value that was encoded.

    Raises:
        ValueError: this is none.
    """
    try:
        return untagged(_loads(data))
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError, KeyError) as exc:
        raise ValueError(f"unreadable value: {exc}") from exc


def tagged(value: Any) -> Any:
    """A plain value as what JSON can hold."""
    kind = type(value)
    if kind is list:
        return [tagged(each) for each in value]
    if kind is tuple:
        return {"$tuple": [tagged(each) for each in value]}
    if kind is set:
        return {"$set": [tagged(each) for each in value]}
    if kind is dict:
        if all(type(key) is str and key[:1] != "$" and _is_unicode(key) for key in value):
            return {key: tagged(each) for key, each in value.items()}
        return {"$pairs": [tagged(each) for pair in value.items() for each in pair]}
    if kind is bytes:
        return {"$bytes": b64encode(value).decode()}
    if kind is float and not isfinite(value):
        return {"$float": repr(value)}
    if kind is int and not _INT_LEAST <= value <= _INT_MOST:
        return {"$int": hex(value)}  # decimal digits are limited in number (sys.set_int_max_str_digits)
    if kind is str and not _is_unicode(value):
        return {"$text": b64encode(value.encode("utf-8", "surrogatepass")).decode()}
    return value


def untagged(value: Any) -> Any:
    """The value of what JSON held.

    Raises:
        ValueError: an unknown tag, or one that holds something else than it should.
    """
    if type(value) is list:
        return [untagged(each) for each in value]
    if type(value) is not dict:
        return value
    tag = next(iter(value), "")
    if tag[:1] != "$":
        return {key: untagged(each) for key, each in value.items()}
    if len(value) != 1 or tag not in _TAGS:
        raise ValueError(f"unknown tag {tag}")
    kind, build = _TAGS[tag]
    held = value[tag]
    if not isinstance(held, kind):
        raise ValueError(f"{tag} holds a {type(held).__name__}")  # noqa: TRY004 - of a text that is wrong
    return build([untagged(each) for each in value[tag]] if kind is list else held)


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_TAGS: Final[dict[str, tuple[type, Any]]] = {
    "$tuple": (list, tuple),
    "$set": (list, set),
    "$pairs": (list, lambda flat: dict(zip(flat[::2], flat[1::2], strict=True))),
    "$bytes": (str, lambda text: b64decode(text, validate=True)),
    "$text": (str, lambda text: b64decode(text, validate=True).decode("utf-8", "surrogatepass")),
    "$float": (str, float),
    "$int": (str, lambda text: int(text, 16)),
}
