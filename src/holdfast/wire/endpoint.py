"""A whole small server without input or output: bytes in, bytes out, around a handler that answers requests.

It exists for programs that show one way of moving bytes (threads, selectors, io_uring) and for tests; such a driver
knows ``start``, ``feed``, ``tick``, ``deadline`` and ``closed``, and nothing of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.errors import LocalProtocolError, Refused
from holdfast.wire.events import Cancelled, HelloReceived, RequestReceived
from holdfast.wire.limits import PROTOCOL_HIGHEST
from holdfast.wire.link import Link
from holdfast.wire.messages import AnyEvent, AnyRequest, ErrorCode, Failure, Read, Run, Welcome
from holdfast.wire.phases import Role

if TYPE_CHECKING:
    from holdfast.wire.frames import Chunk


class Reply(msgspec.Struct, frozen=True):
    """What a handler gives back: events, then the bytes of channels, then the answer.

    Channels are sent within the client's credit, in fair turns; the answer follows the last END.
    """

    answer: msgspec.Struct
    events: tuple[AnyEvent, ...] = ()
    output: Mapping[int, bytes] = {}
    body: bytes = b""


Handler = Callable[[AnyRequest, bytes], Reply | Failure]
"""Request and body in, answer out; ``Refused`` may be raised instead of returning a ``Failure``."""

PLAIN_WELCOME: Final = Welcome(
    protocol=PROTOCOL_HIGHEST, agent="endpoint", incarnation="none", boot_id="none", principal="anyone"
)


class Endpoint:
    """The agent's side of one connection, answering from ``handler``.

    Args:
        handler: Called once for each request, from within ``feed``.
        now: Monotonic seconds.
        welcome: What HELLO is answered with.
    """

    def __init__(self, handler: Handler, now: float, *, welcome: Welcome = PLAIN_WELCOME) -> None:
        self._handler = handler
        self._welcome = welcome
        self._link = Link(Role.AGENT, now=now)
        self._replies: dict[int, Reply] = {}
        self._unended: dict[int, set[int]] = {}

    def start(self) -> bytes:
        """What to send as soon as the connection stands; nothing in this protocol, since the client greets."""
        return self._link.data_to_send()

    def feed(self, data: Chunk, now: float) -> bytes:
        """Take bytes of the peer (``b""``: no more will come); gives the bytes to send."""
        self._link.receive_data(data, now=now)
        while (event := self._link.next_event()) is not None:
            try:
                if isinstance(event, HelloReceived):
                    self._link.welcome(self._welcome)
                elif isinstance(event, RequestReceived):
                    self._answer(event)
                elif isinstance(event, Cancelled):
                    self._forget(event.stream)
            except LocalProtocolError:  # a later frame of the same bytes was wrong: the link is closed and has said why
                self._replies.clear()
                self._unended.clear()
        return self._flush(now)

    def tick(self, now: float) -> bytes:
        """Do what time asks for; gives the bytes to send. Early calls are harmless."""
        self._link.handle_timeout(now=now)
        return self._flush(now)

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is wanted, in monotonic seconds; None once closed."""
        return self._link.next_deadline()

    @property
    def closed(self) -> bool:
        """True once the connection is over; what ``feed`` or ``tick`` gave last is still to be sent."""
        return self._link.closed

    def close(self) -> bytes:
        """End the connection in order; gives the bytes to send."""
        self._link.close()
        return self._link.data_to_send()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _answer(self, event: RequestReceived) -> None:
        try:
            reply = self._handler(event.request, event.body)
        except Refused as error:
            reply = Failure(error.code, str(error), ran=error.ran, retry_after_s=error.retry_after_s)
        if isinstance(reply, Failure):
            self._link.fail(event.stream, reply)
            return
        credit = {channel: _first_credit(event.request, channel) for channel in reply.output}
        if any(offset > len(reply.output[channel]) for channel, (offset, _) in credit.items()):
            self._link.fail(event.stream, Failure(ErrorCode.OFFSET_AHEAD, "there are not so many bytes"))
            return
        for number, told in enumerate(reply.events, start=1):
            self._link.event(event.stream, number, told)
        self._replies[event.stream] = reply
        self._unended[event.stream] = set(reply.output)
        for channel, data in reply.output.items():
            offset, limit = credit[channel]
            self._link.open_out(event.stream, channel, offset=offset, limit=limit)
            self._link.offer(event.stream, channel, len(data))
        self._end_what_is_sent(event.stream)

    def _flush(self, now: float) -> bytes:
        link = self._link
        while (turn := link.next_turn()) is not None:
            data = self._replies[turn.stream].output[turn.channel]
            link.send_data(turn.stream, turn.channel, data[turn.offset : turn.offset + turn.size])
            self._end_what_is_sent(turn.stream)
        out = link.data_to_send()
        if out:
            link.sent(now=now)
        return out

    def _end_what_is_sent(self, stream: int) -> None:
        reply, unended = self._replies[stream], self._unended[stream]
        for channel in sorted(unended):
            length = len(reply.output[channel])
            if self._link.out_offset(stream, channel) == length:
                self._link.send_end(stream, channel, length)
                unended.discard(channel)
        if not unended:
            self._link.respond(stream, reply.answer, reply.body)
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        self._replies.pop(stream, None)
        self._unended.pop(stream, None)


def _first_credit(request: AnyRequest, channel: int) -> tuple[int, int]:
    """Offset asked for and first credit of a channel, as ``request`` has them."""
    if isinstance(request, Read):
        offset = request.offsets.get("1" if channel == 1 else "2", 0)
        return offset, offset + request.credit
    return 0, request.credit if isinstance(request, Run) else 0
