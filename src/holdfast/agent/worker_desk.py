"""Joins clients with workers: bytes of a DIAL stream go to the socket of a job's main process, and come from it.

Rules of this module:

* A worker is known by the kernel's word: its pid is that of the main process of a live job whose command line is a
  worker's. Everybody else is turned away at once.
* Nothing that passes is looked into. What waits for either end is bounded: beyond that the other end is not read, or
  gets no credit.
* A connection of a worker serves one DIAL. If either end is lost, the other one is ended, too, and both begin anew.
* One client at a time: a second DIAL of the same principal takes over.
"""

from __future__ import annotations

import asyncio
import os
import socket
from math import isfinite
from typing import TYPE_CHECKING, Final

from holdfast.agent import kernel, plan
from holdfast.agent.lines import PoolLine, ProgressLine, WorkerOutput
from holdfast.errors import Refused
from holdfast.functions import record
from holdfast.functions.messages import Progress
from holdfast.functions.setup import POOL
from holdfast.transport import unix
from holdfast.types import JobId, JobState
from holdfast.wire import messages as wire
from holdfast.wire.messages import Dial, DialAnswer, ErrorCode, Opened

if TYPE_CHECKING:
    from holdfast.agent.live import LiveJob
    from holdfast.agent.peer import Peer
    from holdfast.agent.service import Service

WINDOW_BYTES: Final = 1024 * 1024
"""How far a client may send ahead of what its worker's socket has taken."""
AT_ONCE: Final = 64
"""Connections that are accepted in one turn of the loop."""
TO_CLIENT, FROM_CLIENT = 1, 0


class _Conversation:
    """A client that has dialled a worker. ``line``: the worker's end, once both are there."""

    __slots__ = ("credit", "granted", "line", "live", "peer", "stream")

    def __init__(self, peer: Peer, stream: int, live: LiveJob, credit: int) -> None:
        self.peer = peer
        self.stream = stream
        self.live = live
        self.credit = credit
        self.granted = 0
        self.line: PoolLine | None = None


class WorkerDesk:
    """The workers of an agent, and who speaks with them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._board = service.board
        self._loop = service.loop
        self._listener: socket.socket | None = None
        self._lines: dict[JobId, PoolLine] = {}
        self._told: set[ProgressLine] = set()
        self._callers: dict[JobId, _Conversation] = {}
        self._streams: dict[tuple[Peer, int], _Conversation] = {}
        self._joining: set[asyncio.Task[None]] = set()

    # --- workers -----------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Take connections of workers from now on.

        Raises:
            OSError: the socket cannot be bound.
        """
        self._listener = unix.bind_listener(self._board.worker_socket)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """The agent ends; workers look for the next one."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            os.unlink(self._board.worker_socket)
        for task in self._joining:
            task.cancel()
        for line in self._lines.values():
            line.abort()
        for told in self._told:
            told.abort()

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    def _accept(self) -> None:
        assert self._listener is not None
        for _ in range(AT_ONCE):
            try:
                conn, _address = self._listener.accept()
            except OSError:  # nobody is left; or no descriptor, and then whoever was turned away comes again
                return
            conn.setblocking(False)
            live = self._job_of(unix.peer_credentials(conn).pid)
            if live is None:
                conn.close()
                continue
            pool = live.job.spec.argv[-1] == POOL
            line = PoolLine(self, live) if pool else ProgressLine(self, live, self.now())
            task = self._loop.create_task(self._serve(conn, line))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    async def _serve(self, conn: socket.socket, line: PoolLine | ProgressLine) -> None:
        await self._loop.connect_accepted_socket(lambda: line, conn)

    def _job_of(self, pid: int) -> LiveJob | None:
        for live in self._board.jobs.values():
            if live.job.pid == pid and live.job.state is JobState.RUNNING and plan.is_worker(live.job.spec):
                return live
        return None

    def line_came(self, line: PoolLine) -> None:
        """A worker of a pool is connected."""
        job = line.live.job.id
        before = self._lines.get(job)
        self._lines[job] = line
        if before is not None:
            self._line_over(before)
        self._join(job)

    def line_lost(self, line: PoolLine) -> None:
        """A worker's connection has ended."""
        job = line.live.job.id
        if self._lines.get(job) is line:
            del self._lines[job]
        self._line_over(line)

    def room_came(self, line: PoolLine) -> None:
        """A worker's socket takes bytes again."""
        conversation = self._callers.get(line.live.job.id)
        if conversation is not None and conversation.line is line:
            self._grant(conversation, line.taken)
            conversation.peer.flush()

    def progress_line(self, line: ProgressLine, *, there: bool) -> None:
        """A job that tells progress is connected, or is not any more."""
        (self._told.add if there else self._told.discard)(line)

    def progressed(self, live: LiveJob, told: Progress) -> None:
        """A job tells how far it is: whoever follows it hears of it."""
        if not (isfinite(told.done) and isfinite(told.total)):
            return
        event = wire.Progress(live.job.id, told.done, told.total, wire.clip(told.text))
        for peer, reader in live.readers:
            if reader.follow:
                peer.link.event(reader.stream, 0, event)
                peer.flush()

    # --- clients -----------------------------------------------------------------------------------------------------

    def dial(self, peer: Peer, stream: int, dial: Dial, _body: bytes) -> None:
        """DIAL: speak with a worker.

        Raises:
            Refused: this job is no worker of a pool, they may not change it, or somebody else speaks with it.
        """
        caller = self._service.guard.caller(peer, dial)
        live = self._service.lookup.named(caller, dial.job)
        caller.changes(live.principal, live.job.id)
        job = live.job.id
        if not plan.is_worker(live.job.spec) or live.job.spec.argv[-1] != POOL:
            raise Refused(f"job {job} is no worker of a pool", code=ErrorCode.STATE, ran="yes")
        before = self._callers.get(job)
        if before is not None:
            if before.peer.principal != peer.principal:
                raise Refused(f"{before.peer.principal} speaks with job {job}", code=ErrorCode.STATE, ran="yes")
            self._tell(before, gone=False)
        if self._has_ended(live):
            peer.link.respond(stream, self._answer(live, gone=True))
            return
        conversation = _Conversation(peer, stream, live, dial.credit)
        self._callers[job] = self._streams[peer, stream] = conversation
        peer.link.expect(stream, FROM_CLIENT, offset=0, limit=0)
        self._join(job)

    def data(self, peer: Peer, stream: int, offset: int, data: bytes) -> bool:
        """Bytes of a client; False: they are not for a worker."""
        conversation = self._streams.get((peer, stream))
        if conversation is None:
            return False
        line = conversation.line
        if line is not None:
            line.taken = taken = offset + len(data)
            line.write(data)
            if conversation.granted - taken < WINDOW_BYTES // 2 and not line.stuck:
                self._grant(conversation, taken)
        return True

    def stream_gone(self, peer: Peer, stream: int) -> None:
        """A client has given a stream up, or it was answered."""
        conversation = self._streams.get((peer, stream))
        if conversation is not None:
            self._forget(conversation)

    def peer_gone(self, peer: Peer) -> None:
        """A connection of a client ended."""
        for conversation in [each for each in self._streams.values() if each.peer is peer]:
            self._forget(conversation)

    def job_done(self, live: LiveJob) -> None:
        """A job is over."""
        line = self._lines.get(live.job.id)
        if line is not None:
            line.abort()
        conversation = self._callers.get(live.job.id)
        if conversation is not None:
            self._tell(conversation, gone=True)

    # --- both --------------------------------------------------------------------------------------------------------

    def _join(self, job: JobId) -> None:
        conversation, line = self._callers.get(job), self._lines.get(job)
        if conversation is None or line is None or line.output is not None or conversation.line is not None:
            return
        peer, stream = conversation.peer, conversation.stream
        conversation.line = line
        line.output = WorkerOutput(stream, conversation.live, peer, line)
        peer.readers[stream] = line.output
        peer.catch_up()
        peer.link.event(stream, 0, Opened(job, conversation.live.job.state))
        peer.link.open_out(stream, TO_CLIENT, offset=0, limit=conversation.credit)
        self._grant(conversation, 0)
        peer.flush()

    def _grant(self, conversation: _Conversation, taken: int) -> None:
        conversation.granted = taken + WINDOW_BYTES
        conversation.peer.link.grant(conversation.stream, FROM_CLIENT, conversation.granted)

    def _line_over(self, line: PoolLine) -> None:
        conversation = self._callers.get(line.live.job.id)
        if conversation is not None and conversation.line is line:
            self._tell(conversation, gone=self._has_ended(line.live))
        line.abort()

    def _tell(self, conversation: _Conversation, *, gone: bool) -> None:
        """Answer a DIAL: both begin anew, or the worker has gone."""
        self._forget(conversation)
        conversation.peer.link.respond(conversation.stream, self._answer(conversation.live, gone=gone))
        conversation.peer.flush()

    def _forget(self, conversation: _Conversation) -> None:
        peer, stream, job = conversation.peer, conversation.stream, conversation.live.job.id
        del self._callers[job]
        del self._streams[peer, stream]
        line, conversation.line = conversation.line, None
        if line is not None:
            peer.readers.pop(stream, None)
            line.abort()

    def _has_ended(self, live: LiveJob) -> bool:
        """Whether the main process is gone, if not yet its tree."""
        job = live.job
        if live.done or live.ending is not None or job.state is JobState.DONE:
            return True
        return job.pid is not None and job.state is not JobState.STARTING and kernel.has_ended(job.pid)

    def _answer(self, live: LiveJob, *, gone: bool) -> DialAnswer:
        if not gone:
            return DialAnswer(False)
        noted = record.read(record.path_of(self._board.worker_socket, live.job.id), self._board.boot_id)
        if noted is None:
            return DialAnswer(True, why=record.UNRECORDED)
        return DialAnswer(True, noted.started, noted.finished, "timeout" if noted.timeout else "", noted.where)
