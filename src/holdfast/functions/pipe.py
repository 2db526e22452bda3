"""The conversation between a client and one of its workers, as two values that survive any cut.

Rules:

* Calls are numbered from 1 on, and outcomes are counted, by both ends. Each end keeps what it said until it knows that
  the other one has it: the client a call until its outcome has come, the worker an outcome until it was acknowledged.
* A new connection begins with ATTACH, by which the worker learns how many outcomes have come, and READY, by which the
  client learns how many calls have. Both then say again what is missing, in the old order. So each call reaches the
  worker once, and each outcome the client once, whatever was cut.
* A worker that has died takes its outcomes with it. Which calls it had begun is known from its own record
  (``ClientPipe.gone``), so what was not begun can go to another worker, and nothing is begun twice.
* Functions are told once and then named by number. What was told on a connection that broke may not have come, so on
  the next one they are told anew before they are used.

No input, output or clock in here; drivers call ``data_to_send`` after whatever they did.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, NamedTuple

from holdfast.functions import messages
from holdfast.functions.messages import (
    ACK,
    ATTACH,
    CALL,
    CANCEL,
    DEFINE,
    END,
    OUTCOMES,
    PACE,
    PROGRESS,
    READY,
    ConversationError,
    MessageParser,
    Ready,
    encode,
    encode_call,
    open_call,
    open_ready,
)

FUNCTIONS: Final = 256
"""Functions that a worker knows at a time; number 0 is that of the last long one."""
LONG_BYTES: Final = 64 * 1024
"""Functions longer than this are not kept side by side: closures hold data."""
ACK_EVERY: Final = 64
"""An acknowledgement that nothing else gives a reason to send waits for so many outcomes ..."""
ACK_BYTES: Final = 256 * 1024
"""... or for so many bytes of them."""
KEPT_BYTES: Final = 64 * 1024 * 1024
"""A worker whose unacknowledged outcomes are longer than this begins nothing more."""


class Fate(NamedTuple):
    """What is known of a call whose worker has gone: whether it ran (``yes``: to its end)."""

    number: int
    ran: Literal["no", "yes", "unknown"]


_Kept = tuple[bytes, int, float, bytes]
"""A call as it is kept: function, flags, limit in seconds, arguments."""


class ClientPipe:
    """The client's end.

    Attributes:
        attached: READY has come on the present connection.
        worker: What the worker has said of itself; None before the first READY.
        ended: No more calls will come.
    """

    def __init__(self) -> None:
        self.attached = False
        self.worker: Ready | None = None
        self.ended = False
        self._parser = MessageParser()
        self._out: list[bytes] = []
        self._open: dict[int, _Kept] = {}
        self._cancelled: set[int] = set()
        self._defined: dict[bytes, int] = {}
        self._long: bytes | None = None
        self._calls = 0
        self._sent = 0
        self._taken = 0
        self._outcomes = 0
        self._unacked = 0
        self._unacked_bytes = 0

    @property
    def open_calls(self) -> int:
        """Calls whose outcome has not come."""
        return len(self._open)

    def is_open(self, number: int) -> bool:
        """Whether this call's outcome has not come."""
        return number in self._open

    # --- what is said ------------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """A connection to the worker is there: begin the conversation, or go on with it."""
        self.lost()
        self._out.append(encode(ATTACH, self._outcomes))

    def lost(self) -> None:
        """The connection is gone; calls may come all the same, they wait."""
        self.attached = False
        self._parser = MessageParser()
        self._out.clear()

    def call(self, function: bytes, flags: int, arguments: bytes, limit_s: float = 0.0) -> int:
        """One more call; its number.

        Args:
            function: How to get it (``calls.Function.body``); equal ones are told once.
            flags: ``messages.PICKLED`` or 0.
            arguments: As ``calls.encode_arguments`` made them.
            limit_s: Its time limit on the worker; 0: none.
        """
        assert not self.ended
        self._calls = number = self._calls + 1
        self._open[number] = kept = (function, flags, limit_s, arguments)
        if self.attached:
            self._say_call(number, kept)
        return number

    def cancel(self, number: int) -> None:
        """This call is not wanted any more: unless it was begun, it comes back as ``messages.CANCELLED``."""
        if number in self._open:
            self._cancelled.add(number)
            if self.attached:
                self._out.append(encode(CANCEL, number))

    def end(self) -> None:
        """No more calls will come: the worker ends what it has and leaves."""
        if not self.ended:
            self.ended = True
            if self.attached:
                self._out.append(encode(END, self._calls))

    def data_to_send(self) -> bytes:
        """All that is to be sent now; empty: nothing."""
        out = self._out
        if self._unacked and self.attached and (
            out or self.ended or self._unacked >= ACK_EVERY or self._unacked_bytes >= ACK_BYTES
        ):  # fmt: skip
            out.append(encode(ACK, self._outcomes))
            self._unacked = self._unacked_bytes = 0
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    # --- what is heard -----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Outcomes, progress and pace in these bytes, in order, as (kind, number, body); each outcome comes once.

        Raises:
            ConversationError: what the worker says does not fit what was said before; nothing can be done with it.
        """
        told = []
        calls = self._open
        for message in self._parser.feed(data):
            kind, number, body = message
            if kind in OUTCOMES:
                if not self.attached or calls.pop(number, None) is None:
                    raise ConversationError(f"an outcome of call {number}, which is not open")
                self._outcomes += 1
                self._unacked += 1
                self._unacked_bytes += len(body)
                told.append(message)
            elif kind == PROGRESS:
                if number in calls:
                    told.append(message)
            elif kind == PACE:
                told.append(message)
            elif kind == READY:
                self._on_ready(number, open_ready(body))
            else:
                raise ConversationError(f"a worker does not say messages of kind {kind}")
        return told

    def gone(self, started: int, finished: int, *, recorded: bool = True) -> list[Fate]:
        """The worker has ended: what is known of each open call, in order. None of them is open any more.

        Args:
            started: Number of the last call that it had begun, by its record.
            finished: Number of the last one such that this and all before it had ended.
            recorded: There is a record; without one, every call that was sent may have run.
        """
        fates = []
        for number in self._open:
            if number > (started if recorded else self._sent):
                fates.append(Fate(number, "no"))
            else:
                fates.append(Fate(number, "yes" if recorded and number <= finished else "unknown"))
        self._open.clear()
        self._cancelled.clear()
        self.lost()
        return fates

    def _on_ready(self, taken: int, worker: Ready) -> None:
        if self.attached or not self._taken <= taken <= self._sent:
            raise ConversationError(f"a READY of {taken} calls; {self._taken} of {self._sent} had come before")
        self.attached = True
        self.worker = worker
        self._taken = taken
        self._unacked = self._unacked_bytes = 0  # ATTACH has said it
        self._defined.clear()
        self._long = None
        for number, kept in self._open.items():
            if number > taken:
                self._say_call(number, kept)
        self._cancelled &= self._open.keys()
        self._out.extend(encode(CANCEL, number) for number in sorted(self._cancelled))
        if self.ended:
            self._out.append(encode(END, self._calls))

    def _say_call(self, number: int, kept: _Kept) -> None:
        body, flags, limit_s, arguments = kept
        function = self._defined.get(body)
        if function is None:
            function = self._define(body)
        if number > self._sent:
            self._sent = number
        self._out.append(encode_call(number, function, flags, limit_s, arguments))

    def _define(self, body: bytes) -> int:
        if len(body) > LONG_BYTES:
            number = 0
            if self._long == body:
                return number
            self._long = body
        else:
            defined = self._defined
            number = len(defined) + 1 if len(defined) < FUNCTIONS - 1 else defined.pop(next(iter(defined)))
            defined[body] = number
        self._out.append(encode(DEFINE, number, body))
        return number


class Definition:
    """A function that the worker was told of. ``loaded`` is the worker's own: what it has made of it."""

    __slots__ = ("body", "loaded")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.loaded: object = None


class Asked(NamedTuple):
    """A call that is to be made."""

    number: int
    function: Definition
    flags: int
    limit_s: float
    arguments: bytes


class WorkerPipe:
    """The worker's end.

    Attributes:
        attached: A client has said ATTACH on the present connection.
        ended: No more calls will come.
        received: Calls that have come.
    """

    def __init__(self, ready: Ready) -> None:
        self.attached = False
        self.ended = False
        self.received = 0
        self._ready = messages.encode_ready(ready)
        self._parser = MessageParser()
        self._out: list[bytes] = []
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._acked = 0
        self._functions: dict[int, Definition] = {}

    @property
    def full(self) -> bool:
        """So much was not acknowledged that nothing more should be begun."""
        return self._kept_bytes > KEPT_BYTES

    @property
    def settled(self) -> bool:
        """The client has every outcome there is."""
        return not self._kept

    # --- what is heard -----------------------------------------------------------------------------------------------

    def lost(self) -> None:
        """The connection is gone; outcomes may come all the same, they wait."""
        self.attached = False
        self._parser = MessageParser()
        self._out.clear()

    def receive(self, data: bytes) -> list[Asked | int]:
        """Calls to be made, in order, each once; a number alone: of a call that is not wanted, if it was not begun.

        Raises:
            ConversationError: what the client says does not fit what was said before.
        """
        asked: list[Asked | int] = []
        for kind, number, body in self._parser.feed(data):
            if kind == CALL:
                if not self.attached or number != self.received + 1:
                    raise ConversationError(f"call {number} after {self.received}")
                self.received = number
                function, flags, limit_s, arguments = open_call(body)
                try:
                    asked.append(Asked(number, self._functions[function], flags, limit_s, arguments))
                except KeyError:
                    raise ConversationError(f"function {function} was never told") from None
            elif kind == ACK:
                self._acknowledged(number)
            elif kind == DEFINE:
                if number >= FUNCTIONS:
                    raise ConversationError(f"function {number}; the highest is {FUNCTIONS - 1}")
                known = self._functions.get(number)
                if known is None or known.body != body:
                    self._functions[number] = Definition(body)
            elif kind == CANCEL:
                asked.append(number)
            elif kind == END:
                self.ended = True
            elif kind == ATTACH:
                self._on_attach(number)
            else:
                raise ConversationError(f"a client does not say messages of kind {kind}")
        return asked

    def _on_attach(self, outcomes: int) -> None:
        if self.attached:
            raise ConversationError("a second ATTACH")
        self._acknowledged(outcomes)
        self.attached = True
        self._out.append(encode(READY, self.received, self._ready))
        self._out.extend(self._kept)

    def _acknowledged(self, outcomes: int) -> None:
        news = outcomes - self._acked
        if not 0 <= news <= len(self._kept):
            raise ConversationError(
                f"{outcomes} outcomes acknowledged; {self._acked} of {self._acked + len(self._kept)}"
            )
        self._acked = outcomes
        for _ in range(news):
            self._kept_bytes -= len(self._kept.popleft())

    # --- what is said ------------------------------------------------------------------------------------------------

    def outcome(self, kind: int, number: int, body: bytes) -> None:
        """How a call went: ``RESULT``, ``ERROR`` or ``RETURNED``."""
        message = encode(kind, number, body)
        self._kept.append(message)
        self._kept_bytes += len(message)
        if self.attached:
            self._out.append(message)

    def progress(self, number: int, body: bytes) -> None:
        """How far a call is; lost if nobody listens."""
        if self.attached:
            self._out.append(encode(PROGRESS, number, body))

    def pace(self, microseconds: int) -> None:
        """How long the calls took that have ended since this was said last, on the average."""
        if self.attached:
            self._out.append(encode(PACE, microseconds))

    def data_to_send(self) -> bytes:
        """All that is to be sent now; empty: nothing."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data
