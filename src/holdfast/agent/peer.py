"""One connection of the agent: pumps a Link over a transport, serves output within credit and buffer space.

Rules of this module:

* What the peer may ask is decided in ``service``; what a frame may be, in ``wire``. Here bytes are moved.
* Output is read from the spool only when there is credit *and* room in the transport's buffer: a stalled reader costs
  a file offset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from holdfast.errors import LocalProtocolError, OffsetGone, StorageError
from holdfast.jobs.output import Reader
from holdfast.wire.link import (
    Cancelled,
    CreditReceived,
    DataReceived,
    EndReceived,
    HelloReceived,
    Link,
    LinkClosed,
    RequestReceived,
)
from holdfast.wire.messages import AnyEvent, ErrorCode, Failure
from holdfast.wire.phases import Phase, Role

if TYPE_CHECKING:
    from holdfast.agent.access import Principal
    from holdfast.agent.service import Service
    from holdfast.transport.unix import Peer as Credentials
    from holdfast.wire.frames import Chunk

HIGH_WATER_BYTES: Final = 512 * 1024
"""Unsent bytes in the transport above which no more output is read."""
READ_BYTES: Final = 248 * 1024
"""Output read at once. A little less than the longest DATA, so that neither it nor its ciphertext is one of the blocks
that ``trim.keep_large_blocks_apart`` takes out of the heap."""
LATER_S: Final = 0.002
"""How long an event may wait for company; a job of 1 ms then costs one write to its client instead of three."""
_INCOMING: Final = memoryview(bytearray(256 * 1024))
"""Where all connections are read to: uvloop fills it and calls ``buffer_updated`` at once, within one turn of the loop.
Reading into fresh bytes would take as much memory for each read, and leave the heap in pieces."""
STALLED_S: Final = 30.0
"""A peer whose socket takes nothing for so long, with bytes waiting, is cut off."""


class Peer(asyncio.BufferedProtocol):
    """A connected client.

    Attributes:
        instance: The client process's id from HELLO; carries its leases over reconnects.
        who: Who it is, by the kernel's word or by a key; None: nobody has said yet.
        readers: Streams that read output.
        heard_at: When bytes last came, in the loop's seconds.
        on_lost: Called once when the connection has ended, after the service knows.
    """

    __slots__ = (
        "_flushing", "_later", "_later_timer", "_loop", "_paused", "_paused_at", "_service", "_transport", "_warming",
        "credentials", "heard_at", "instance", "link", "on_lost", "readers", "who",
    )  # fmt: skip

    def __init__(self, service: Service, credentials: Credentials | None, now: float) -> None:
        self.link = Link(Role.AGENT, now=now)
        self.instance = ""
        self.heard_at = now
        self.who: Principal | None = None
        self.on_lost: Callable[[Peer], None] | None = None
        self.credentials = credentials
        self.readers: dict[int, Reader] = {}
        self._service = service
        self._loop = service.loop
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._paused_at = 0.0
        self._flushing = False
        self._warming = False
        self._later: list[tuple[int, AnyEvent]] = []
        self._later_timer: asyncio.TimerHandle | None = None

    @property
    def principal(self) -> str:
        """The name of who it is; empty for nobody."""
        return "" if self.who is None else self.who.name

    @property
    def greeted(self) -> bool:
        """HELLO has come and was answered."""
        return self.link.phase is not Phase.PRE

    # --- transport ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _INCOMING

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(_INCOMING[:nbytes])

    def data_received(self, data: Chunk) -> None:
        """Take bytes of the client; nothing refers to ``data`` after the return."""
        self._service.counters["bytes_in"] += len(data)
        self.heard_at = self._loop.time()
        self.link.receive_data(data, now=self.heard_at)
        self._handle_events()

    def eof_received(self) -> bool:
        self.link.receive_data(b"", now=self._loop.time())
        self._handle_events()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._later_timer is not None:
            self._later_timer.cancel()
        if not self.link.closed:
            self.link.receive_data(b"", now=self._loop.time())
        while (event := self.link.next_event()) is not None:
            if isinstance(event, DataReceived):  # what came of a frame before the cut counts
                self._service.stdin_data(self, event.stream, event.offset, event.data)
        self._service.peer_gone(self)
        if self.on_lost is not None:
            self.on_lost(self)

    def pause_writing(self) -> None:
        self._paused = True
        self._paused_at = self._loop.time()

    def resume_writing(self) -> None:
        self._paused = False
        self.flush()

    # --- what others use ---------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send what there is to send: control frames first, then output in fair turns while there is room."""
        transport = self._transport
        if transport is None or self._flushing:
            return
        self._flushing = True
        try:
            link = self.link
            self._write(transport)
            while not self._paused and not self._warming and (turn := link.next_turn()) is not None:
                reader = self.readers[turn.stream]
                size = min(turn.size, READ_BYTES)
                if not reader.channels[turn.channel].cached(turn.offset, size):
                    self._warm(reader, turn.channel, turn.offset, size)
                    break
                try:
                    data = reader.read(turn.channel, turn.offset, size)
                except OffsetGone as gone:
                    link.send_gap(turn.stream, turn.channel, gone.first)
                    reader.positions[turn.channel] = gone.first
                    reader.offer_all(link)
                    continue
                except StorageError as error:
                    link.fail(turn.stream, Failure(ErrorCode.INTERNAL, str(error), ran="yes"))
                    self._service.reading.reader_gone(self, turn.stream)
                    continue
                link.send_data(turn.stream, turn.channel, data)
                self._service.reading.served(self, reader, turn.channel)
                self._write(transport)
            self._write(transport)
            if link.closed:
                transport.close()
        finally:
            self._flushing = False

    def tell_later(self, stream: int, event: AnyEvent) -> None:
        """An event that nobody waits for: it goes with the next frames of this connection, or after ``LATER_S``."""
        self._later.append((stream, event))
        if self._later_timer is None:
            self._later_timer = self._loop.call_later(LATER_S, self._later_due)

    def catch_up(self) -> None:
        """Put what was held back before whatever is sent next."""
        if self._later:
            for stream, event in self._later:
                self.link.event(stream, 0, event)
            self._later.clear()

    def _later_due(self) -> None:
        self._later_timer = None
        self.catch_up()
        self.flush()

    def close(self, code: int, text: str) -> None:
        """Say CLOSE and end the connection."""
        self.link.close(code, text)
        self.flush()

    def abort(self) -> None:
        """End the connection without waiting for what is still to be sent."""
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now: float) -> None:
        """Heartbeat and deadlines; called once a second for every peer."""
        deadline = self.link.next_deadline()
        if deadline is not None and now >= deadline:
            self.link.handle_timeout(now=now)
            self._handle_events()
        if self._paused and now - self._paused_at > STALLED_S and self._transport is not None:
            self._transport.abort()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _handle_events(self) -> None:
        link, service = self.link, self._service
        while (event := link.next_event()) is not None:
            try:
                if isinstance(event, RequestReceived):
                    service.requested(self, event.stream, event.request, event.body)
                elif isinstance(event, CreditReceived):
                    service.reading.credited(self, event.stream, event.channel, event.limit)
                elif isinstance(event, DataReceived):
                    service.stdin_data(self, event.stream, event.offset, event.data)
                elif isinstance(event, EndReceived):
                    service.stdin_end(self, event.stream, event.length)
                elif isinstance(event, Cancelled):
                    service.stream_gone(self, event.stream)
                elif isinstance(event, HelloReceived):
                    service.greeted(self, event.hello)
                elif isinstance(event, LinkClosed) and event.error is not None:
                    service.counters["protocol_errors"] += 1
            except LocalProtocolError as error:
                service.log(f"connection of {self.principal or 'a stranger'}: {error}")
        self.flush()

    def _write(self, transport: asyncio.Transport) -> None:
        pieces = self.link.pieces_to_send()
        if pieces:
            self.link.sent(now=self._loop.time())
            self._service.counters["bytes_out"] += sum(map(len, pieces))
            if len(pieces) == 1:
                transport.write(pieces[0])
            else:
                transport.writelines(pieces)

    def _warm(self, reader: Reader, channel: int, offset: int, size: int) -> None:
        """Let a thread bring the bytes into the page cache, then go on; the loop never waits for a disk."""
        self._warming = True

        def done(_: object) -> None:
            self._warming = False
            self.flush()

        future = self._loop.run_in_executor(None, reader.channels[channel].preload, offset, size)
        future.add_done_callback(done)
