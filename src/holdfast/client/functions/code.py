"""A caller's function and arguments as bytes for one host: by name or value, plain or pickled, or refused at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from holdfast.client.functions.stable import Watch, watch
from holdfast.client.functions.tasks import MapTask
from holdfast.functions import calls
from holdfast.functions.errors import CallRefused, CallTooLarge

if TYPE_CHECKING:
    from holdfast.client.functions.tasks import AnyResults
    from holdfast.errors import HoldfastError


class Coder:
    """Writes calls for the workers of one host.

    Args:
        python: Version of the interpreter that runs workers there; empty: not told.
        host: What it is called in a refusal.
        local: Workers find the modules that this program finds.
    """

    def __init__(self, python: str, host: str, *, local: bool = False) -> None:
        self._local = local
        self._lacking: set[str] = set()
        self._known: WeakKeyDictionary[Any, tuple[bytes, Watch | None]] = WeakKeyDictionary()
        self._refusal = ""
        ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
        theirs = ".".join(python.split(".")[:2])
        if theirs not in ("", ours):
            self._refusal = (
                f"this is Python {ours}, and workers of {host} run {theirs}: nothing can be sent there as a pickle, "
                "only functions of modules that are installed there, with plain values"
            )

    def lacks(self, module: str) -> None:
        """Workers cannot import this module: what is defined in it goes by value."""
        self._lacking.add(module)
        self._known.clear()

    def function(self, function: Callable[..., object], *, sure: bool = False) -> bytes:
        """How a worker gets this function, as the body of a DEFINE.

        Args:
            function: Anything that can be called.
            sure: There is no second try with the code if the worker lacks its module, so what is not installed goes by
                value at once.

        Raises:
            CallRefused: it cannot be pickled, or pickles are of no use there.
            CallTooLarge: it is too long.
        """
        try:
            known = self._known.get(function)
        except TypeError:  # of a kind that cannot be looked up
            known = None
        if known is not None and (known[1] is None or known[1].holds()):
            return known[0]
        if sure and not self._local and not self._refusal:
            self._take_own_code(function)
        body = calls.encode_function(function, by_value=self._by_value(function))
        watched = None
        if calls.needs_pickle(body):
            self.check_pickles("the function")
            watched = watch(function)
            if watched is None:
                return body
        try:
            self._known[function] = body, watched
        except TypeError:
            pass
        return body

    def arguments(self, args: Sequence[object], kwargs: Mapping[str, object]) -> tuple[int, bytes]:
        """Flags and bytes of the arguments of a CALL.

        Raises:
            CallRefused: something in them cannot be pickled, or pickles are of no use there; the message says what.
            CallTooLarge: they are too long.
        """
        flags, data = calls.encode_arguments(args, kwargs)
        if flags and self._refusal:
            self.check_pickles("some of the arguments")
        return flags, data

    def map(
        self, function: Callable[..., Any], iterables: tuple[Iterable[Any], ...], limit_s: float, results: AnyResults
    ) -> Iterator[MapTask]:
        """The calls of a map; what is wrong with one is its result."""
        refusal: HoldfastError | None = None
        body = b""
        try:
            body = self.function(function)
        except (CallRefused, CallTooLarge) as error:
            refusal = error
        for args in zip(*iterables, strict=False):
            index = results.expect()
            if refusal is not None:
                results.put(index, None, refusal)
                continue
            try:
                flags, arguments = self.arguments(args, {})
            except (CallRefused, CallTooLarge) as error:
                results.put(index, None, error)
                continue
            yield MapTask(body, flags, arguments, limit_s, results, index)

    def check_pickles(self, what: str) -> None:
        """Refuse what travels as a pickle if nobody can be sure to open it.

        Raises:
            CallRefused: the host has another Python version.
        """
        if self._refusal:
            raise CallRefused(f"{what} must be pickled, but {self._refusal}")

    def _take_own_code(self, function: object) -> None:
        """A module of this program's own, which is installed nowhere, is taken for missing."""
        name = getattr(function, "__module__", None) or ""
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not file.startswith((sys.prefix, sys.base_prefix)):
            calls.send_by_value(name)
            self.lacks(name)

    def _by_value(self, function: object) -> bool:
        if not self._lacking:
            return False
        module = getattr(function, "__module__", None) or ""
        return any(module == lacking or module.startswith(f"{lacking}.") for lacking in self._lacking)
