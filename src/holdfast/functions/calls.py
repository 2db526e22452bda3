"""Functions, arguments, results and exceptions as bytes, and back.

Rules of this module:

* What is plain (``codec``) travels plain, whatever else is allowed; a pickle is made only of what is not.
* A function goes by ``module:qualname`` where it can be had that way, else as a pickle.
* The worker opens pickles. The client opens those of results and exceptions if it said so for its pool; nothing is ever
  imported in it by a name from the wire.
* An exception is a ``RemoteError``, and one of its own type as well if that type is a builtin or already there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast.functions import codec, messages

if TYPE_CHECKING:
    from types import ModuleType

_BY_NAME, _BY_VALUE = b"n", b"v"
_PLAIN, _PICKLE = b"p", b"v"
_SCALARS: Final = frozenset((type(None), bool, int, float, str, bytes))
_pack: Final = msgspec.msgpack.Encoder().encode


class CannotLoad(Exception):
    """The worker cannot make sense of function or arguments; nothing was called.

    Attributes:
        module: What cannot be imported there, or None if that is not the reason.
    """

    def __init__(self, message: str, module: str | None = None) -> None:
        super().__init__(message)
        self.module = module


# --- functions -------------------------------------------------------------------------------------------------------


def reference(function: object) -> tuple[str, str] | None:
    """Module and qualified name by which a function can be had again; None: there is no such way."""
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str) or module == "__main__" or "<" in qualname:
        return None
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return (module, qualname) if found is function else None


def encode_function(function: Callable[..., object], *, by_value: bool = False) -> bytes:
    """How a worker can get this function, as the body of a DEFINE.

    Args:
        function: Anything that can be called.
        by_value: Its module cannot be imported there.

    Raises:
        CallRefused: it cannot be pickled, or is too long.
    """
    named = None if by_value else reference(function)
    if named is not None:
        return _BY_NAME + ":".join(named).encode()
    return _within_limit(_BY_VALUE + pickled(function, "the function"), "the function")


def needs_pickle(body: bytes) -> bool:
    """Whether a function travels as a pickle, which only the same Python version is sure to understand."""
    return body[:1] == _BY_VALUE


def load_function(body: bytes) -> Callable[..., Any]:
    """The function; in the worker.

    Raises:
        CannotLoad: there is no such module or name, or the pickle cannot be opened.
    """
    if body[:1] == _BY_VALUE:
        function = _opened(body[1:], "the function")
    else:
        module, _, qualname = body[1:].decode().partition(":")
        from importlib import import_module

        try:
            function = import_module(module)
        except ModuleNotFoundError as exc:
            raise CannotLoad(f"{exc}", exc.name or module) from exc
        except Exception as exc:
            raise CannotLoad(f"importing {module} failed: {type(exc).__name__}: {exc}") from exc
        for name in qualname.split("."):
            try:
                function = getattr(function, name)
            except AttributeError:  # another version of the module: as good as none
                raise CannotLoad(f"module {module} has no {qualname}", module) from None
    if not callable(function):
        raise CannotLoad(f"{body[1:100]!r} is not callable")
    return function  # type: ignore[no-any-return]


def send_by_value(module: str) -> ModuleType | None:
    """A worker lacks this module: let what is defined in it travel as code from now on. None: nor have we it."""
    found = sys.modules.get(module)
    if found is not None:
        from holdfast.functions import pickles

        pickles.send_by_value(found)
    return found


# --- arguments -------------------------------------------------------------------------------------------------------


def encode_arguments(args: Sequence[object], kwargs: Mapping[str, object]) -> tuple[int, bytes]:
    """Flags and arguments of a CALL.

    Raises:
        CallRefused: something cannot be pickled; the message says what.
        CallTooLarge: longer than ``messages.MESSAGE_BYTES``.
    """
    if not kwargs and _SCALARS.issuperset(map(type, args)):
        try:
            return 0, _within_limit(_pack((args, kwargs)), "the arguments")
        except (OverflowError, UnicodeEncodeError):
            pass
    plain = codec.encode_if_plain([list(args), dict(kwargs)])
    if plain is not None:
        return 0, _within_limit(plain, "the arguments")
    try:
        data = _dumps((tuple(args), dict(kwargs)))
    except Exception:
        for place, value in (*((f"args[{i}]", v) for i, v in enumerate(args)), *kwargs.items()):
            pickled(value, place)  # raises where the trouble is
        data = pickled((tuple(args), dict(kwargs)), "the arguments")
    return messages.PICKLED, _within_limit(data, "the arguments")


def open_arguments(flags: int, data: bytes) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Positional and keyword arguments; in the worker.

    Raises:
        CannotLoad: they cannot be opened.
    """
    if flags & messages.PICKLED:
        return _opened(data, "the arguments")  # type: ignore[no-any-return]
    try:
        args, kwargs = codec.decode(data)
    except ValueError as exc:
        raise CannotLoad(f"the arguments: {exc}") from exc
    return args, kwargs


# --- results ---------------------------------------------------------------------------------------------------------


def encode_result(value: object, *, pickles: bool) -> bytes:
    """The body of a RESULT; in the worker.

    Args:
        value: What the function returned.
        pickles: The client takes pickles.

    Raises:
        CallRefused: it is not plain, or cannot be pickled.
        CallTooLarge: longer than ``messages.MESSAGE_BYTES``.
    """
    if not pickles:
        return _within_limit(_PLAIN + codec.encode(value, "the result"), "the result")
    plain = codec.encode_if_plain(value)
    if plain is not None:
        return _within_limit(_PLAIN + plain, "the result")
    return _within_limit(_PICKLE + pickled(value, "the result"), "the result")


def open_result(body: bytes, *, pickles: bool) -> Any:
    """What the function returned; in the client.

    Args:
        body: Of a RESULT.
        pickles: Open one if it is one.

    Raises:
        CallRefused: it is a pickle and must not be opened.
        ValueError: it is no result.
        Exception: whatever opening the pickle raises.
    """
    form = body[:1]
    if form == _PLAIN:
        return codec.decode(memoryview(body)[1:])
    if form == _PICKLE:
        return open_pickle(body[1:], pickles=pickles)
    raise ValueError(f"a result of form {form!r}")


def open_pickle(data: bytes, *, pickles: bool) -> Any:
    """What a result was that is not plain; in the client.

    Raises:
        CallRefused: pickles must not be opened.
        Exception: whatever opening it raises.
    """
    if not pickles:
        from holdfast.functions.errors import CallRefused

        raise CallRefused('the result is a pickle, which only results="pickle" opens', ran="yes")
    from holdfast.functions.pickles import loads

    return loads(data)


def pickled(value: object, place: str) -> bytes:
    """The pickle of a value that is called so.

    Raises:
        CallRefused: it cannot be pickled; a ``pickle.PicklingError`` as well if that is what pickling has raised.
    """
    try:
        return _dumps(value)
    except Exception as exc:
        from holdfast.functions.pickles import refusal

        raise refusal(exc)(f"{place} cannot be sent: {type(exc).__name__}: {exc}") from exc


# --- inside ----------------------------------------------------------------------------------------------------------


def _dumps(value: object) -> bytes:
    from holdfast.functions.pickles import dumps

    return dumps(value)


def _opened(data: bytes, what: str) -> Any:
    from holdfast.functions.pickles import loads

    try:
        return loads(data)
    except ModuleNotFoundError as exc:
        raise CannotLoad(f"{what}: {exc}", exc.name) from exc
    except (Exception, SystemExit) as exc:
        raise CannotLoad(f"{what} cannot be opened: {type(exc).__name__}: {exc}") from exc


def _within_limit(data: bytes, what: str) -> bytes:
    if len(data) > messages.MESSAGE_BYTES - 64:  # what stands before it in a CALL
        from holdfast.functions.errors import CallTooLarge

        raise CallTooLarge(f"{what}: {len(data)} bytes; the limit MESSAGE_BYTES is {messages.MESSAGE_BYTES}")
    return data
