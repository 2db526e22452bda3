"""Streams that read output: an attached RUN and every READ, from their first offset to END and answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.agent.live import LiveJob
from holdfast.agent.peer import Peer
from holdfast.errors import HoldfastError, Refused, StorageError
from holdfast.jobs.output import Reader
from holdfast.types import STDERR, STDOUT
from holdfast.wire import limits
from holdfast.wire.messages import (
    End,
    ErrorCode,
    Opened,
    Read,
    ReadAnswer,
    ResultAnswer,
)

if TYPE_CHECKING:
    from holdfast.agent.service import Service


class ReadingDesk:
    """Serves readers as far as there are bytes, credit and room; see ``jobs.output`` for what a reader is."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._board = service.board

    def reader_gone(self, peer: Peer, stream: int) -> None:
        """A stream does not read any more."""
        reader = peer.readers.pop(stream, None)
        live = reader.job if reader is not None else None
        if isinstance(live, LiveJob):
            live.readers = [pair for pair in live.readers if pair[1] is not reader]
            self._board.close_unused(live)

    def open_reader(
        self,
        peer: Peer,
        stream: int,
        live: LiveJob,
        offsets: dict[int, int],
        credit: int,
        *,
        follow: bool,
        is_run: bool,
        opened: bool = False,
    ) -> Reader:
        """Let a stream read a job's output from these offsets. ``opened``: its channels are open already."""
        reader = Reader(stream, live, {n: live.out[n] for n in offsets}, follow=follow, is_run=is_run)
        peer.readers[stream] = reader
        live.readers.append((peer, reader))
        for number in offsets:
            if not live.out[number].readable:
                self._board.output.open_spool(live, number)
        reader.start(peer.link, offsets, credit, opened=opened)
        for number in offsets:
            self._board.output.make_room(live, number)
        self.serve(peer, reader)
        return reader

    def serve(self, peer: Peer, reader: Reader) -> None:
        """Offer what exists, end what is complete, answer when all is; then let the connection send."""
        peer.catch_up()
        if reader.open:
            reader.offer_all(peer.link)
            for number in list(reader.open):
                self._end_if_complete(peer, reader, number)
        self._answer_if_over(peer, reader)
        peer.flush()
        live = reader.job
        assert isinstance(live, LiveJob)
        if reader.open and reader.follow:
            self._board.output.arm(live)

    def served(self, peer: Peer, reader: Reader, number: int) -> None:
        """A turn of output went out."""
        live = reader.job
        assert isinstance(live, LiveJob)
        if reader.complete(number):
            self._end_if_complete(peer, reader, number)
            self._answer_if_over(peer, reader)
        elif reader.follow:
            channel = reader.channels[number]
            if reader.positions[number] < channel.length or self._board.output.refresh(live, number):
                # More than was offered: somebody else's look at the file may have found it, so nobody else will say it.
                peer.link.offer(reader.stream, number, channel.length)
            else:
                self._board.output.arm(live)

    def credited(self, peer: Peer, stream: int, number: int, limit: int) -> None:
        """A reader wants more, so it has delivered all but its window; what all have may leave a bounded spool."""
        reader = peer.readers.get(stream)
        if reader is not None and reader.follow and isinstance(reader.job, LiveJob):
            reader.delivered[number] = limit - limits.WINDOW_BYTES
            self._board.output.make_room(reader.job, number)

    def grew(self, live: LiveJob) -> None:
        """A job has written more, or its supervisor has changed: serve who follows it."""
        for peer, reader in list(live.readers):
            if reader.follow:
                self.serve(peer, reader)
        if live.stdin is not None:
            self._service.stdin.ready(live)

    def _end_if_complete(self, peer: Peer, reader: Reader, number: int) -> None:
        if not reader.complete(number):
            return
        channel = reader.channels[number]
        if not reader.follow and not channel.final:
            end = End(partial=True)
        elif channel.final and (channel.digest is not None or self._done(reader)):
            end = End(channel.digest, channel.first)
        else:
            return
        reader.open.discard(number)
        peer.link.send_end(reader.stream, number, reader.positions[number], end)

    def _done(self, reader: Reader) -> bool:
        return isinstance(reader.job, LiveJob) and reader.job.done

    def _answer_if_over(self, peer: Peer, reader: Reader) -> None:
        live = reader.job
        assert isinstance(live, LiveJob)
        if reader.open or (reader.follow and not live.done):
            return
        if reader.stream not in peer.readers:
            return
        stream = reader.stream
        receipt = live.published
        self._service.end_stream(peer, stream)
        if reader.is_run:
            assert receipt is not None
            peer.link.respond(stream, ResultAnswer(receipt))
        else:
            peer.link.respond(stream, ReadAnswer(live.job.state, receipt))

    def read(self, peer: Peer, stream: int, read: Read, _body: bytes) -> None:
        """READ: from absolute offsets, or the last lines, to the present end or the real one."""
        caller = self._service.guard.caller(peer, read)
        live = self._service.lookup.named(caller, read.job, output=True)
        caller.looks_at(live.principal, live.job.id)
        for number in (STDOUT, STDERR):
            self._board.output.refresh(live, number)
        try:
            offsets = self._first_offsets(live, read)
        except HoldfastError:
            self._board.close_unused(live)
            raise
        peer.link.event(
            stream,
            0,
            Opened(
                live.job.id,
                live.job.state,
                lengths={str(n): live.out[n].length for n in offsets},
                first={str(n): live.out[n].first for n in offsets},
                offsets={str(n): offset for n, offset in offsets.items()},
            ),
        )
        if read.lease and caller.controls(live.principal):
            self._service.attach(peer, stream, live)
        self.open_reader(peer, stream, live, offsets, read.credit, follow=read.follow, is_run=False)

    def _first_offsets(self, live: LiveJob, read: Read) -> dict[int, int]:
        """Where a READ begins on each channel.

        Raises:
            Refused: beyond the end, or the output cannot be read.
        """
        offsets = {int(number): offset for number, offset in read.offsets.items()}
        for number, offset in offsets.items():
            channel = live.out[number]
            if not channel.readable:
                self._board.output.open_spool(live, number)
            if read.tail_lines is not None:
                try:
                    offsets[number] = channel.tail_offset(read.tail_lines)
                except StorageError as error:
                    raise Refused(str(error), code=ErrorCode.INTERNAL, ran="yes") from error
            elif offset > channel.length and channel.final:  # until then a length only lags, as after a restart
                raise Refused(
                    f"offset {offset} of channel {number} is beyond its {channel.length} bytes",
                    code=ErrorCode.OFFSET_AHEAD,
                    ran="yes",
                )
        return offsets
