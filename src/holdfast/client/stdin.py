"""Standard input on its way to a job: every byte is kept here until the agent says that it holds it. Pure.

The first connection carries it on the stream of the run itself; later ones open it with WRITE, and go on from the
size that the agent names.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from holdfast.client.exchange import Exchange
from holdfast.client.failures import failure_error
from holdfast.errors import ClosedError, Conflict, HoldfastError
from holdfast.wire.limits import MIB
from holdfast.wire.messages import AnyEvent, ErrorCode, Failure, Opened, Write

if TYPE_CHECKING:
    from holdfast.client.exchange import Port

HELD_BYTES: Final = 1 * MIB
"""Bytes taken from the caller and not yet held by the agent; a write waits while there are more."""


class InputFeed(Exchange):
    """Channel 0 of one job.

    Args:
        job: The job, or None while the run that will carry it is not accepted yet.
        data: All of it, known from the start (``run(input=...)``).
    """

    __slots__ = ("_closed", "_end_sent", "_held", "_lent", "_offers", "_opened", "_stream", "committed", "job")

    SENDS: ClassVar = True

    def __init__(self, job: str | None, data: bytes | None = None) -> None:
        super().__init__()
        self.job = job
        self.committed = 0
        self._held = bytearray()  # the bytes from ``committed`` on that were taken from the offers
        self._offers: deque[memoryview] = deque()
        self._closed = False
        self._end_sent = False
        self._stream: int | None = None
        self._lent = False
        self._opened = False
        if data is not None:
            self.write(data)
            self._closed = True

    # --- the caller's side ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes; ``poll_room`` tells when they were taken.

        Raises:
            ClosedError: closed before.
            HoldfastError: the job takes no input any more.
        """
        if self._closed:
            raise ClosedError("standard input is closed", ran="yes")
        self._check_open()
        if data:
            self._offers.append(memoryview(data if isinstance(data, bytes) else bytes(data)))
            self._take()

    def close(self) -> None:
        """The end comes after everything written."""
        self._closed = True
        self._take()

    def poll_room(self) -> bool | None:
        """True once everything written was taken into the buffer."""
        if self._offers:
            self._check_open()
            return None
        return True

    def poll_sent(self) -> bool | None:
        """True once the end of file is on its way, or no longer wanted."""
        return True if self._end_sent or self.settled else None

    def _check_open(self) -> None:
        if self.error is not None:
            raise self.error
        if self.settled:
            raise Conflict(f"job {self.job} is over: it takes no input", code=ErrorCode.STATE, ran="yes")

    # --- the connection's side ---

    def lend(self, port: Port, stream: int) -> None:
        """The run's own stream carries the input on this connection."""
        self.port = port
        self.asked = True
        self._open(stream, lent=True)

    def begin(self, port: Port) -> None:
        if self._stream is not None and self._lent:
            return
        if self.job is None:
            return
        super().begin(port)
        self._open(port.request(self, Write(self.job)), lent=False)

    def event(self, stream: int, event: AnyEvent) -> None:
        if not isinstance(event, Opened):
            return
        held = event.offsets.get("0", self.committed)
        if held < self.committed:
            self.fail(HoldfastError(f"job {self.job} has lost input: {held} bytes of {self.committed}", ran="yes"))
        elif held == self.committed:
            self._opened = True
        elif self.port is not None:  # an acknowledgement was lost with the last connection: open where it really stands
            self.acked(stream, 0, held)
            self.port.cancel(stream)
            self.begin(self.port)

    def credited(self, stream: int, channel: int, limit: int) -> None:
        # On a run's own stream the first credit tells that the channel is open there; an END must not come before.
        self._opened = self._opened or self._lent

    def acked(self, stream: int, channel: int, offset: int) -> bool:
        if offset <= self.committed:
            return False
        del self._held[: offset - self.committed]
        self.committed = offset
        self._take()
        return True

    def after_events(self) -> None:
        self._take()
        self.moved()

    def bytes_to_send(self, channel: int, offset: int, size: int) -> bytes:
        start = offset - self.committed
        with memoryview(self._held) as view:
            return bytes(view[start : start + size])

    def after_sending(self) -> None:
        """The end follows the last byte; it needs no credit."""
        if self._closed and not self._end_sent and not self._offers and self._ready:
            assert self.port is not None
            assert self._stream is not None
            length = self.committed + len(self._held)
            if self.port.link.out_offset(self._stream, 0) == length:
                self.port.link.send_end(self._stream, 0, length)
                self._end_sent = True
                self.moved()

    def answered(self, stream: int, header: bytes) -> None:
        self._stream = None
        self._settle()

    def failed(self, stream: int, failure: Failure) -> None:
        self._stream = None
        if failure.code == ErrorCode.SHUTTING_DOWN:
            return
        if failure.code == ErrorCode.STATE:
            self.over()
        else:
            self.fail(failure_error(failure))

    def link_lost(self) -> None:
        super().link_lost()
        self.unlend()

    def unlend(self) -> None:
        """The stream that carried the input is gone; the next ``begin`` opens another."""
        self._stream = None
        self._lent = False
        self._end_sent = False

    def over(self) -> None:
        """The job is done: nobody reads any more."""
        if not self.settled:
            self._offers.clear()
            self._held.clear()
            self._settle()

    def fail(self, error: HoldfastError) -> None:
        self._offers.clear()
        super().fail(error)

    @property
    def lent(self) -> bool:
        """Whether the run's own stream carries the input."""
        return self._lent

    @property
    def _ready(self) -> bool:
        return self.port is not None and self._stream is not None and self._opened

    def _open(self, stream: int, *, lent: bool) -> None:
        self._stream = stream
        self._lent = lent
        self._opened = False
        self._end_sent = False
        assert self.port is not None
        self.port.link.open_out(stream, 0, offset=self.committed, limit=self.committed)

    def _take(self) -> None:
        """Move bytes from the caller's pieces into the buffer, and tell the link that they exist."""
        while self._offers and len(self._held) < HELD_BYTES:
            piece = self._offers[0]
            room = HELD_BYTES - len(self._held)
            self._held += piece[:room]
            if room >= len(piece):
                self._offers.popleft()
            else:
                self._offers[0] = piece[room:]
        if self._ready:
            assert self.port is not None
            assert self._stream is not None
            self.port.link.offer(self._stream, 0, self.committed + len(self._held))
