"""One connection, as a value: greeting, heartbeat, streams, flow control, close. No input, output or clock in here.

Rules:

* Bytes go in by ``receive_data``, events come out by ``next_event``, bytes to send by ``data_to_send``; ``now`` comes
  in, the next deadline goes out. A driver is one loop around these four.
* After any ``RemoteProtocolError`` the link is CLOSED, a CLOSE frame is in ``data_to_send`` and the last event is
  ``LinkClosed``.
* There is no session: nothing here outlives the connection. Resuming is asking again by key and offset.
* Late frames for a stream that has been answered are dropped silently (they crossed the answer on the wire); frames
  for a stream that was never opened are a protocol error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from holdfast.errors import LocalProtocolError, RemoteProtocolError
from holdfast.wire import limits
from holdfast.wire.flow import Inflow, TokenBucket, Turn, Turns
from holdfast.wire.frames import Frame, FrameParser, FrameType, encode_frame
from holdfast.wire.messages import (
    AnyEvent,
    AnyRequest,
    Close,
    End,
    ErrorCode,
    Failure,
    GoAway,
    Hello,
    Request,
    UnreadableHeader,
    Welcome,
    decode,
    decode_event,
    decode_request,
    encode,
)
from holdfast.wire.phases import ALLOWED, Phase, Role

# --- events ----------------------------------------------------------------------------------------------------------


class LinkEvent(msgspec.Struct, frozen=True, gc=False):
    """Base of what a link tells its driver."""


class HelloReceived(LinkEvent, frozen=True, gc=False):
    """Agent: a client greets; answer with ``Link.welcome`` or ``Link.close``."""

    hello: Hello


class Welcomed(LinkEvent, frozen=True, gc=False):
    """Client: connected."""

    welcome: Welcome


class RequestReceived(LinkEvent, frozen=True, gc=False):
    """Agent: a request opened ``stream``; end it with ``respond`` or ``fail``."""

    stream: int
    request: AnyRequest
    body: bytes


class Cancelled(LinkEvent, frozen=True, gc=False):
    """Agent: the client no longer wants the answer; the stream is forgotten, the job is not touched."""

    stream: int


class Answered(LinkEvent, frozen=True, gc=False):
    """Client: RES; the stream is over. ``header`` is decoded by who asked."""

    stream: int
    header: bytes
    body: bytes


class Failed(LinkEvent, frozen=True, gc=False):
    """Client: ERR; the stream is over."""

    stream: int
    failure: Failure


class EventReceived(LinkEvent, frozen=True, gc=False):
    """Client: EVT on an open stream."""

    stream: int
    number: int
    event: AnyEvent


class DataReceived(LinkEvent, frozen=True, gc=False):
    """DATA: the bytes from ``offset`` on, checked to be the next ones wanted."""

    stream: int
    channel: int
    offset: int
    data: bytes


class EndReceived(LinkEvent, frozen=True, gc=False):
    """END: the channel is ``length`` bytes long, and all of them from the asked offset on were received."""

    stream: int
    channel: int
    length: int
    end: End


class GapReceived(LinkEvent, frozen=True, gc=False):
    """GAP: the bytes below ``offset`` are gone by the job's own retention rule."""

    stream: int
    channel: int
    offset: int


class CreditReceived(LinkEvent, frozen=True, gc=False):
    """CREDIT: the peer takes bytes up to ``limit``; ``next_turn`` already knows."""

    stream: int
    channel: int
    limit: int


class AckReceived(LinkEvent, frozen=True, gc=False):
    """ACK: the agent holds everything below ``offset``."""

    stream: int
    channel: int
    offset: int


class GoAwayReceived(LinkEvent, frozen=True, gc=False):
    """The peer takes no new streams."""

    goaway: GoAway


class LinkClosed(LinkEvent, frozen=True, gc=False):
    """The last event. ``error`` is None after a close by either side, or a bare end of stream (``code`` -1)."""

    code: int
    text: str
    error: RemoteProtocolError | None = None


END_OF_STREAM: Final = -1
"""``LinkClosed.code`` when the peer's bytes ended without a CLOSE."""
SILENT: Final = -2
"""``LinkClosed.code`` when nothing was received for ``limits.SILENCE_S``."""

NO_END: Final = End()
"""An END without a digest: for stdin, and for channels whose digest comes later."""

_F = FrameType


class _Stream:
    """What one open stream receives, by channel."""

    __slots__ = ("inflows",)

    def __init__(self) -> None:
        self.inflows: dict[int, Inflow] = {}


class Link:
    """The core of a connection, in the role of client or agent.

    Args:
        role: Which side we are.
        now: Monotonic seconds.
        hello: The greeting; for a client, and only there.
    """

    def __init__(self, role: Role, *, now: float, hello: Hello | None = None) -> None:
        if (role is Role.CLIENT) is (hello is None):
            raise LocalProtocolError("a client greets, an agent is greeted")
        self.role = role
        self.phase = Phase.PRE
        self.welcomed: Welcome | None = None
        self._parser = FrameParser(ALLOWED[role, Phase.PRE])
        self._events: deque[LinkEvent] = deque()
        self._out: list[bytes] = []
        self._streams: dict[int, _Stream] = {}
        self._turns = Turns()
        self._last_stream = 0
        self._next_stream = 1
        self._received_at = now
        self._sent_at = now
        self._greet_deadline = now + limits.HELLO_DEADLINE_S
        self._pings = TokenBucket(burst=limits.PINGS_BURST, per_s=1, now=now)
        self._opens = TokenBucket(burst=limits.STREAMS_PER_S, per_s=limits.STREAMS_PER_S, now=now)
        self._greeted = False
        if hello is not None:
            self._send(encode_frame(_F.HELLO, header=encode(hello)))

    # --- the core ----------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer; ``b""`` means that no more will come."""
        if self.closed:
            return
        if not data:
            self._closed(END_OF_STREAM, "the connection ended")
            return
        self._received_at = now
        parser = self._parser
        parser.feed(data)
        try:
            while (frame := parser.next_frame()) is not None:
                self._dispatch(frame, now)
                if self.phase is Phase.CLOSED:
                    return
        except RemoteProtocolError as error:
            self._break(error)

    def data_to_send(self) -> bytes:
        """All that is to be sent now, in one piece; empty when nothing is."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def pieces_to_send(self) -> list[bytes]:
        """As ``data_to_send``, uncopied, for drivers that can write several buffers at once."""
        out = self._out
        self._out = []
        return out

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` wants to be called; None once the link is closed."""
        if self.phase is Phase.CLOSED:
            return None
        if self.phase is Phase.PRE:
            return self._greet_deadline
        return min(self._sent_at + limits.HEARTBEAT_S, self._received_at + limits.SILENCE_S)

    def handle_timeout(self, *, now: float) -> None:
        """Do what time asks for; early calls are harmless."""
        if self.phase is Phase.CLOSED:
            return
        if self.phase is Phase.PRE:
            if now >= self._greet_deadline:
                self.close(ErrorCode.DEADLINE, f"no greeting within {limits.HELLO_DEADLINE_S:g} s")
            return
        if now >= self._received_at + limits.SILENCE_S:
            self._closed(SILENT, f"nothing received for {limits.SILENCE_S:g} s")
        elif now >= self._sent_at + limits.HEARTBEAT_S:
            self._send(encode_frame(_F.PING, position=int(now * 1000)))
            self._sent_at = now

    def next_event(self) -> LinkEvent | None:
        """The oldest event that was not fetched yet, or None."""
        return self._events.popleft() if self._events else None

    def sent(self, *, now: float) -> None:
        """The driver wrote bytes: the next heartbeat counts from here."""
        self._sent_at = now

    @property
    def closed(self) -> bool:
        """True once nothing more will be accepted; ``data_to_send`` may still hold a last CLOSE."""
        return self.phase is Phase.CLOSED

    @property
    def open_streams(self) -> int:
        """Streams that are not answered yet."""
        return len(self._streams)

    # --- both sides --------------------------------------------------------------------------------------------------

    def close(self, code: int = 0, text: str = "") -> None:
        """Say CLOSE and be closed."""
        if self.phase is Phase.CLOSED:
            return
        self._send(encode_frame(_F.CLOSE, header=encode(Close(code, text[:1024]))))
        self._closed(code, text)

    def next_turn(self) -> Turn | None:
        """Which channel may send now, and how much; answer with ``send_data``."""
        return self._turns.next_turn()

    def open_out(self, stream: int, channel: int, *, offset: int, limit: int) -> None:
        """Begin sending a channel of an open stream from ``offset``, with credit up to ``limit``."""
        self._need(stream)
        self._turns.open(stream, channel, offset=offset, limit=limit)

    def offer(self, stream: int, channel: int, end: int) -> None:
        """Bytes of this channel exist up to ``end``; a channel that is not open is ignored."""
        flow = self._turns.get(stream, channel)
        if flow is not None:
            self._turns.offer(flow, end)

    def out_offset(self, stream: int, channel: int) -> int | None:
        """Offset of the next byte to send on a channel, or None if it is not open."""
        flow = self._turns.get(stream, channel)
        return None if flow is None else flow.offset

    def send_data(self, stream: int, channel: int, data: bytes) -> None:
        """Send the next bytes of a channel, at most ``limits.CHUNK_BYTES`` and within its credit."""
        flow = self._turns.get(stream, channel)
        if flow is None or not 0 < len(data) <= min(limits.CHUNK_BYTES, flow.limit - flow.offset):
            raise LocalProtocolError(f"{len(data)} bytes on stream {stream} channel {channel}: not open or no credit")
        prefix = encode_frame(_F.DATA, channel=channel, stream=stream, position=flow.offset, body_bytes=len(data))
        if len(data) <= 4096:
            self._out.append(prefix + data)
        else:
            self._out += (prefix, data)
        if flow.offset + len(data) > flow.end:
            flow.end = flow.offset + len(data)
        self._turns.sent(stream, channel, len(data))

    def send_end(self, stream: int, channel: int, length: int, end: End = NO_END) -> None:
        """End a channel at its total ``length``."""
        self._need(stream)
        self._turns.close(stream, channel)
        header = b"" if end is NO_END else encode(end)
        self._send(encode_frame(_F.END, channel=channel, stream=stream, position=length, header=header))

    def send_gap(self, stream: int, channel: int, offset: int) -> None:
        """Tell the reader that the bytes before ``offset`` are gone, and go on from there."""
        flow = self._turns.get(stream, channel)
        if flow is None:
            raise LocalProtocolError(f"no channel {channel} on stream {stream}")
        flow.offset = offset
        flow.limit = max(flow.limit, offset)
        flow.end = max(flow.end, offset)
        self._send(encode_frame(_F.GAP, channel=channel, stream=stream, position=offset))

    def expect(self, stream: int, channel: int, *, offset: int, limit: int) -> None:
        """Accept DATA on a channel of an open stream from ``offset`` up to ``limit``."""
        self._need(stream).inflows[channel] = Inflow(offset=offset, limit=limit)

    def grant(self, stream: int, channel: int, limit: int) -> None:
        """Let the peer send up to ``limit``; too small a step is held back, an ended channel ignored."""
        state = self._streams.get(stream)
        inflow = state.inflows.get(channel) if state else None
        if inflow is not None and not inflow.ended and inflow.grant(limit):
            self._send(encode_frame(_F.CREDIT, channel=channel, stream=stream, position=limit))

    def goaway(self, code: int, text: str = "", retry_after_s: float | None = None) -> None:
        """Take no new streams from the peer; open ones go on."""
        if self.phase is Phase.OPEN:
            self._enter(Phase.DRAIN)
            header = encode(GoAway(code, text, self._last_stream, retry_after_s))
            self._send(encode_frame(_F.GOAWAY, header=header))

    # --- client ------------------------------------------------------------------------------------------------------

    def request(
        self, request: Request, body: bytes = b"", *, reads: Mapping[int, tuple[int, int]] | None = None
    ) -> int:
        """Open a stream with a request.

        Args:
            request: What is asked.
            body: Raw bytes that go with it, at most ``limits.REQUEST_BODY_BYTES``.
            reads: Channels that will come on this stream: channel -> (offset of the first byte, first credit).

        Returns:
            The stream's number.
        """
        if self.role is not Role.CLIENT or self.phase is not Phase.OPEN:
            raise LocalProtocolError(f"no request can be sent in phase {self.phase}")
        if len(self._streams) >= limits.STREAMS_OPEN:
            raise LocalProtocolError(f"{limits.STREAMS_OPEN} streams are open already")
        header = encode(request)
        if len(body) > limits.REQUEST_BODY_BYTES or len(header) > limits.CONTROL_BYTES:
            raise LocalProtocolError(
                f"request of {len(header)}+{len(body)} bytes; the limit is "
                f"{limits.CONTROL_BYTES}+{limits.REQUEST_BODY_BYTES}"
            )
        stream = self._next_stream
        self._next_stream += 2
        state = self._streams[stream] = _Stream()
        if reads:
            for channel, (offset, limit) in reads.items():
                state.inflows[channel] = Inflow(offset=offset, limit=limit)
        self._out.append(encode_frame(_F.REQ, stream=stream, header=header, body_bytes=len(body)) + body)
        return stream

    def cancel(self, stream: int) -> None:
        """Tell the agent that nobody waits for this answer any more. Never cancels a job."""
        if self._streams.pop(stream, None) is not None and self.phase in (Phase.OPEN, Phase.DRAIN):
            self._forget_turns(stream)
            self._send(encode_frame(_F.CANCEL, stream=stream))

    # --- agent -------------------------------------------------------------------------------------------------------

    def welcome(self, welcome: Welcome) -> None:
        """Answer HELLO; the connection is open."""
        if self.role is not Role.AGENT or not self._greeted or self.phase is not Phase.PRE:
            raise LocalProtocolError("WELCOME answers one HELLO")
        self.welcomed = welcome
        self._enter(Phase.OPEN)
        self._send(encode_frame(_F.WELCOME, header=encode(welcome)))

    def respond(self, stream: int, answer: msgspec.Struct, body: bytes = b"") -> None:
        """Answer a request and end its stream; an answer to a cancelled one is dropped."""
        self.respond_encoded(stream, encode(answer), body)

    def respond_encoded(self, stream: int, header: bytes, body: bytes = b"") -> None:
        """As ``respond``, with the header encoded already."""
        if self._finish(stream):
            self._send(encode_frame(_F.RES, stream=stream, header=header, body_bytes=len(body)) + body)

    def fail(self, stream: int, failure: Failure) -> None:
        """Refuse a request and end its stream."""
        if self._finish(stream):
            self._send(encode_frame(_F.ERR, stream=stream, header=encode(failure)))

    def event(self, stream: int, number: int, event: AnyEvent) -> None:
        """Send an event on an open stream."""
        if stream in self._streams:
            self._send(encode_frame(_F.EVT, stream=stream, position=number, header=encode(event)))

    def ack(self, stream: int, channel: int, offset: int) -> None:
        """Tell the client that everything below ``offset`` is held here."""
        if stream in self._streams:
            self._send(encode_frame(_F.ACK, channel=channel, stream=stream, position=offset))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _dispatch(self, frame: Frame, now: float) -> None:
        kind = frame.type
        if kind == _F.DATA:
            self._on_data(frame)
        elif kind == _F.CREDIT:
            self._on_credit(frame)
        elif kind == _F.REQ:
            self._on_request(frame, now)
        elif kind == _F.RES:
            if self._finish_received(frame.stream):
                self._events.append(Answered(frame.stream, frame.header, frame.body))
        elif kind == _F.EVT:
            if self._known(frame.stream):
                self._events.append(EventReceived(frame.stream, frame.position, decode_event(frame.header)))
        elif kind == _F.END:
            self._on_end(frame)
        elif kind == _F.ERR:
            if self._finish_received(frame.stream):
                self._events.append(Failed(frame.stream, decode(frame.header, Failure)))
        elif kind == _F.ACK:
            if self._known(frame.stream):
                self._events.append(AckReceived(frame.stream, frame.channel, frame.position))
        elif kind == _F.GAP:
            self._on_gap(frame)
        elif kind == _F.CANCEL:
            if self._known(frame.stream):
                self._finish(frame.stream)
                self._events.append(Cancelled(frame.stream))
        else:
            self._on_connection_frame(frame, now)

    def _on_connection_frame(self, frame: Frame, now: float) -> None:
        kind = frame.type
        if frame.stream:
            raise RemoteProtocolError(f"frame type 0x{kind:02x} belongs to stream 0, not {frame.stream}")
        if kind == _F.PING:
            if not self._pings.take(now):
                raise RemoteProtocolError("too many PINGs", code=ErrorCode.RATE_LIMITED)
            self._send(encode_frame(_F.PONG, position=frame.position))
        elif kind == _F.PONG:
            pass
        elif kind == _F.HELLO:
            self._on_hello(decode(frame.header, Hello))
        elif kind == _F.WELCOME:
            self.welcomed = decode(frame.header, Welcome)
            self._enter(Phase.OPEN)
            self._events.append(Welcomed(self.welcomed))
        elif kind == _F.GOAWAY:
            if self.phase is Phase.OPEN:
                self._enter(Phase.DRAIN)
            self._events.append(GoAwayReceived(decode(frame.header, GoAway)))
        else:
            close = decode(frame.header, Close)
            self._closed(close.code, close.text)

    def _on_hello(self, hello: Hello) -> None:
        if self._greeted:
            raise RemoteProtocolError("a second HELLO")
        self._greeted = True
        if hello.lowest > limits.PROTOCOL_HIGHEST or hello.highest < limits.PROTOCOL_LOWEST:
            raise RemoteProtocolError(
                f"the client ({hello.software or 'unknown'}) speaks protocols {hello.lowest} to {hello.highest}, "
                f"this agent {limits.PROTOCOL_LOWEST} to {limits.PROTOCOL_HIGHEST}: upgrade the older of the two",
                code=ErrorCode.VERSION,
            )
        self._events.append(HelloReceived(hello))

    def _on_request(self, frame: Frame, now: float) -> None:
        stream = frame.stream
        if stream <= self._last_stream or not stream & 1:
            raise RemoteProtocolError(f"stream {stream} opened after {self._last_stream}: numbers are odd and grow")
        self._last_stream = stream
        if not self._opens.take(now):
            raise RemoteProtocolError(f"more than {limits.STREAMS_PER_S} streams a second", code=ErrorCode.RATE_LIMITED)
        if len(self._streams) >= limits.STREAMS_OPEN:
            raise RemoteProtocolError(f"more than {limits.STREAMS_OPEN} streams open", code=ErrorCode.TOO_MANY_STREAMS)
        self._streams[stream] = _Stream()
        if self.phase is Phase.DRAIN:
            self.fail(stream, Failure(ErrorCode.SHUTTING_DOWN, "the agent is shutting down", retry_after_s=1.0))
            return
        try:
            request = decode_request(frame.header)
        except UnreadableHeader as error:
            self.fail(stream, Failure(ErrorCode.INVALID, str(error)))
            return
        self._events.append(RequestReceived(stream, request, frame.body))

    def _on_data(self, frame: Frame) -> None:
        inflow = self._inflow(frame)
        if inflow is not None:
            inflow.received(frame.position, len(frame.body))
            self._events.append(DataReceived(frame.stream, frame.channel, frame.position, frame.body))

    def _on_end(self, frame: Frame) -> None:
        inflow = self._inflow(frame)
        if inflow is not None:
            inflow.end(frame.position)
            end = decode(frame.header, End) if frame.header else NO_END
            self._events.append(EndReceived(frame.stream, frame.channel, frame.position, end))

    def _on_gap(self, frame: Frame) -> None:
        inflow = self._inflow(frame)
        if inflow is not None:
            inflow.skipped(frame.position)
            self._events.append(GapReceived(frame.stream, frame.channel, frame.position))

    def _on_credit(self, frame: Frame) -> None:
        if not self._known(frame.stream):
            return
        flow = self._turns.get(frame.stream, frame.channel)
        if flow is not None:
            self._turns.credit(flow, frame.position)
            self._events.append(CreditReceived(frame.stream, frame.channel, frame.position))

    def _inflow(self, frame: Frame) -> Inflow | None:
        if not self._known(frame.stream):
            return None
        inflow = self._streams[frame.stream].inflows.get(frame.channel)
        if inflow is None:
            raise RemoteProtocolError(f"channel {frame.channel} is not open on stream {frame.stream}")
        return inflow

    def _known(self, stream: int) -> bool:
        if stream in self._streams:
            return True
        newest = self._last_stream if self.role is Role.AGENT else self._next_stream - 2
        if stream > newest or not stream & 1:
            raise RemoteProtocolError(f"stream {stream} was never opened")
        return False

    def _need(self, stream: int) -> _Stream:
        state = self._streams.get(stream)
        if state is None:
            raise LocalProtocolError(f"stream {stream} is not open")
        return state

    def _finish(self, stream: int) -> bool:
        if self._streams.pop(stream, None) is None:
            return False
        self._forget_turns(stream)
        return True

    def _finish_received(self, stream: int) -> bool:
        return self._known(stream) and self._finish(stream)

    def _forget_turns(self, stream: int) -> None:
        for channel in (0, 1, 2):
            self._turns.close(stream, channel)

    def _send(self, data: bytes) -> None:
        self._out.append(data)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._parser.bounds = ALLOWED[self.role, phase]

    def _break(self, error: RemoteProtocolError) -> None:
        self._send(encode_frame(_F.CLOSE, header=encode(Close(error.code, str(error)[:1024]))))
        self._closed(error.code, str(error), error)

    def _closed(self, code: int, text: str, error: RemoteProtocolError | None = None) -> None:
        self._enter(Phase.CLOSED)
        self._streams.clear()
        self._turns = Turns()
        self._events.append(LinkClosed(code, text, error))
