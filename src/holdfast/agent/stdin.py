"""Stdin of jobs: from a client's stream into the shim's ``in`` file, in order, each byte once, with a true end.

The file's length is what is committed: a client that was cut asks for it (WRITE) and goes on from there. Before the
start there is no file, and no credit.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from holdfast.errors import Refused, StorageError
from holdfast.keeper import messages
from holdfast.store.files import CHANNEL_NAMES
from holdfast.store.spool import StdinSpool
from holdfast.types import STDIN, JobState, Offset
from holdfast.wire.messages import ErrorCode, Failure, Opened, WriteAnswer

if TYPE_CHECKING:
    from holdfast.agent.board import Board
    from holdfast.agent.live import LiveJob
    from holdfast.agent.peer import Peer

WINDOW_BYTES: Final = 1024 * 1024
"""How far a client may send ahead of what is committed."""


class StdinDesk:
    """Who writes to which job."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._writers: dict[tuple[Peer, int], LiveJob] = {}

    def open(self, peer: Peer, stream: int, live: LiveJob, *, offset: int | None = None) -> None:
        """Let this stream write; an earlier writer of the same job is superseded."""
        stdin = live.stdin
        if stdin is None or stdin.ended:
            return
        if stdin.writer is not None:
            self._writers.pop(stdin.writer, None)
        stdin.writer = (peer, stream)
        self._writers[peer, stream] = live
        start = stdin.committed if offset is None else offset
        stdin.granted = start
        peer.link.expect(stream, STDIN, offset=start, limit=start)
        self.ready(live)

    def write(self, peer: Peer, stream: int, live: LiveJob) -> None:
        """A WRITE request: open stdin for writing from what is committed.

        Raises:
            Refused: the job has no stdin of its own, it has been closed, or the job is over.
        """
        stdin = live.stdin
        if stdin is None:
            raise Refused(f"job {live.job.id} was started without stdin", code=ErrorCode.STATE, ran="yes")
        opened = Opened(live.job.id, live.job.state, offsets={"0": stdin.committed})
        peer.link.event(stream, 0, opened)
        if stdin.ended or live.job.state is JobState.DONE:
            peer.link.respond(stream, WriteAnswer(stdin.committed))
            return
        self.open(peer, stream, live)

    def ready(self, live: LiveJob) -> None:
        """The job has started (or an agent came back to it): open its file and give credit.

        Not before: until then the file may still be that of the shim's job before, which is about to be unlinked.
        """
        stdin = live.stdin
        if stdin is None or live.shim is None or live.job.state in (JobState.QUEUED, JobState.STARTING):
            return
        if stdin.spool is None:
            stdin.spool = StdinSpool(os.path.join(live.shim.directory, CHANNEL_NAMES[STDIN]))
            stdin.committed = stdin.spool.committed
        if stdin.writer is not None:
            peer, stream = stdin.writer
            limit = stdin.committed + WINDOW_BYTES
            if limit > stdin.granted:
                stdin.granted = limit
                peer.catch_up()  # who has sent input knows the job, and asks after a cut how much of it has come
                peer.link.grant(stream, STDIN, limit)
                peer.flush()

    def data(self, peer: Peer, stream: int, offset: int, data: bytes) -> None:
        """Bytes for a job: committed before they are acknowledged. A job that is over takes and drops them."""
        live = self._writers.get((peer, stream))
        if live is None or live.stdin is None:
            return
        stdin = live.stdin
        if live.job.state is JobState.DONE or stdin.spool is None:
            stdin.committed = offset + len(data)
        else:
            try:
                stdin.committed = stdin.spool.write(Offset(offset), data)
            except StorageError as error:
                code = ErrorCode.DISK_FULL if getattr(error, "full", False) else ErrorCode.INTERNAL
                self._writers.pop((peer, stream), None)
                stdin.writer = None
                peer.link.fail(stream, Failure(code, str(error), "yes"))
                return
            if live.shim is not None:  # else its adopter is told as soon as it answers
                live.shim.send(messages.Stdin(stdin.committed))
        peer.link.ack(stream, STDIN, stdin.committed)
        if stdin.granted - stdin.committed < WINDOW_BYTES // 2:
            stdin.granted = stdin.committed + WINDOW_BYTES
            peer.link.grant(stream, STDIN, stdin.granted)

    def end(self, peer: Peer, stream: int, length: int) -> None:
        """True end-of-file."""
        live = self._writers.pop((peer, stream), None)
        if live is None or live.stdin is None:
            return
        stdin = live.stdin
        stdin.ended = True
        stdin.writer = None
        if live.shim is not None:
            live.shim.send(messages.Stdin(stdin.committed, True))
        peer.link.ack(stream, STDIN, length)
        if stream not in peer.readers:
            peer.link.respond(stream, WriteAnswer(stdin.committed))

    def job_done(self, live: LiveJob) -> None:
        """The job is over: whoever writes is told that no more is needed."""
        stdin = live.stdin
        if stdin is None:
            return
        if stdin.writer is not None:
            peer, stream = stdin.writer
            self._writers.pop((peer, stream), None)
            stdin.writer = None
            if stream not in peer.readers:
                peer.link.respond(stream, WriteAnswer(stdin.committed))
                peer.flush()
        if stdin.spool is not None:
            stdin.spool.close()
            stdin.spool = None

    def stream_gone(self, peer: Peer, stream: int) -> None:
        """This stream writes no more; the job's stdin stays open for another."""
        live = self._writers.pop((peer, stream), None)
        if live is not None and live.stdin is not None and live.stdin.writer == (peer, stream):
            live.stdin.writer = None

    def peer_gone(self, peer: Peer) -> None:
        """A connection ended."""
        for owner, stream in [key for key in self._writers if key[0] is peer]:
            self.stream_gone(owner, stream)
