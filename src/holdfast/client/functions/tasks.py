"""One call of a pool, on its way from the caller to a worker and back. Pure.

A task is what the schedule hands around. It knows who waits for it, and turns an outcome of the conversation into a
result or an exception; that may run code of the caller's (a pickle is opened), so it is done without any lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.functions import calls
from holdfast.functions.messages import RESULT, ConversationError, open_progress
from holdfast.functions.raised import open_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from holdfast.client.functions.futures import Maker
    from holdfast.functions.messages import Progress

    class Waker(Protocol):
        """Something to be told once that results have come, however many they are."""

        def wake(self) -> None: ...

    class AnyFuture(Protocol):
        """What both kinds of futures let a task do; see ``futures.Future``."""

        def cancelled(self) -> bool: ...
        def _made_by(self, maker: Maker) -> None: ...
        def _claim(self) -> bool: ...
        def _unclaim(self) -> None: ...
        def _end(self, result: Any, error: BaseException | None) -> None: ...
        def _give_up(self) -> None: ...
        def _tell_progress(self, progress: Progress, callback: Callable[[Progress], None] | None) -> None: ...

    class AnyResults(Waker, Protocol):
        """What both kinds of maps let a task do; see ``futures.MapResults``."""

        given_up: bool

        def expect(self) -> int: ...
        def put(self, index: int, value: Any, error: BaseException | None = None) -> None: ...

    class Desk(Protocol):
        """Who made the tasks of a pool."""

        def kill(self, task: Task) -> None: ...
        def call_back(self, act: Callable[[], None]) -> None: ...


class Task:
    """Base: one call.

    Attributes:
        function: How to get it (``calls.encode_function``).
        flags: ``messages.PICKLED`` or 0, of the arguments.
        arguments: As ``calls.encode_arguments`` made them.
        limit_s: Seconds that the call may take; 0: no limit.
        place: The worker that has it, and its number there; None: it waits.
    """

    __slots__ = ("arguments", "flags", "function", "limit_s", "place")

    def __init__(self, function: bytes, flags: int, arguments: bytes, limit_s: float) -> None:
        self.function = function
        self.flags = flags
        self.arguments = arguments
        self.limit_s = limit_s
        self.place: tuple[Any, int] | None = None

    @property
    def size(self) -> int:
        """Bytes of its arguments."""
        return len(self.arguments)

    @property
    def given_up(self) -> bool:
        """Nobody waits for it."""
        raise NotImplementedError

    def claim(self) -> bool:
        """It goes to a worker now; False: nobody waits for it."""
        raise NotImplementedError

    def unclaim(self) -> None:
        """It has come back unbegun."""
        self.place = None

    def end(self, value: Any, error: BaseException | None = None) -> Waker | None:
        """This is how it went; who is to be woken when more such have been told."""
        raise NotImplementedError

    def drop(self) -> Waker | None:
        """It was not begun and never will be."""
        raise NotImplementedError

    def progress(self, progress: Progress) -> None:
        """It has come so far."""

    def outcome(self, kind: int, body: bytes, *, pickles: bool) -> Waker | None:
        """What the worker has said: a ``RESULT`` or an ``ERROR``."""
        try:
            if kind == RESULT:
                return self.end(calls.open_result(body, pickles=pickles))
            error = open_error(body, pickles=pickles)
        except BaseException as exc:  # opening a pickle runs whatever it holds
            error = _unreadable(exc)
        return self.end(None, error)

    def told(self, body: bytes) -> None:
        """A ``PROGRESS``; one that cannot be read is none."""
        try:
            progress = open_progress(body)
        except ConversationError:
            return
        self.progress(progress)

    def by_value(self) -> None:
        """Make it anew with code instead of names, where ``calls.send_by_value`` has said so.

        Raises:
            Exception: it cannot be made that way.
        """
        if not calls.needs_pickle(self.function):
            self.function = calls.encode_function(calls.load_function(self.function), by_value=True)
        if self.flags:
            self.flags, self.arguments = calls.encode_arguments(*calls.open_arguments(self.flags, self.arguments))


def _unreadable(exc: BaseException) -> BaseException:
    from holdfast.functions.errors import CallRefused, ResultUnreadable

    if isinstance(exc, CallRefused):
        return exc
    error = ResultUnreadable(f"the result cannot be opened here: {type(exc).__name__}: {exc}")
    error.__cause__ = exc
    return error


class FutureTask(Task):
    """A call with a future."""

    __slots__ = ("_desk", "_future", "_on_progress")

    def __init__(
        self,
        function: bytes,
        flags: int,
        arguments: bytes,
        limit_s: float,
        *,
        future: AnyFuture,
        desk: Desk,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        super().__init__(function, flags, arguments, limit_s)
        self._future = future
        self._desk = desk
        self._on_progress = on_progress
        future._made_by(self)

    @property
    def given_up(self) -> bool:
        return self._future.cancelled()

    def claim(self) -> bool:
        return self._future._claim()

    def unclaim(self) -> None:
        self.place = None
        self._future._unclaim()

    def end(self, value: Any, error: BaseException | None = None) -> None:
        self._future._end(value, error)

    def drop(self) -> None:
        self._future._give_up()

    def progress(self, progress: Progress) -> None:
        self._future._tell_progress(progress, self._on_progress)

    # --- for the future ----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """It was cancelled while it ran."""
        self._desk.kill(self)

    def call_back(self, act: Callable[[], None]) -> None:
        """Run callbacks where they may wait."""
        self._desk.call_back(act)


class MapTask(Task):
    """One call of many whose results are wanted in order."""

    __slots__ = ("_index", "_results")

    def __init__(
        self, function: bytes, flags: int, arguments: bytes, limit_s: float, results: AnyResults, index: int
    ) -> None:
        super().__init__(function, flags, arguments, limit_s)
        self._results = results
        self._index = index

    @property
    def given_up(self) -> bool:
        return self._results.given_up

    def claim(self) -> bool:
        return not self._results.given_up

    def end(self, value: Any, error: BaseException | None = None) -> Waker | None:
        self._results.put(self._index, value, error)
        return self._results

    def drop(self) -> Waker | None:
        from concurrent.futures import CancelledError

        return self.end(None, CancelledError())
