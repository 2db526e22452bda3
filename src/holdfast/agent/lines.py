"""The agent's ends of its workers' sockets."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from holdfast.functions.messages import PROGRESS, ConversationError, MessageParser, open_progress
from holdfast.jobs.output import OutputChannel, Reader
from holdfast.wire.flow import TokenBucket

if TYPE_CHECKING:
    from holdfast.agent.live import LiveJob
    from holdfast.agent.peer import Peer
    from holdfast.agent.worker_desk import WorkerDesk

HELD_BYTES: Final = 1024 * 1024
"""Bytes of a worker that wait for its client; with more it is not read."""
UNSENT_BYTES: Final = 1024 * 1024
"""Bytes for a worker that its socket does not take; with more its client gets no credit."""
PROGRESS_MESSAGE_BYTES: Final = 8 * 1024
"""Longest message of a job that tells progress."""
PROGRESS_PER_S: Final = 20.0
"""How often a job is heard; it sends ten a second by itself."""
TO_CLIENT: Final = 1


class WorkerOutput(Reader):
    """What a worker says, on its way to a client: to the connection it is one more reader of output."""

    __slots__ = ("_end", "_held", "_line", "_peer", "_pieces", "job")

    def __init__(self, stream: int, live: LiveJob, peer: Peer, line: PoolLine) -> None:
        super().__init__(stream, live, {TO_CLIENT: OutputChannel()}, follow=False, is_run=False)
        self._peer = peer
        self._line = line
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._end = 0

    def push(self, data: bytes) -> None:
        """The worker has said this."""
        self._pieces.append(data)
        self._held += len(data)
        self._end += len(data)
        self._peer.link.offer(self.stream, TO_CLIENT, self._end)
        self._peer.flush()
        if self._held > HELD_BYTES:
            self._line.read_no_more()

    def read(self, number: int, offset: int, size: int) -> bytes:
        """The next bytes, many pieces in one."""
        pieces = self._pieces
        data = pieces.popleft()
        if len(data) > size:
            pieces.appendleft(data[size:])
            data = data[:size]
        elif pieces and len(data) + len(pieces[0]) <= size:
            taken, room = [data], size - len(data)
            while pieces and len(pieces[0]) <= room:
                taken.append(pieces.popleft())
                room -= len(taken[-1])
            data = b"".join(taken)
        self._held -= len(data)
        if self._held <= HELD_BYTES // 2:
            self._line.read_on()
        return data

    def complete(self, number: int) -> bool:
        """Its end is told by the answer."""
        return False


class PoolLine(asyncio.Protocol):
    """The connection of a worker of a pool.

    Attributes:
        live: Its job.
        output: Where its words go; None: no client has dialled it yet.
        taken: Bytes of the client that were handed to its socket.
        stuck: Its socket does not take more.
    """

    __slots__ = ("_desk", "_reading", "_transport", "live", "output", "stuck", "taken")

    def __init__(self, desk: WorkerDesk, live: LiveJob) -> None:
        self._desk = desk
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self.live = live
        self.output: WorkerOutput | None = None
        self.taken = 0
        self.stuck = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self._desk.line_came(self)

    def data_received(self, data: bytes) -> None:
        if self.output is None:  # a worker says nothing before it is spoken to
            self.abort()
        else:
            self.output.push(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._desk.line_lost(self)

    def pause_writing(self) -> None:
        self.stuck = True

    def resume_writing(self) -> None:
        self.stuck = False
        self._desk.room_came(self)

    def write(self, data: bytes) -> None:
        """Bytes for the worker."""
        if self._transport is not None:
            self._transport.write(data)

    def read_no_more(self) -> None:
        """Its client does not keep up."""
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Its client does again."""
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def abort(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()


class ProgressLine(asyncio.Protocol):
    """The connection of a job that makes one call: it tells how far it is, and nothing else."""

    __slots__ = ("_allowance", "_desk", "_parser", "_transport", "live")

    def __init__(self, desk: WorkerDesk, live: LiveJob, now: float) -> None:
        self._desk = desk
        self._transport: asyncio.Transport | None = None
        self._parser = MessageParser(PROGRESS_MESSAGE_BYTES)
        self._allowance = TokenBucket(burst=PROGRESS_PER_S, per_s=PROGRESS_PER_S, now=now)
        self.live = live

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._desk.progress_line(self, there=True)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, _, body in self._parser.feed(data):
                if kind != PROGRESS:
                    raise ConversationError(f"a job that makes one call does not say messages of kind {kind}")
                told = open_progress(body)
                if self._allowance.take(self._desk.now()):
                    self._desk.progressed(self.live, told)
        except ConversationError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._desk.progress_line(self, there=False)

    def abort(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()
