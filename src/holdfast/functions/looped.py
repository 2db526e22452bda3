"""A worker of kind ``coroutines``: many calls at a time, as tasks of one loop; for ``async def`` functions.

A plain function can be called, too, and keeps all others waiting meanwhile. A call that is over its limit, or is called
off, is answered at once, and its task is cancelled.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final

from holdfast.functions import progress
from holdfast.functions.calls import CannotLoad, encode_result
from holdfast.functions.messages import CANCELLED, ERROR, RESULT, RETURNED, ConversationError
from holdfast.functions.perform import failed, flush_prints, loaded, unloadable
from holdfast.functions.pipe import Asked, WorkerPipe

if TYPE_CHECKING:
    from holdfast.functions.line import Line
    from holdfast.functions.record import Record

LOOK_S: Final = 0.01
"""How often it is looked whether it is time to ask for the agent again."""


class _Running:
    """One call. ``left``: it was answered before its end."""

    __slots__ = ("asked", "begun_at", "left", "limit", "sink", "task")

    def __init__(self, asked: Asked, begun_at: float, sink: progress.Sink) -> None:
        self.asked = asked
        self.begun_at = begun_at
        self.sink = sink
        self.left = False
        self.limit: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None


class Looped(asyncio.Protocol):
    """The worker.

    Args:
        line: To the agent.
        pipe: The conversation.
        record: What outlives us.
        pickles: The client opens pickles.
        at_once: Most calls that run at a time.
    """

    in_call = False
    """SIGINT ends it."""

    def __init__(self, line: Line, pipe: WorkerPipe, record: Record, *, pickles: bool, at_once: int) -> None:
        self._line = line
        self._pipe = pipe
        self._record = record
        self._pickles = pickles
        self._at_once = at_once
        self._waiting: deque[Asked] = deque()
        self._running: dict[int, _Running] = {}
        self._begun = 0
        self._transport: asyncio.Transport | None = None
        self._send_due = False
        self._ticker: asyncio.TimerHandle | None = None
        self._made = 0
        self._took_s = 0.0

    def run(self) -> None:
        """Make calls until there are no more to come and the client has every outcome."""
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lost = asyncio.Event()
        self._over = asyncio.Event()
        keeper = self._loop.create_task(self._keep_connected())
        await self._over.wait()
        keeper.cancel()
        if self._transport is not None:
            self._transport.close()

    # --- the connection ----------------------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        while True:
            while not self._line.try_connect():
                await asyncio.sleep(LOOK_S)
            self._lost.clear()
            await self._loop.create_unix_connection(lambda: self, sock=self._line.take_socket())
            await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._pipe.lost()
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        try:
            asked = self._pipe.receive(data)
        except ConversationError as error:
            print(f"holdfast: {error}", file=sys.stderr)
            assert self._transport is not None
            self._transport.abort()
            return
        if self._pipe.attached:
            self._line.is_good()
        for each in asked:
            if isinstance(each, Asked):
                self._waiting.append(each)
            else:
                self._cancel(each)
        self._fill()
        self._send_soon()

    def _send_soon(self) -> None:
        if not self._send_due:
            self._send_due = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._send_due = False
        if self._made:
            self._pipe.pace(int(self._took_s / self._made * 1e6))
            self._made = 0
            self._took_s = 0.0
        data = self._pipe.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)
        if self._pipe.ended and self._pipe.settled and not self._waiting and not self._running:
            self._over.set()

    # --- calls -------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._at_once and not self._pipe.full:
            self._begin(self._waiting.popleft())

    def _begin(self, asked: Asked) -> None:
        number = asked.number
        running = _Running(asked, self._loop.time(), progress.Sink(self._tell_progress, number))
        self._running[number] = running
        self._begun = number
        self._record.begun(number)
        if asked.limit_s:
            running.limit = self._loop.call_later(asked.limit_s, self._overdue, running)
        running.task = self._loop.create_task(self._make(running), name=f"call-{number}")
        if self._ticker is None:
            self._ticker = self._loop.call_later(progress.EVERY_S, self._tick)

    async def _make(self, running: _Running) -> None:
        progress.bind_call(running.sink)
        kind, body = await self._perform(running.asked)
        flush_prints()
        if running.left:
            return
        running.sink.flush()
        self._made += 1
        self._took_s += self._loop.time() - running.begun_at
        self._end(running, kind, body)

    async def _perform(self, asked: Asked) -> tuple[int, bytes]:
        try:
            function, args, kwargs = loaded(asked)
            value = function(*args, **kwargs)
            if isawaitable(value):
                value = await value
            return RESULT, encode_result(value, pickles=self._pickles)
        except CannotLoad as error:
            return unloadable(error)
        except BaseException as error:
            return failed(error, pickles=self._pickles, own=__file__)

    def _end(self, running: _Running, kind: int, body: bytes) -> None:
        number = running.asked.number
        if running.limit is not None:
            running.limit.cancel()
        del self._running[number]
        self._pipe.outcome(kind, number, body)
        self._record.ended(next(iter(self._running), self._begun + 1) - 1)  # they are in the order of their numbers
        self._fill()
        self._send_soon()

    def _leave(self, running: _Running, kind: int, body: bytes) -> None:
        assert running.task is not None
        running.left = True
        running.task.cancel()
        self._end(running, kind, body)

    def _cancel(self, number: int) -> None:
        running = self._running.get(number)
        if running is not None:
            self._leave(running, RETURNED, CANCELLED)
            return
        for asked in self._waiting:
            if asked.number == number:
                self._waiting.remove(asked)
                self._pipe.outcome(RETURNED, number, CANCELLED)
                return

    def _overdue(self, running: _Running) -> None:
        from holdfast.functions.raised import encode_timeout

        assert running.task is not None
        text = f"the call took longer than {running.asked.limit_s:g} s"
        self._leave(running, ERROR, encode_timeout(text, _where(running.task.get_coro())))

    # --- progress ----------------------------------------------------------------------------------------------------

    def _tell_progress(self, number: int, body: bytes) -> None:
        """From any thread: a coroutine may have handed its work to one."""
        if threading.get_ident() == self._thread:  # at once, so that it goes out before the outcome
            self._told_progress(number, body)
        else:
            self._loop.call_soon_threadsafe(self._told_progress, number, body)

    def _told_progress(self, number: int, body: bytes) -> None:
        self._pipe.progress(number, body)
        self._send_soon()

    def _tick(self) -> None:
        self._ticker = None
        for running in self._running.values():
            if running.sink.pending is not None:
                running.sink.send_if_due()
        if self._running:
            self._ticker = self._loop.call_later(progress.EVERY_S, self._tick)


def _where(coroutine: Any) -> str:
    """Where a coroutine waits, as Python prints it: down to what it awaits, without our own part."""
    import traceback

    frames = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and frame.f_code.co_filename != __file__:
            frames.append((frame, frame.f_lineno))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return "".join(traceback.StackSummary.extract(iter(frames)).format())
