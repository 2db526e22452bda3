"""Exceptions as bytes, and back: what a function raised there, raised here.

Rules of this module:

* Type name, message, arguments if they are plain, and the traceback as text travel always; the exception itself, as a
  pickle, only to clients that open pickles.
* What is raised here is a ``RemoteError``. If the type is a builtin, or a class of a module that is imported here
  already, it is one of that type, too, so ``except ValueError`` works. Nothing is imported, and no code of that class
  runs: its instance is made without its ``__init__``.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from holdfast.functions import codec

if TYPE_CHECKING:
    from types import TracebackType

    from holdfast.functions.errors import RemoteError

TEXT_CHARS: Final = 64 * 1024
"""Longest message."""
TRACEBACK_CHARS: Final = 256 * 1024
"""Longest traceback; of a longer one both ends are kept."""
ARGS_BYTES: Final = 64 * 1024
"""Longest arguments of an exception."""


class Raised(msgspec.Struct, frozen=True, array_like=True):
    """The body of an ERROR.

    Attributes:
        module: Of the exception's type.
        qualname: Of the exception's type.
        text: ``str()`` of it.
        traceback: As Python would have printed it there, without the worker's own part.
        args: Its ``args`` (``codec``), if they are plain.
        pickle: The exception itself, if the client opens pickles and it has one.
        ran: Whether the function was called at all.
    """

    module: str
    qualname: str
    text: str
    traceback: str = ""
    args: bytes | None = None
    pickle: bytes | None = None
    ran: Literal["no", "yes"] = "yes"


_ERRORS: Final = "holdfast.functions.errors"

_pack: Final = msgspec.msgpack.Encoder().encode
_raised: Final = msgspec.msgpack.Decoder(Raised).decode


def encode_error(error: BaseException, *, pickles: bool, own: str = "") -> bytes:
    """The body of an ERROR; in the worker.

    Args:
        error: What was raised.
        pickles: The client opens pickles.
        own: File name of the worker's own code, whose frames at the beginning of the traceback tell nothing.
    """
    kind = type(error)
    args = [*error.args]
    if isinstance(error, OSError) and len(args) == 2 and error.filename is not None:
        args.append(error.filename)  # taken out of them by OSError itself
    plain = codec.encode_if_plain(args)
    return _pack(
        Raised(
            kind.__module__,
            kind.__qualname__,
            _text(error),
            _formatted(error, own),
            plain if plain is not None and len(plain) <= ARGS_BYTES else None,
            _pickled(error) if pickles else None,
        )
    )


def encode_refusal(text: str) -> bytes:
    """The body of an ERROR: the function was not called, a ``CallUnreadable`` says why; in the worker."""
    return _pack(Raised(_ERRORS, "CallUnreadable", _clean(text[:TEXT_CHARS]), ran="no"))


def encode_timeout(text: str, traceback: str) -> bytes:
    """The body of an ERROR: a ``CallTimeout``, with what the function was doing then; in the worker."""
    return _pack(Raised(_ERRORS, "CallTimeout", _clean(text), _clean(traceback[-TRACEBACK_CHARS:])))


def open_error(body: bytes, *, pickles: bool) -> BaseException:
    """The exception to be raised; in the client.

    Args:
        body: Of an ERROR.
        pickles: Open a pickle if there is one.

    Raises:
        ValueError: this is no ERROR.
    """
    return rebuilt(fields(body), pickles=pickles)


def fields(body: bytes) -> Raised:
    """The body of an ERROR, taken apart.

    Raises:
        ValueError: this is no ERROR.
    """
    try:
        return _raised(body)
    except msgspec.DecodeError as exc:
        raise ValueError(f"unreadable error: {exc}") from exc


def rebuilt(raised: Raised, *, pickles: bool) -> BaseException:
    """The exception to be raised, as ``open_error`` gives it."""
    error: BaseException | None = None
    if pickles and raised.pickle is not None:
        error = _unpickled(raised.pickle)
    if error is None:
        error = _ours(raised) or _of_its_type(raised) or _plainly(raised)
    if raised.traceback:
        error.__cause__ = _remote_traceback(raised.traceback)
    return error


# --- in the worker ---------------------------------------------------------------------------------------------------


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as exc:  # its own __str__ is broken, which is not what the caller wants to know
        text = f"<no text: {type(exc).__name__}>"
    return _clean(text[:TEXT_CHARS])


def _formatted(error: BaseException, own: str) -> str:
    import traceback

    frames: TracebackType | None = error.__traceback__
    while frames is not None and own and frames.tb_frame.f_code.co_filename == own:
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    except Exception as exc:  # a __str__ or a source line that cannot be had
        text = f"{type(error).__name__}: {_text(error)} (no traceback: {type(exc).__name__})\n"
    if len(text) > TRACEBACK_CHARS:
        half = TRACEBACK_CHARS // 2
        text = f"{text[:half]}\n... {len(text) - 2 * half} characters are left out ...\n{text[-half:]}"
    return _clean(text)


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _pickled(error: BaseException) -> bytes | None:
    from holdfast.functions import pickles

    try:
        return pickles.dumps(error)
    except Exception:
        return None  # it goes as text


# --- in the client ---------------------------------------------------------------------------------------------------


def _unpickled(data: bytes) -> BaseException | None:
    """None: it cannot be opened, as when its type wants other arguments than it keeps."""
    from holdfast.functions import pickles

    try:
        error = pickles.loads(data)
    except Exception:
        return None
    return error if isinstance(error, BaseException) else None


def _ours(raised: Raised) -> BaseException | None:
    """What the worker itself says about a call."""
    from holdfast.functions import errors

    for kind in (errors.CallTimeout, errors.CallUnreadable, errors.CallRefused, errors.CallTooLarge):
        if (raised.module, raised.qualname) == (kind.__module__, kind.__qualname__):
            return kind(raised.text, ran=raised.ran)
    return None


def _plainly(raised: Raised) -> RemoteError:
    from holdfast.functions.errors import RemoteError

    kind = f"{raised.module}.{raised.qualname}"
    return RemoteError(f"{kind}: {raised.text}", kind=kind, text=raised.text, remote_traceback=raised.traceback)


def _of_its_type(raised: Raised) -> RemoteError | None:
    kind = _known_type(raised.module, raised.qualname)
    if kind is None:
        return None
    try:
        return _instance(kind, raised)
    except Exception:
        return None  # a type that does not go together with another one: RemoteError alone says it


def _known_type(module: str, qualname: str) -> type[BaseException] | None:
    """The type of this name if it is here already; only looked up, so that no module's ``__getattr__`` imports it."""
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    if not isinstance(found, type) or not issubclass(found, BaseException):
        return None
    return found if (found.__module__, found.__qualname__) == (module, qualname) else None


@lru_cache(maxsize=256)
def _remote_type(kind: type[BaseException]) -> type[RemoteError]:
    from holdfast.functions.errors import RemoteError

    made: type[RemoteError] = type(
        kind.__name__,
        (RemoteError, kind),
        {
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
            "__str__": lambda self: self.text,
            "__reduce__": lambda self: (_again, (self.raised,)),
        },
    )
    return made


def _instance(kind: type[BaseException], raised: Raised) -> RemoteError:
    args = tuple(codec.decode(raised.args)) if raised.args is not None else (raised.text,)
    builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    made = _remote_type(kind)  # type: ignore[arg-type]
    error: RemoteError
    try:
        error = builtin.__new__(made, *args)
    except TypeError:  # MemoryError, whose own one is for instances kept in reserve
        error = BaseException.__new__(made, *args)
    try:
        builtin.__init__(error, *args)  # the numbers of an OSError, the code of a SystemExit
    except TypeError:
        pass  # not the arguments that this type is made of; ``args`` has them all the same
    error.__dict__.update(
        kind=f"{raised.module}.{raised.qualname}", text=raised.text, remote_traceback=raised.traceback, raised=raised
    )
    return error


def _again(raised: Raised) -> BaseException:
    return rebuilt(raised, pickles=False)


def _remote_traceback(text: str) -> Exception:
    """As ``concurrent.futures`` shows what was raised in another process."""
    from concurrent.futures.process import _RemoteTraceback

    return _RemoteTraceback(f'\n"""\n{text}"""')  # type: ignore[arg-type]
