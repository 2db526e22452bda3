"""The conversation with one worker on the connections that there are: a DIAL on each of them. Pure.

What is said, and how it survives a cut, is the pipe's business (``functions.pipe``). Here its bytes become those of
channel 0, and those of channel 1 become its; both count from 0 on every connection.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from holdfast.client.exchange import Exchange
from holdfast.client.failures import failure_error
from holdfast.errors import HoldfastError, RemoteProtocolError
from holdfast.functions.messages import ConversationError
from holdfast.wire.limits import MIB
from holdfast.wire.messages import AnyEvent, Dial, DialAnswer, ErrorCode, Failure, Opened, decode

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.client.exchange import Port
    from holdfast.functions.pipe import ClientPipe

    class Owner(Protocol):
        """Who speaks with the worker."""

        pipe: ClientPipe

        def told(self, messages: list[tuple[int, int, bytes]]) -> None:
            """The worker has said this, which may be nothing that matters; ``heard`` follows."""

        def heard(self) -> None:
            """All that one reading has brought was told."""

        def gone(self, answer: DialAnswer) -> None:
            """The worker has ended."""

        def unreachable(self, error: HoldfastError) -> None:
            """There is no way to the worker any more; nothing is known of it."""


WINDOW_BYTES: Final = 4 * MIB
"""How far a worker may run ahead of us. What comes is taken at once, so this is no memory that is held."""


class DialExchange(Exchange):
    """Speaks with the worker that is the main process of a job, until it is gone.

    Args:
        job: The job.
        owner: Who is told.
    """

    __slots__ = ("_job", "_limit", "_offered", "_out", "_owner", "_stream")

    SENDS: ClassVar = True

    def __init__(self, job: str, owner: Owner) -> None:
        super().__init__()
        self._job = job
        self._owner = owner
        self._stream: int | None = None
        self._out: deque[bytes | memoryview] = deque()
        self._offered = 0
        self._limit = 0

    def pump(self) -> None:
        """Send what the pipe has to say, as far as there is a connection."""
        if self._stream is None or self.port is None:
            return
        data = self._owner.pipe.data_to_send()
        if data:
            self._out.append(data)
            self._offered += len(data)
            self.port.link.offer(self._stream, 0, self._offered)

    # --- the connection's side ---------------------------------------------------------------------------------------

    def begin(self, port: Port) -> None:
        super().begin(port)
        self._offered = 0
        self._limit = WINDOW_BYTES
        self._stream = port.request(self, Dial(self._job, WINDOW_BYTES), reads={1: (0, WINDOW_BYTES)})
        port.link.open_out(self._stream, 0, offset=0, limit=0)

    def event(self, stream: int, event: AnyEvent) -> None:
        if stream == self._stream and isinstance(event, Opened):
            self._owner.pipe.attach()
            self.pump()

    def data(self, stream: int, channel: int, offset: int, data: bytes) -> None:
        if stream != self._stream or self.port is None:
            return
        limit = offset + len(data) + WINDOW_BYTES
        if limit - self._limit >= WINDOW_BYTES // 4:
            self._limit = limit
            self.port.link.grant(stream, channel, limit)
        try:
            self._owner.told(self._owner.pipe.receive(data))
        except ConversationError as error:
            self.port.cancel(stream)
            self._stream = None
            self.fail(RemoteProtocolError(f"the worker of job {self._job}: {error}"))

    def after_events(self) -> None:
        if not self.settled:
            self._owner.heard()
            self.pump()

    def bytes_to_send(self, channel: int, offset: int, size: int) -> bytes:
        first = self._out.popleft()
        if len(first) > size:
            self._out.appendleft(memoryview(first)[size:])  # uncopied: it may be long, and sent in many turns
            first = first[:size]
        return bytes(first)

    def answered(self, stream: int, header: bytes) -> None:
        self._lost()
        try:
            answer = decode(header, DialAnswer)
        except RemoteProtocolError as error:
            self.fail(error)
            return
        if answer.gone:
            self._settle()
            self._owner.gone(answer)
        elif self.port is not None and self.port.asking:
            self.begin(self.port)

    def failed(self, stream: int, failure: Failure) -> None:
        self._lost()
        if failure.code != ErrorCode.SHUTTING_DOWN:
            self.fail(failure_error(failure))

    def link_lost(self) -> None:
        super().link_lost()
        self._lost()

    def fail(self, error: HoldfastError) -> None:
        if not self.settled:
            self._lost()
            super().fail(error)
            self._owner.unreachable(error)

    def _lost(self) -> None:
        self._stream = None
        self._out.clear()
        self._owner.pipe.lost()
