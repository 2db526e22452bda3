"""Everything a client knows while connections come and go: one link at a time, and what is waited for. Pure.

Rules:

* The driver tells what happened (``connected``, ``receive_data``, ``disconnected``, ``handle_timeout``) and does what
  ``wants_connection``, ``data_to_send`` and ``next_deadline`` say. There is nothing else between them.
* Exchanges live here until they are settled; each connection asks them anew. With none left, a lost connection is
  not brought back before the next one is submitted.
* A refusal of who we are (codes 200 to 299, a changed key) is final: everything under way ends with it, and nothing
  is tried again before somebody asks for something new. A broken connection never is.
* The journal's identity (incarnation) is remembered: an agent that comes back with another one knows nothing of what
  was asked before, so those exchanges end with ``OutcomeUnknown`` instead of starting a command a second time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from holdfast.client.calls import stop
from holdfast.client.exchange import CallExchange, Exchange
from holdfast.client.failures import TRANSIENT, failure_error
from holdfast.client.feed import JobFeed
from holdfast.client.resume import LEAST_S, Backoff
from holdfast.errors import (
    ConnectFailed,
    HoldfastError,
    LimitExceeded,
    LocalProtocolError,
    OutcomeUnknown,
    RemoteProtocolError,
)
from holdfast.wire import limits
from holdfast.wire.link import (
    AckReceived,
    Answered,
    CreditReceived,
    DataReceived,
    EndReceived,
    EventReceived,
    Failed,
    GapReceived,
    GoAwayReceived,
    Link,
    LinkClosed,
    LinkEvent,
    Welcomed,
)
from holdfast.wire.messages import ErrorCode, Failure, Hello, Opened, Request, Welcome
from holdfast.wire.phases import Phase as LinkPhase
from holdfast.wire.phases import Role

if TYPE_CHECKING:
    from holdfast.wire.frames import Chunk

STREAMS_USED: Final = limits.STREAMS_OPEN - 64
"""Exchanges asked at once; the rest of the streams is for second requests of those under way."""
WAITING_MOST: Final = 10_000
"""Exchanges waiting for a stream; beyond, ``LimitExceeded``."""
BUFFER_BYTES: Final = 32 * limits.MIB
"""Received and not yet taken by the caller, all channels of the connection together."""
SEND_BYTES: Final = 1 * limits.MIB
"""Most that ``data_to_send`` gathers at once."""
PROBE_EVERY_S: Final = 2.0
"""Changes of the network come in bursts, and an agent takes one PING a second in the long run."""
_IDENTITY: Final = 2
"""Hundreds of the error codes that speak of who somebody is."""


class Phase(StrEnum):
    """``IDLE``: no connection, none wanted. ``DOWN``: one is wanted. ``GREETING``, ``OPEN``. ``CLOSED``: for good."""

    IDLE = "idle"
    DOWN = "down"
    GREETING = "greeting"
    OPEN = "open"
    CLOSED = "closed"


class LinkChange(msgspec.Struct, frozen=True):
    """What happened to a connection. ``delay_s``: seconds until the next attempt, for ``lost`` and ``retrying``."""

    kind: Literal["lost", "retrying", "resumed"]
    reason: str = ""
    attempt: int = 0
    delay_s: float = 0.0


class Session:
    """The core of a client.

    Args:
        instance: Random id of this process; carries its leases from connection to connection.
        software: Our name and version, for the greeting.
        random: Uniform numbers from 0 to 1, for the back-off.
        connect_s: A call fails when no connection came about for so long, and so does a run that was never sent.
        reconnect_s: A run or a reading that is under way is given up so long after a loss; None: never.
        greeting_s: Time from a transport that is up to the agent's welcome.
    """

    def __init__(
        self,
        *,
        instance: str,
        software: str,
        random: Callable[[], float],
        connect_s: float = 10.0,
        reconnect_s: float | None = None,
        greeting_s: float = limits.HELLO_DEADLINE_S,
    ) -> None:
        self._hello = Hello(limits.PROTOCOL_LOWEST, limits.PROTOCOL_HIGHEST, instance, software)
        self._backoff = Backoff(random)
        self._connect_s = connect_s
        self._reconnect_s = reconnect_s
        self._greeting_s = greeting_s
        self.phase = Phase.IDLE
        self.welcome: Welcome | None = None
        self.incarnation: str | None = None
        self.refusal: HoldfastError | None = None
        self.changes: deque[LinkChange] = deque()
        self._link: Link | None = None
        self._exchanges: dict[Exchange, float] = {}
        self._senders: dict[Exchange, None] = {}
        self._unasked: deque[Exchange] = deque()
        self._streams: dict[int, Exchange] = {}
        self._touched: dict[Exchange, None] = {}
        self._retry_at = 0.0
        self._lost_at: float | None = None
        self._attempts = 0
        self._retry_after_s: float | None = None
        self._early_at: float | None = None
        self._probe_at: float | None = None
        self._next_probe_at = 0.0
        self._now = 0.0

    # --- the driver's side -------------------------------------------------------------------------------------------

    def wants_connection(self, *, now: float) -> bool:
        """Whether to connect now."""
        return self.phase is Phase.DOWN and now >= self._retry_at

    def connected(self, *, now: float) -> None:
        """A transport is up: greet."""
        self._now = now
        self._link = Link(Role.CLIENT, now=now, hello=self._hello, greeting_s=self._greeting_s)
        self._probe_at = None
        self.phase = Phase.GREETING

    def connect_failed(self, error: HoldfastError, *, now: float) -> None:
        """No transport came about; anything but ``ConnectFailed`` is final."""
        self._now = now
        if isinstance(error, ConnectFailed):
            self._down(str(error))
        else:
            self._refuse(error)

    def receive_data(self, data: Chunk, *, now: float) -> None:
        """Bytes of the peer; ``b""`` at their end."""
        link = self._link
        if link is None:
            return
        self._now = now
        try:
            link.receive_data(data, now=now)
            self._take_events(link)
        except Exception as error:  # whoever waits must be told, and not wait for ever
            self._our_mistake(error)

    def disconnected(self, reason: str, *, now: float) -> None:
        """The transport broke."""
        self._now = now
        if self._link is not None:
            self._link.lost(reason, now=now)
            self._take_events(self._link)

    def refused(self, error: HoldfastError, *, now: float) -> None:
        """The transport was taken away because of who we are, or who the agent is: final."""
        self._now = now
        self._refuse(error)

    def network_changed(self, *, now: float) -> None:
        """Links, addresses or routes of this machine are others now: a lost connection may be had again, a quiet one
        may be dead. What the agent has asked us to wait is still waited.
        """
        self._now = now
        if self.phase is Phase.DOWN and self._early_at is not None:
            self._retry_at = min(self._retry_at, max(now, self._early_at))
        elif self.phase is Phase.OPEN:
            self._probe_at = max(now, self._next_probe_at)
            self.handle_timeout(now=now)

    def data_to_send(self) -> bytes:
        """Bytes for the peer, about ``SEND_BYTES`` at most; empty when there are none now."""
        link = self._link
        if link is None:
            return b""
        gathered = 0
        while gathered < SEND_BYTES and (turn := link.next_turn()) is not None:
            data = self._streams[turn.stream].bytes_to_send(turn.channel, turn.offset, turn.size)
            link.send_data(turn.stream, turn.channel, data)
            gathered += len(data)
        for exchange in list(self._senders):
            exchange.after_sending()
        return link.data_to_send()

    def sent(self, *, now: float) -> None:
        """Bytes were written."""
        if self._link is not None:
            self._link.sent(now=now)

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` (or a new attempt to connect) is due; None: nothing is."""
        if self.phase is Phase.DOWN:
            return self._retry_at
        deadline = self._link.next_deadline() if self._link is not None else None
        if self._probe_at is not None and deadline is not None:
            return min(self._probe_at, deadline)
        return deadline

    def handle_timeout(self, *, now: float) -> None:
        """Do what time asks for; early calls are harmless."""
        if self._link is not None:
            self._now = now
            if self._probe_at is not None and now >= self._probe_at and self.phase is Phase.OPEN:
                self._probe_at = None
                self._next_probe_at = now + PROBE_EVERY_S
                self._link.probe(now)
            self._link.handle_timeout(now=now)
            self._take_events(self._link)

    @property
    def transport_wanted(self) -> bool:
        """False once the driver may drop its transport, after a last ``data_to_send``."""
        return self._link is not None

    def close(self, reason: str, *, now: float) -> bytes:
        """Close for good; returns the last bytes for the peer. Every exchange ends with ``ClosedError``."""
        self._now = now
        last = b""
        if self.phase is not Phase.CLOSED:
            if self._link is not None:
                self._link.close()
                last = self._link.data_to_send()
            self._link = None
            self.phase = Phase.CLOSED
            self._fail_all(lambda exchange: exchange.closed_error(reason))
        return last

    # --- the callers' side -------------------------------------------------------------------------------------------

    def open(self, *, now: float) -> None:
        """A connection is wanted, even without an exchange."""
        if self.phase is Phase.IDLE:
            self.phase = Phase.DOWN
            self._retry_at = now

    def at(self, now: float) -> Session:
        """This session, which knows now how late it is."""
        self._now = now
        return self

    def submit(self, exchange: Exchange, *, now: float | None = None) -> None:
        """Take an exchange; it is asked at once if the connection is open. One that is known or settled is ignored.

        Raises:
            ClosedError: the session was closed.
            LimitExceeded: ``WAITING_MOST`` exchanges are waiting.
        """
        if exchange in self._exchanges or exchange.complete:
            return
        if now is not None:
            self._now = now
        if self.phase is Phase.CLOSED:
            raise exchange.closed_error("this connection is closed")
        if len(self._unasked) >= WAITING_MOST:
            raise LimitExceeded(f"{WAITING_MOST} calls are waiting on this connection", code=ErrorCode.TOO_MANY_STREAMS)
        for each in (exchange, exchange.companion):
            if each is not None and not each.complete and each not in self._exchanges:
                self._exchanges[each] = self._now
                self._unasked.append(each)
                if each.SENDS:
                    self._senders[each] = None
        if self.phase is Phase.IDLE:
            self.phase = Phase.DOWN
            self._retry_at = self._now
        self._ask()

    def drop(self, exchange: Exchange) -> None:
        """Forget an exchange: the agent is told that nobody waits for its answers any more."""
        link = self._link
        for stream in [number for number, owner in self._streams.items() if owner is exchange]:
            del self._streams[stream]
            if link is not None:
                link.cancel(stream)
        self._forget(exchange)
        exchange.settled = True
        exchange.port = None
        exchange.moved()
        self._ask()

    def release(self, feed: JobFeed) -> None:
        """The caller takes no more output: a run of ours stays attached by waiting for its end, others are dropped."""
        if feed.keeps_place:
            feed.park()
        else:
            self.drop(feed)

    def abandon(self, feed: JobFeed) -> bool:
        """The caller of a run has gone: stop its job. True if that waits for the job's id, which has not come yet."""
        if feed.to_be_stopped:
            self.submit(CallExchange(stop(str(feed.job), None)))
        elif feed.abandon():
            return True
        self.drop(feed)
        return False

    # --- the exchanges' side (see ``exchange.Port``) -----------------------------------------------------------------

    @property
    def link(self) -> Link:
        """The open link.

        Raises:
            LocalProtocolError: there is none.
        """
        if self._link is None:
            raise LocalProtocolError("there is no connection")
        return self._link

    def request(
        self,
        exchange: Exchange,
        request: Request,
        body: bytes = b"",
        *,
        reads: Mapping[int, tuple[int, int]] | None = None,
    ) -> int:
        """Open a stream whose answers go to ``exchange``."""
        stream = self.link.request(request, body, reads=reads)
        self._streams[stream] = exchange
        return stream

    @property
    def asking(self) -> bool:
        """Whether requests can be sent: connected, and the agent is not leaving."""
        return self._link is not None and self._link.phase is LinkPhase.OPEN

    def cancel(self, stream: int) -> None:
        """Give up one stream of an exchange that goes on."""
        if self._streams.pop(stream, None) is not None:
            self.link.cancel(stream)

    def window_most(self) -> int:
        """Largest window of one channel now, so that all together stay within ``BUFFER_BYTES``."""
        share = BUFFER_BYTES // (2 * max(1, len(self._streams)))
        return max(limits.INITIAL_WINDOW_BYTES, min(limits.WINDOW_BYTES, share))

    def settle(self, exchange: Exchange) -> None:
        """This exchange needs nothing more."""
        self._forget(exchange)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _forget(self, exchange: Exchange) -> None:
        self._exchanges.pop(exchange, None)
        self._senders.pop(exchange, None)

    def _ask(self) -> None:
        while self._unasked and self.asking and len(self._streams) < STREAMS_USED:
            exchange = self._unasked.popleft()
            if exchange in self._exchanges:
                try:
                    exchange.begin(self)
                except LocalProtocolError as error:
                    exchange.fail(error)
        if self._link is not None and self._link.phase is LinkPhase.DRAIN and not self._streams and self._exchanges:
            self._leave()

    def _take_events(self, link: Link) -> None:
        touched = self._touched
        while (event := link.next_event()) is not None:
            self._on_event(event)
        if touched:
            self._touched = {}
            for exchange in touched:
                exchange.after_events()
        self._ask()

    def _on_event(self, event: LinkEvent) -> None:
        match event:
            case DataReceived(stream=stream):
                if (exchange := self._owner(stream)) is not None:
                    self._backoff.progress()
                    exchange.data(stream, event.channel, event.offset, event.data)
            case EventReceived(stream=stream):
                if (exchange := self._owner(stream)) is not None:
                    if not isinstance(event.event, Opened):  # that one is told on each connection
                        self._backoff.progress()
                    exchange.event(stream, event.event)
            case EndReceived(stream=stream):
                if (exchange := self._owner(stream)) is not None:
                    self._backoff.progress()
                    exchange.ended(stream, event.channel, event.length, event.end)
            case Answered(stream=stream):
                if (exchange := self._owner(stream)) is not None:
                    del self._streams[stream]
                    self._backoff.progress()
                    if event.body:
                        exchange.answer_body(stream, event.body)
                    exchange.answered(stream, event.header)
            case Failed(stream=stream):
                if (exchange := self._owner(stream)) is not None:
                    del self._streams[stream]
                    self._on_failed(exchange, stream, event.failure)
            case CreditReceived(stream=stream):
                if (exchange := self._owner(stream)) is not None:
                    exchange.credited(stream, event.channel, event.limit)
            case AckReceived(stream=stream):
                if (exchange := self._owner(stream)) is not None and exchange.acked(
                    stream, event.channel, event.offset
                ):
                    self._backoff.progress()
            case GapReceived(stream=stream):
                if (exchange := self._owner(stream)) is not None:
                    exchange.gap(stream, event.channel, event.offset)
            case Welcomed():
                self._on_welcome(event.welcome)
            case GoAwayReceived():
                self._retry_after_s = event.goaway.retry_after_s
            case LinkClosed():
                self._on_closed(event)

    def _owner(self, stream: int) -> Exchange | None:
        exchange = self._streams.get(stream)
        if exchange is not None:
            self._touched[exchange] = None
        return exchange

    def _on_failed(self, exchange: Exchange, stream: int, failure: Failure) -> None:
        exchange.failed(stream, failure)
        if failure.code == ErrorCode.SHUTTING_DOWN and not exchange.settled:
            self._retry_after_s = failure.retry_after_s
            self._unasked.append(exchange)
        else:
            self._backoff.progress()

    def _on_welcome(self, welcome: Welcome) -> None:
        replaced = self.incarnation is not None and welcome.incarnation != self.incarnation
        self.welcome = welcome
        self.incarnation = welcome.incarnation
        self.phase = Phase.OPEN
        if replaced:
            for exchange in [each for each in self._exchanges if each.asked]:
                exchange.fail(
                    OutcomeUnknown(
                        "the agent has come back with another journal and knows nothing of what was asked before",
                        key=exchange.key,
                    )
                )
                self._forget(exchange)
        if self._lost_at is not None:
            self.changes.append(LinkChange("resumed", attempt=self._attempts))
        self._lost_at = None
        self._attempts = 0
        self._unasked = deque(self._exchanges)

    def _on_closed(self, event: LinkClosed) -> None:
        greeting = self.phase is Phase.GREETING
        fatal = event.code > 0 and event.code not in TRANSIENT and event.code < ErrorCode.INTERNAL
        if not fatal:
            self._link_gone(event.text or "the agent closed the connection")
            return
        if greeting or event.code // 100 == _IDENTITY:
            error = failure_error(Failure(event.code, event.text))
        else:
            error = event.error or RemoteProtocolError(
                f"the agent closed the connection: {event.text}", code=event.code
            )
        self._refuse(error)

    def _leave(self) -> None:
        """The agent takes nothing new and owes nothing: find the next one."""
        self.link.close()
        self._link_gone("the agent is leaving")

    def _link_gone(self, reason: str) -> None:
        self._lose_link()
        self._down(reason)

    def _lose_link(self) -> None:
        self._link = None
        self._streams = {}
        for exchange in list(self._exchanges):
            exchange.link_lost()
            if exchange.settled:
                self._forget(exchange)

    def _our_mistake(self, error: Exception) -> None:
        """Costs what is under way, not the program: the next call connects anew."""
        told = LocalProtocolError(f"a mistake of this client: {type(error).__name__}: {error}")
        told.__cause__ = error
        self._refuse(told)

    def _refuse(self, error: HoldfastError) -> None:
        """There is no way on: everything ends with this error."""
        if self.phase is Phase.CLOSED:
            return
        self.refusal = error
        self._lose_link()
        self._fail_all(lambda exchange: exchange.refused_error(error))
        self.phase = Phase.IDLE
        self._lost_at = None

    def _down(self, reason: str) -> None:
        """Arrange the next attempt, or give up."""
        if self.phase is Phase.CLOSED:
            return
        self._link = None
        first = self._lost_at is None
        if first:
            self._lost_at = self._now
        lost_at = self._now if self._lost_at is None else self._lost_at
        for exchange, since in list(self._exchanges.items()):
            patience_s = self._reconnect_s if exchange.asked and exchange.patient else self._connect_s
            if patience_s is not None and self._now >= max(since, lost_at) + patience_s:
                self._forget(exchange)
                text = f"no connection for {patience_s:g} s: {reason}"
                exchange.fail(exchange.lost_error(text) if exchange.asked else ConnectFailed(text))
        if not self._exchanges:
            self.phase = Phase.IDLE
            self._lost_at = None
            self._unasked.clear()
            return
        delay_s = self._backoff.next_delay(self._retry_after_s)
        self._early_at = self._now + LEAST_S if self._retry_after_s is None else None
        self._retry_after_s = None
        self._retry_at = self._now + delay_s
        self.phase = Phase.DOWN
        self._attempts += 1
        self.changes.append(LinkChange("lost" if first else "retrying", reason, self._attempts, delay_s))

    def _fail_all(self, error_of: Callable[[Exchange], HoldfastError]) -> None:
        exchanges, self._exchanges = list(self._exchanges), {}
        self._senders.clear()
        self._unasked.clear()
        self._streams = {}
        for exchange in exchanges:  # all of them first: the end of one may move others
            exchange.port = None
        for exchange in exchanges:
            exchange.fail(error_of(exchange))
