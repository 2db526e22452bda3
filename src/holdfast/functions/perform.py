"""One call, made: from its bytes to the bytes of its outcome. Everything that a function can do wrong ends here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from holdfast.functions.calls import CannotLoad, encode_result, load_function, open_arguments
from holdfast.functions.messages import ERROR, NO_MODULE, RESULT, RETURNED

if TYPE_CHECKING:
    from holdfast.functions.pipe import Asked

_HERE: Final = __file__


def loaded(asked: Asked) -> tuple[Callable[..., Any], Any, Any]:
    """Function, positional and keyword arguments.

    Raises:
        CannotLoad: they cannot be had here.
    """
    function: Any = asked.function.loaded
    if function is None:
        function = asked.function.loaded = load_function(asked.function.body)
    return (function, *open_arguments(asked.flags, asked.arguments))


def perform(asked: Asked, *, pickles: bool) -> tuple[int, bytes]:
    """Make a call: kind and body of its outcome. Raises nothing, whatever the function does.

    Args:
        asked: The call.
        pickles: The client opens pickles.
    """
    try:
        function, args, kwargs = loaded(asked)
        return RESULT, encode_result(function(*args, **kwargs), pickles=pickles)
    except CannotLoad as error:
        return unloadable(error)
    except BaseException as error:
        return failed(error, pickles=pickles)


def failed(error: BaseException, *, pickles: bool, own: str = _HERE) -> tuple[int, bytes]:
    """The outcome of a call that has raised this. ``own``: the file that has called the function."""
    from holdfast.functions.raised import encode_error

    return ERROR, encode_error(error, pickles=pickles, own=own)


def unloadable(error: CannotLoad) -> tuple[int, bytes]:
    """The outcome of a call that could not be begun."""
    if error.module is not None:
        return RETURNED, NO_MODULE + error.module.encode("utf-8", "replace")
    from holdfast.functions.raised import encode_refusal

    return ERROR, encode_refusal(str(error))


def flush_prints() -> None:
    """What a function has printed without ending its line goes out; one that closes its output is free to."""
    try:
        sys.stdout.flush()
    except Exception:
        pass
