"""One thing that a caller waits for, on whatever connection there is: the base, and the simple call. Pure.

An exchange is asked anew on every connection until it is settled. Whoever waits for it gives a function to be called
when it has moved; what that function does (release a lock, set a future) is the driver's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from holdfast.client.calls import Call
from holdfast.client.failures import failure_error
from holdfast.errors import ClosedError, HoldfastError, LinkLost, OutcomeUnknown, RemoteProtocolError
from holdfast.wire.messages import AnyEvent, End, ErrorCode, Failure, Request

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.errors import Ran
    from holdfast.wire.link import Link

    class Port(Protocol):
        """The connection as an exchange sees it while it is open."""

        incarnation: str | None

        @property
        def link(self) -> Link: ...

        def request(
            self,
            exchange: Exchange,
            request: Request,
            body: bytes = b"",
            *,
            reads: Mapping[int, tuple[int, int]] | None = None,
        ) -> int: ...
        @property
        def asking(self) -> bool: ...
        def cancel(self, stream: int) -> None: ...
        def window_most(self) -> int: ...
        def settle(self, exchange: Exchange) -> None: ...
        def submit(self, exchange: Exchange) -> None: ...


T = TypeVar("T")


class Exchange:
    """Base: a thing with an end.

    Attributes:
        error: Why it failed; raised to whoever waits.
        settled: Nothing more will be asked for it.
        port: The open connection it has been asked on, or None.
    """

    __slots__ = ("_waiters", "asked", "error", "port", "settled")

    SENDS: ClassVar = False
    """Whether it may have bytes of a channel to send."""

    def __init__(self) -> None:
        self.error: HoldfastError | None = None
        self.settled = False
        self.asked = False
        self.port: Port | None = None
        self._waiters: list[Callable[[], None]] = []

    @property
    def key(self) -> str | None:
        """The start key to ask again with, if there is one."""
        return None

    @property
    def complete(self) -> bool:
        """Nothing more is to be asked for it."""
        return self.settled

    @property
    def patient(self) -> bool:
        """Whether it is worth a long wait for a lost connection: a job is under way."""
        return True

    @property
    def companion(self) -> Exchange | None:
        """Another exchange that goes wherever this one goes."""
        return None

    # --- the waiting side ---

    def add_waiter(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` once, at the next move."""
        self._waiters.append(wake)

    def remove_waiter(self, wake: Callable[[], None]) -> None:
        """Forget a waiter that has gone."""
        if wake in self._waiters:
            self._waiters.remove(wake)

    def moved(self) -> None:
        """Wake everybody who waits."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for wake in waiters:
                wake()

    # --- the connection's side ---

    def begin(self, port: Port) -> None:
        """Ask on an open connection."""
        self.port = port
        self.asked = True

    def answered(self, stream: int, header: bytes) -> None:
        """RES on a stream of this exchange."""

    def answer_body(self, stream: int, body: bytes) -> None:
        """The body of the RES that ``answered`` is about to tell; only called where there is one."""

    def failed(self, stream: int, failure: Failure) -> None:
        """ERR on a stream of this exchange."""
        self.fail(failure_error(failure))

    def event(self, stream: int, event: AnyEvent) -> None:
        """EVT on a stream of this exchange."""

    def data(self, stream: int, channel: int, offset: int, data: bytes) -> None:
        """DATA on a stream of this exchange."""

    def ended(self, stream: int, channel: int, length: int, end: End) -> None:
        """END on a stream of this exchange."""

    def gap(self, stream: int, channel: int, offset: int) -> None:
        """GAP on a stream of this exchange."""

    def acked(self, stream: int, channel: int, offset: int) -> bool:
        """ACK on a stream of this exchange; True if it tells more than was known."""
        return False

    def credited(self, stream: int, channel: int, limit: int) -> None:
        """CREDIT on a stream of this exchange."""

    def bytes_to_send(self, channel: int, offset: int, size: int) -> bytes:
        """Bytes for a turn of this exchange."""
        raise NotImplementedError

    def after_sending(self) -> None:
        """All turns were taken; only called for exchanges that have ``SENDS``."""

    def after_events(self) -> None:
        """All events of one reading have been told."""
        self.moved()

    def link_lost(self) -> None:
        """The connection is gone; ``begin`` comes again."""
        self.port = None

    def fail(self, error: HoldfastError) -> None:
        """End with an error; the first one counts."""
        if not self.settled:
            self.error = error
            self._settle()

    def lost_error(self, reason: str) -> HoldfastError:
        """The error when no connection will come back."""
        error = LinkLost(reason)
        error.ran = "unknown" if self.asked else "no"
        return error

    @property
    def ran(self) -> Ran:
        """Whether what was asked has been carried out, as far as is known before the answer."""
        return "unknown" if self.asked else "no"

    def refused_error(self, error: HoldfastError) -> HoldfastError:
        """The error when the way to the agent is closed to us: this one, with what became of this request."""
        own = copy(error)
        own.__cause__ = error.__cause__
        own.ran = self.ran
        return own

    def closed_error(self, reason: str) -> HoldfastError:
        """The error when the caller's own side has closed the connection."""
        return ClosedError(reason, ran="unknown" if self.asked else "no")

    def _settle(self) -> None:
        self.settled = True
        if self.port is not None:
            self.port.settle(self)
        self.moved()


class CallExchange(Exchange, Generic[T]):
    """One request, one answer."""

    __slots__ = ("_again", "_call", "_result", "_stream")

    def __init__(self, call: Call[T]) -> None:
        super().__init__()
        self._call = call
        self._result: T | None = None
        self._again = False
        self._stream = 0

    def poll(self) -> T | None:
        """The result, or None while it has not come.

        Raises:
            HoldfastError: the call has failed.
        """
        if self.error is not None:
            raise self.error
        return self._result

    @property
    def key(self) -> str | None:
        return self._call.key

    @property
    def patient(self) -> bool:
        return self._call.patient

    def begin(self, port: Port) -> None:
        self._again = self.asked
        super().begin(port)
        self._stream = port.request(self, self._call.request, self._call.body)

    def answered(self, stream: int, header: bytes) -> None:
        try:
            self._result = self._call.read(header)
        except RemoteProtocolError as error:
            self.fail(error)
        else:
            self._settle()

    def failed(self, stream: int, failure: Failure) -> None:
        if failure.code == ErrorCode.SHUTTING_DOWN:
            return  # asked again on the next connection; an agent that is leaving has not carried it out
        if self._again and failure.code in self._call.if_repeated:
            self._result = self._call.if_repeated[failure.code]
            self._settle()
        else:
            self.fail(failure_error(failure))

    def link_lost(self) -> None:
        super().link_lost()
        if self.settled or not self.asked or self._call.repeatable:
            return
        if self._call.if_lost is not None:
            self._result = self._call.if_lost
            self._settle()
        else:
            self.fail(OutcomeUnknown("the connection broke before the answer; it may have been carried out"))

    def lost_error(self, reason: str) -> HoldfastError:
        if self.asked and self._call.key is not None:
            return OutcomeUnknown(f"{reason}; ask again with the same key", key=self._call.key)
        return super().lost_error(reason)
