"""One connection, as a value: greeting, heartbeat, streams, flow control, close. No input, output or clock in here.

Rules:

* Bytes go in by ``receive_data``, events come out by ``next_event``, bytes to send by ``data_to_send``; ``now`` comes
  in, the next deadline goes out. A driver is one loop around these four.
* After any ``RemoteProtocolError`` the link is CLOSED, a CLOSE frame is in ``data_to_send`` and the last event is
  ``LinkClosed``. Only a client that has not been welcomed says no CLOSE: an agent takes nothing but HELLO then.
* There is no session: nothing here outlives the connection. Resuming is asking again by key and offset.
* Late frames for a stream that has been answered are dropped silently (they crossed the answer on the wire); frames
  for a stream that was never opened are a protocol error.
* What the peer would have to refuse is refused here, as a ``LocalProtocolError``, before a byte of it is sent. What
  concerns a stream that is over is dropped: the peer may have cancelled it in the same breath as it asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.errors import LocalProtocolError, RemoteProtocolError
from holdfast.wire import limits
from holdfast.wire.events import (
    END_OF_STREAM,
    NO_END,
    SILENT,
    AckReceived,
    Answered,
    Cancelled,
    CreditReceived,
    DataReceived,
    EndReceived,
    EventReceived,
    Failed,
    GapReceived,
    GoAwayReceived,
    HelloReceived,
    LinkClosed,
    LinkEvent,
    RequestReceived,
    Welcomed,
)
from holdfast.wire.flow import Inflow, Turn
from holdfast.wire.frames import Frame, FrameParser, FrameType, encode_frame
from holdfast.wire.heartbeat import Due, Heartbeat
from holdfast.wire.messages import (
    AnyEvent,
    Close,
    End,
    ErrorCode,
    Failure,
    GoAway,
    Hello,
    Request,
    UnreadableHeader,
    Welcome,
    clip,
    decode,
    decode_event,
    decode_request,
    encode,
)
from holdfast.wire.phases import ALLOWED, Phase, Role
from holdfast.wire.storms import Storms
from holdfast.wire.streams import Streams

if TYPE_CHECKING:
    from holdfast.wire.frames import Chunk

__all__ = [
    "END_OF_STREAM",
    "NO_END",
    "SILENT",
    "AckReceived",
    "Answered",
    "Cancelled",
    "CreditReceived",
    "DataReceived",
    "EndReceived",
    "EventReceived",
    "Failed",
    "GapReceived",
    "GoAwayReceived",
    "HelloReceived",
    "Link",
    "LinkClosed",
    "LinkEvent",
    "Phase",
    "RequestReceived",
    "Role",
    "Welcomed",
]

_F = FrameType
_DATA, _END, _EVT, _REQ, _RES = int(_F.DATA), int(_F.END), int(_F.EVT), int(_F.REQ), int(_F.RES)
_JOINED_BYTES: Final = 4096
"""Bodies up to this size are joined with their prefix: copying them costs less than one more buffer to write."""

_NO_EVENTS: Final[deque[LinkEvent]] = deque()
"""What every link holds that has none: an empty deque of its own is 0.7 KiB, and most connections are idle."""


class Link:
    """The core of a connection, in the role of client or agent.

    Args:
        role: Which side we are.
        now: Monotonic seconds.
        hello: The greeting; for a client, and only there.
        greeting_s: How long HELLO or WELCOME may take to come.
    """

    def __init__(
        self, role: Role, *, now: float, hello: Hello | None = None, greeting_s: float = limits.HELLO_DEADLINE_S
    ) -> None:
        if (role is Role.CLIENT) is (hello is None):
            raise LocalProtocolError("a client greets, an agent is greeted")
        self.role = role
        self.phase = Phase.PRE
        self.welcomed: Welcome | None = None
        self._parser = FrameParser(ALLOWED[role, Phase.PRE])
        self._events = _NO_EVENTS
        self._out: list[bytes] = []
        self._streams = Streams(now=now)
        self._heartbeat = Heartbeat(now=now, greeting_s=greeting_s)
        self._greeting_s = greeting_s
        self._storms = Storms(role, now=now)
        self._greeted = False
        if hello is not None:
            self._send_control(_F.HELLO, encode(hello), limits.CONTROL_BYTES_BEFORE_WELCOME)

    # --- the core ----------------------------------------------------------------------------------------------------

    def receive_data(self, data: Chunk, *, now: float) -> None:
        """Take bytes from the peer; ``b""`` means that no more will come.

        ``data`` may be the driver's own mutable buffer: nothing refers to it after the return.
        """
        if self.closed:
            return
        if not data:
            self.lost("the connection ended", now=now)
            return
        self._heartbeat.received(now)
        parser, frames = self._parser, 0
        parser.feed(data)
        try:
            while (frame := parser.next_frame()) is not None:
                _HANDLERS[frame.type](self, frame, now)
                if self.phase is Phase.CLOSED:
                    return
                frames += 1
            self._storms.frames(frames, now)
        except RemoteProtocolError as error:
            self._break(error)

    def lost(self, reason: str, *, now: float) -> None:
        """No more bytes will come; what came of a DATA frame before the cut is delivered.

        Otherwise a link that is cut more often than once a frame would never get on.
        """
        if not self.closed:
            self._take_what_came(now)
            self._closed(END_OF_STREAM, reason)

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
        out, self._out = self._out, []
        return out

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` wants to be called; None once the link is closed."""
        return None if self.phase is Phase.CLOSED else self._heartbeat.next_deadline()

    def handle_timeout(self, *, now: float) -> None:
        """Do what time asks for; early calls are harmless."""
        due = None if self.phase is Phase.CLOSED else self._heartbeat.due(now)
        if due is Due.PING:
            self._send(encode_frame(_F.PING, position=int(now * 1000)))
            self._heartbeat.pinged(now)
        elif due is Due.SILENCE:
            self._take_what_came(now)
            self._closed(SILENT, f"nothing received for {limits.SILENCE_S:g} s")
        elif due is Due.PROBE_UNANSWERED:
            self._take_what_came(now)
            self._closed(SILENT, f"nothing received for {limits.PROBE_S:g} s after the network changed")
        elif due is Due.GREETING_OVERDUE:
            self.close(ErrorCode.DEADLINE, f"no greeting within {self._greeting_s:g} s")

    def probe(self, now: float) -> None:
        """Ask the peer at once for a sign of life: the network below us has changed.

        If nothing comes within ``limits.PROBE_S`` the link is closed as silent. Nothing to do before the greeting is
        over, which has a deadline of its own; asked too often, the PING goes out as soon as the peer takes it.
        """
        self._heartbeat.probe(now)
        self.handle_timeout(now=now)

    def next_event(self) -> LinkEvent | None:
        """The oldest event that was not fetched yet, or None."""
        events = self._events
        if events:
            return events.popleft()
        self._events = _NO_EVENTS
        return None

    def sent(self, *, now: float) -> None:
        """The driver wrote bytes: the next heartbeat counts from here."""
        self._heartbeat.sent_at = now

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
        self._say_close(code, text)
        self._closed(code, text)

    def next_turn(self) -> Turn | None:
        """Which channel may send now, and how much; answer with ``send_data``."""
        return self._streams.turns.next_turn()

    def open_out(self, stream: int, channel: int, *, offset: int, limit: int) -> None:
        """Begin sending a channel of an open stream from ``offset``, with credit up to ``limit``."""
        self._streams.open_out(stream, channel, offset=offset, limit=limit)

    def offer(self, stream: int, channel: int, end: int) -> None:
        """Bytes of this channel exist up to ``end``; a channel that is not open is ignored."""
        flow = self._streams.turns.get(stream, channel)
        if flow is not None:
            self._streams.turns.offer(flow, end)

    def out_offset(self, stream: int, channel: int) -> int | None:
        """Offset of the next byte to send on a channel, or None if it is not open."""
        flow = self._streams.turns.get(stream, channel)
        return None if flow is None else flow.offset

    def send_data(self, stream: int, channel: int, data: bytes) -> None:
        """Send the next bytes of a channel, at most ``limits.CHUNK_BYTES`` and within its credit."""
        flow = self._streams.turns.get(stream, channel)
        size = len(data)
        if flow is None or not 0 < size <= min(limits.CHUNK_BYTES, flow.limit - flow.offset):
            raise LocalProtocolError(f"{size} bytes on stream {stream} channel {channel}: not open or no credit")
        prefix = encode_frame(_DATA, channel=channel, stream=stream, position=flow.offset, body_bytes=size)
        if size <= _JOINED_BYTES:
            self._out.append(prefix + data)
        else:
            self._out += (prefix, data)
        self._streams.turns.sent(flow, size)

    def send_end(self, stream: int, channel: int, length: int, end: End = NO_END) -> None:
        """End a channel at its total ``length``; all of it must have been sent."""
        if self._streams.end_out(stream, channel, length):
            header = b"" if end is NO_END else encode(end)
            self._out.append(encode_frame(_END, channel=channel, stream=stream, position=length, header=header))

    def send_gap(self, stream: int, channel: int, offset: int) -> None:
        """Tell the reader that the bytes before ``offset`` are gone, and go on from there."""
        if self._streams.skip_out(stream, channel, offset):
            self._send(encode_frame(_F.GAP, channel=channel, stream=stream, position=offset))

    def expect(self, stream: int, channel: int, *, offset: int, limit: int) -> None:
        """Accept DATA on a channel of an open stream from ``offset`` up to ``limit``."""
        self._streams.expect(stream, channel, offset=offset, limit=limit)

    def grant(self, stream: int, channel: int, limit: int) -> None:
        """Let the peer send up to ``limit``; too small a step is held back, an ended channel ignored."""
        if self._streams.grant(stream, channel, limit):
            self._send(encode_frame(_F.CREDIT, channel=channel, stream=stream, position=limit))

    def goaway(self, code: int, text: str = "", retry_after_s: float | None = None) -> None:
        """Take no new streams from the peer; open ones go on."""
        if self.phase is Phase.OPEN:
            self._enter(Phase.DRAIN)
            header = encode(GoAway(code, clip(text), max(self._streams.newest, 0), retry_after_s))
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

        Raises:
            LocalProtocolError: not connected, draining, too many streams open, or the request is too large.
        """
        if self.role is not Role.CLIENT or self.phase is not Phase.OPEN:
            raise LocalProtocolError(f"no request can be sent in phase {self.phase}")
        header = encode(request)
        if len(body) > limits.REQUEST_BODY_BYTES or len(header) > limits.CONTROL_BYTES:
            most = f"{limits.CONTROL_BYTES}+{limits.REQUEST_BODY_BYTES}"
            raise LocalProtocolError(f"request of {len(header)}+{len(body)} bytes, limit {most}")
        stream, state = self._streams.begin()
        if reads:
            for channel, (offset, limit) in reads.items():
                state.inflows[channel] = Inflow(offset=offset, limit=limit)
        self._out.append(encode_frame(_REQ, stream=stream, header=header, body_bytes=len(body)) + body)
        if self._streams.used_up:  # the driver does what it does for a restarting agent: it connects anew
            self._enter(Phase.DRAIN)
            self._tell(GoAwayReceived(GoAway(0, "all stream numbers are used up", stream)))
        return stream

    def cancel(self, stream: int) -> None:
        """Tell the agent that nobody waits for this answer any more. Never cancels a job."""
        if self._streams.finish(stream):
            self._send(encode_frame(_F.CANCEL, stream=stream))

    # --- agent -------------------------------------------------------------------------------------------------------

    def welcome(self, welcome: Welcome) -> None:
        """Answer HELLO; the connection is open."""
        if self.role is not Role.AGENT or not self._greeted or self.phase is not Phase.PRE:
            raise LocalProtocolError("WELCOME answers one HELLO")
        self._send_control(_F.WELCOME, encode(welcome), limits.CONTROL_BYTES_BEFORE_WELCOME)
        self._open(welcome)

    def respond(self, stream: int, answer: msgspec.Struct, body: bytes = b"") -> None:
        """Answer a request and end its stream; an answer to a cancelled one is dropped."""
        self.respond_encoded(stream, encode(answer), body)

    def respond_encoded(self, stream: int, header: bytes, body: bytes = b"") -> None:
        """As ``respond``, with the header encoded already.

        An answer that is larger than a client takes becomes the failure TOO_LARGE, so that it costs this one stream
        and not the connection.
        """
        if len(header) > limits.CONTROL_BYTES or len(body) > limits.CONTROL_BYTES:
            text = f"the answer is {len(header)}+{len(body)} bytes, limit {limits.CONTROL_BYTES} each: ask for less"
            self.fail(stream, Failure(ErrorCode.TOO_LARGE, text, ran="unknown"))
        elif self._streams.finish(stream):
            self._out.append(encode_frame(_RES, stream=stream, header=header, body_bytes=len(body)) + body)

    def fail(self, stream: int, failure: Failure) -> None:
        """Refuse a request and end its stream."""
        if self._streams.finish(stream):
            text = clip(failure.text)
            if text != failure.text:
                failure = msgspec.structs.replace(failure, text=text)
            self._send(encode_frame(_F.ERR, stream=stream, header=encode(failure)))

    def event(self, stream: int, number: int, event: AnyEvent) -> None:
        """Send an event on an open stream."""
        if stream in self._streams:
            self._send_control(_EVT, encode(event), limits.CONTROL_BYTES, stream=stream, position=number)

    def ack(self, stream: int, channel: int, offset: int) -> None:
        """Tell the client that everything below ``offset`` is held here."""
        if stream in self._streams:
            self._send(encode_frame(_F.ACK, channel=channel, stream=stream, position=offset))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _on_data(self, frame: Frame, now: float) -> None:
        inflow = self._streams.inflow(frame.stream, frame.channel)
        if inflow is not None:
            inflow.received(frame.position, len(frame.body))
            self._tell(DataReceived(frame.stream, frame.channel, frame.position, frame.body))

    def _take_what_came(self, now: float) -> None:
        frame = self._parser.cut_short()
        if frame is not None and frame.type == _F.DATA and frame.body:
            try:
                self._on_data(frame, now)
            except RemoteProtocolError:
                return  # it would have been refused whole, too

    def _on_end(self, frame: Frame, now: float) -> None:
        inflow = self._streams.inflow(frame.stream, frame.channel)
        if inflow is not None:
            inflow.end(frame.position)
            end = decode(frame.header, End) if frame.header else NO_END
            self._tell(EndReceived(frame.stream, frame.channel, frame.position, end))

    def _on_gap(self, frame: Frame, now: float) -> None:
        inflow = self._streams.inflow(frame.stream, frame.channel)
        if inflow is not None:
            inflow.skipped(frame.position)
            self._tell(GapReceived(frame.stream, frame.channel, frame.position))

    def _on_credit(self, frame: Frame, now: float) -> None:
        self._storms.credit(now)
        if self._streams.known(frame.stream):
            flow = self._streams.turns.get(frame.stream, frame.channel)
            if flow is not None:  # else the channel has ended, and this credit crossed its END
                self._streams.turns.credit(flow, frame.position)
                self._tell(CreditReceived(frame.stream, frame.channel, frame.position))

    def _on_ack(self, frame: Frame, now: float) -> None:
        if self._streams.known(frame.stream):
            flow = self._streams.turns.get(frame.stream, frame.channel)
            if flow is not None and frame.position > flow.offset:
                raise RemoteProtocolError(f"ACK of {frame.position}, sent up to {flow.offset}")
            self._tell(AckReceived(frame.stream, frame.channel, frame.position))

    def _on_answer(self, frame: Frame, now: float) -> None:
        if self._streams.finish_received(frame.stream):
            self._tell(Answered(frame.stream, frame.header, frame.body))

    def _on_error(self, frame: Frame, now: float) -> None:
        if self._streams.finish_received(frame.stream):
            self._tell(Failed(frame.stream, decode(frame.header, Failure)))

    def _on_event(self, frame: Frame, now: float) -> None:
        if self._streams.known(frame.stream):
            self._tell(EventReceived(frame.stream, frame.position, decode_event(frame.header)))

    def _on_cancel(self, frame: Frame, now: float) -> None:
        if self._streams.finish_received(frame.stream):
            self._tell(Cancelled(frame.stream))

    def _on_connection_frame(self, frame: Frame, now: float) -> None:
        kind = frame.type
        if frame.stream:
            raise RemoteProtocolError(f"frame type 0x{kind:02x} belongs to stream 0, not {frame.stream}")
        if kind == _F.PING:
            if not self._heartbeat.take_ping(now):
                raise RemoteProtocolError("too many PINGs", code=ErrorCode.RATE_LIMITED)
            self._send(encode_frame(_F.PONG, position=frame.position))
        elif kind == _F.HELLO:
            self._on_hello(decode(frame.header, Hello))
        elif kind == _F.WELCOME:
            self._on_welcome(decode(frame.header, Welcome))
        elif kind == _F.GOAWAY:
            goaway = decode(frame.header, GoAway)
            if self.phase is Phase.OPEN:
                self._enter(Phase.DRAIN)
            self._tell(GoAwayReceived(goaway))
        elif kind == _F.CLOSE:
            said = decode(frame.header, Close)
            self._closed(said.code, said.text)

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
        self._tell(HelloReceived(hello))

    def _on_welcome(self, welcome: Welcome) -> None:
        if not limits.PROTOCOL_LOWEST <= welcome.protocol <= limits.PROTOCOL_HIGHEST:
            raise RemoteProtocolError(f"protocol {welcome.protocol} was not offered", code=ErrorCode.VERSION)
        self._open(welcome)
        self._tell(Welcomed(welcome))

    def _on_request(self, frame: Frame, now: float) -> None:
        stream = frame.stream
        self._streams.accept(stream, now)
        if self.phase is Phase.DRAIN:
            self.fail(stream, Failure(ErrorCode.SHUTTING_DOWN, "the agent is shutting down", retry_after_s=1.0))
            return
        try:
            request = decode_request(frame.header)
        except UnreadableHeader as error:
            self.fail(stream, Failure(error.code, str(error)))
            return
        self._tell(RequestReceived(stream, request, frame.body))

    def _open(self, welcome: Welcome) -> None:
        self.welcomed = welcome
        self._heartbeat.greeted = True
        self._enter(Phase.OPEN)

    def _tell(self, event: LinkEvent) -> None:
        if self._events is _NO_EVENTS:
            self._events = deque()
        self._events.append(event)

    def _send(self, data: bytes) -> None:
        self._out.append(data)

    def _send_control(self, type_: int, header: bytes, most: int, *, stream: int = 0, position: int = 0) -> None:
        if len(header) > most:
            raise LocalProtocolError(f"frame type 0x{type_:02x} with a header of {len(header)} bytes, limit {most}")
        self._out.append(encode_frame(type_, stream=stream, position=position, header=header))

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._parser.bounds = ALLOWED[self.role, phase]

    def _break(self, error: RemoteProtocolError) -> None:
        self._say_close(error.code, str(error))
        self._closed(error.code, str(error), error)

    def _say_close(self, code: int, text: str) -> None:
        if self.role is Role.AGENT or self.phase is not Phase.PRE:
            self._send(encode_frame(_F.CLOSE, header=encode(Close(code, clip(text)))))

    def _closed(self, code: int, text: str, error: RemoteProtocolError | None = None) -> None:
        self._enter(Phase.CLOSED)
        self._streams.clear()
        self._tell(LinkClosed(code, text, error))


_HANDLERS: Final[Mapping[int, Callable[[Link, Frame, float], None]]] = {
    **dict.fromkeys((_F.HELLO, _F.WELCOME, _F.GOAWAY, _F.PING, _F.PONG, _F.CLOSE), Link._on_connection_frame),
    _F.REQ: Link._on_request,
    _F.RES: Link._on_answer,
    _F.ERR: Link._on_error,
    _F.CANCEL: Link._on_cancel,
    _F.EVT: Link._on_event,
    _F.DATA: Link._on_data,
    _F.CREDIT: Link._on_credit,
    _F.END: Link._on_end,
    _F.ACK: Link._on_ack,
    _F.GAP: Link._on_gap,
}
"""Every frame type has one, but ENROL, which no phase of a link takes: its cores are in ``wire/enrol.py``.

Which of them may come now was decided by the parser, with the table of ``phases``.
"""
