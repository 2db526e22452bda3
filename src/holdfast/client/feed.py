"""The output of one job, collected over any number of connections: each byte once, in order, checked. Pure.

Rules:

* Bytes are counted by absolute offset. What the caller has taken is ``delivered``; what has arrived is ``received``;
  the agent may send up to ``limit``. Credit is given as the caller takes, so a slow caller holds bounded memory.
* The digest is that of the bytes handed to the caller, not of those received: it is what the promise is about.
* A run whose caller has stopped reading keeps its place as an attached client by waiting for the job's end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.client import calls
from holdfast.client.channel import ChannelFeed
from holdfast.client.exchange import CallExchange, Exchange
from holdfast.client.failures import failure_error
from holdfast.client.resume import ask_again
from holdfast.client.stdin import InputFeed
from holdfast.errors import (
    HoldfastError,
    OffsetGone,
    OutcomeUnknown,
    OutputMismatch,
    OutputTooLarge,
    RemoteProtocolError,
)
from holdfast.types import Channel, Receipt
from holdfast.wire.limits import INITIAL_WINDOW_BYTES
from holdfast.wire.messages import (
    Accepted,
    AnyEvent,
    End,
    ErrorCode,
    Failure,
    Opened,
    Read,
    ReadAnswer,
    ResultAnswer,
    Started,
    decode,
)

if TYPE_CHECKING:
    from holdfast.client.calls import RunRequest
    from holdfast.client.exchange import Port
    from holdfast.errors import Ran

BOTH: Final[tuple[Channel, ...]] = (1, 2)


class ReadPlan(msgspec.Struct, frozen=True):
    """What to read: channels, where to begin, and whether to go on to the job's end."""

    channels: tuple[Channel, ...] = BOTH
    offsets: Mapping[int, int] | None = None
    follow: bool = True
    lease: bool | None = None
    tail_lines: int | None = None

    @property
    def whole(self) -> bool:
        """Everything, from the beginning to the end."""
        return set(self.channels) == set(BOTH) and not self.offsets and self.follow and self.tail_lines is None


class JobFeed(Exchange):
    """Accepts, output and receipt of one job. Made by ``run`` or ``read``."""

    END: Final[tuple[Channel, bytes]] = (1, b"")
    """What ``poll_output`` gives at the end."""

    __slots__ = (
        "_abandoned",
        "_channels",
        "_collect",
        "_first_incarnation",
        "_gone",
        "_most_bytes",
        "_over",
        "_parked",
        "_plan",
        "_queue",
        "_reading",
        "_run",
        "_seeking",
        "_stream",
        "_too_large",
        "accepted",
        "input",
        "job",
        "receipt",
        "started",
        "taken",
    )

    def __init__(self, plan: ReadPlan, *, job: str | None, run: RunRequest | None, most_bytes: int | None) -> None:
        super().__init__()
        self._plan = plan
        self._run = run
        self._collect = False
        self._most_bytes = most_bytes
        offsets = plan.offsets or {}
        self._channels: dict[int, ChannelFeed] = {n: ChannelFeed(n, offsets.get(n, 0)) for n in plan.channels}
        self._queue: deque[tuple[Channel, bytes]] = deque()
        self._stream: int | None = None
        self._first_incarnation: str | None = None
        self._abandoned = False
        self._parked = False
        self._seeking = plan.tail_lines is not None
        self._over = False
        self._reading = False
        self._too_large = False
        self._gone: OffsetGone | None = None
        self.job = job
        self.taken = False
        self.accepted: Accepted | None = None
        self.started: Started | None = None
        self.receipt: Receipt | None = None
        self.input: InputFeed | None = None

    @classmethod
    def run(
        cls,
        request: RunRequest,
        *,
        collect: bool | None = None,
        most_bytes: int | None = None,
        input: bytes | None = None,
    ) -> JobFeed:
        """A job to be started, attached.

        Args:
            request: What to start.
            collect: Keep the output for ``collected`` (True) or drop it (False); None: hand it out by ``poll_output``.
            most_bytes: Bound of what is collected of one channel.
            input: All of its standard input.
        """
        feed = cls(ReadPlan(lease=True), job=None, run=request, most_bytes=most_bytes)
        feed._collect = collect is not None
        for channel in feed._channels.values():
            channel.keep = bool(collect)
        if request.request.stdin:
            feed.input = InputFeed(None, input)
        return feed

    @classmethod
    def read(cls, job: str, plan: ReadPlan, *, most_bytes: int | None = None) -> JobFeed:
        """A reading of a job's output; with ``most_bytes`` it is collected, up to so many bytes of each channel."""
        feed = cls(plan, job=job, run=None, most_bytes=most_bytes)
        feed._collect = most_bytes is not None
        for channel in feed._channels.values():
            channel.keep = feed._collect
        return feed

    # --- the caller's side -------------------------------------------------------------------------------------------

    @property
    def key(self) -> str | None:
        return None if self._run is None else self._run.request.key

    def poll_accepted(self) -> bool | None:
        """True once the job is in the journal of its host."""
        self._raise_error()
        return True if self.accepted is not None or self.settled else None

    def poll_receipt(self) -> Receipt | None:
        """The receipt once all output was delivered and checked.

        Raises:
            HoldfastError: the run has failed.
        """
        self._raise_error()
        return self.receipt if self.settled else None

    def poll_collected(self) -> bool | None:
        """True once everything wanted was collected."""
        self._raise_error()
        return True if self.settled else None

    def poll_output(self) -> tuple[Channel, bytes] | None:
        """The next (channel, bytes), ``END`` at the end, None while there is nothing.

        Raises:
            HoldfastError: the reading has failed; what came before was handed out first.
        """
        if self._queue:
            item = self._queue.popleft()
            channel = self._channels[item[0]]
            channel.take(item[1])
            self._credit(channel)
            if not self._queue and self._over:
                self._finish()
            return item
        self._raise_error()
        if self._gone is not None:
            raise self._gone
        return self.END if self.settled else None

    def collected(self, channel: Channel) -> bytes | None:
        """What was kept of a channel; None if it was not to be kept."""
        state = self._channels[channel]
        return state.kept() if state.keep else None

    def delivered(self) -> dict[int, int]:
        """Offset of the next byte by channel."""
        return {number: channel.delivered for number, channel in self._channels.items()}

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    # --- leaving early -----------------------------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        return self.settled or self._over

    @property
    def companion(self) -> Exchange | None:
        return self.input

    @property
    def keeps_place(self) -> bool:
        """Whether giving up the output must not give up the attachment: a run of ours that is not over."""
        return self._run is not None and not self.complete and not self._parked

    def park(self) -> None:
        """Take no more output, and stay attached by waiting for the end."""
        self._parked = True
        self._queue.clear()
        port, stream = self.port, self._stream
        self._stream = None
        if port is not None and stream is not None:
            port.cancel(stream)
            if self.input is not None:
                self.input.unlend()
            if port.asking:
                self.begin(port)
                if self.input is not None:
                    self.input.begin(port)

    def abandon(self) -> bool:
        """Nobody waits any more; the job is to be stopped as soon as its id is known.

        Returns:
            False if there is nothing to wait for: never asked, over, or the caller can stop it by ``job`` now.
        """
        if not self.asked or self.settled or self.job is not None:
            return False
        self._abandoned = True
        return True

    @property
    def to_be_stopped(self) -> bool:
        """Whether a job of ours may be running that its caller has given up."""
        return self.job is not None and self.receipt is None and (not self.settled or self._too_large)

    # --- the connection's side ---------------------------------------------------------------------------------------

    def begin(self, port: Port) -> None:
        first = not self.asked
        super().begin(port)
        if self._run is not None and first:
            self._first_incarnation = port.incarnation
        if self._seeking:
            self._seek(port)
            return
        window = INITIAL_WINDOW_BYTES if first else min(port.window_most(), self._largest_window())
        wanted = {} if self._parked else {n: c.received for n, c in self._channels.items() if not c.ended}
        ask = ask_again(
            self._run,
            self.job,
            wanted,
            lease=bool(self._plan.lease),
            follow=self._plan.follow,
            credit=window,
            incarnation=None if first else self._first_incarnation,
        )
        reads = {number: self._channels[number].open(window) for number in ask.offsets}
        self._reading = isinstance(ask.request, Read)
        self._stream = port.request(self, ask.request, ask.body, reads=reads)
        if self.job is None and self.input is not None:
            self.input.lend(port, self._stream)

    def _seek(self, port: Port) -> None:
        """Ask where the last lines begin. Without credit nothing comes but that, so no byte can precede the answer."""
        assert self.job is not None
        assert self._plan.tail_lines is not None
        offsets: dict[str, int] = {str(channel): 0 for channel in self._channels}
        request = Read(self.job, offsets, credit=0, follow=True, tail_lines=max(1, self._plan.tail_lines))  # type: ignore[arg-type]
        self._stream = port.request(self, request, reads=dict.fromkeys(self._channels, (0, 0)))

    def _found(self, opened: Opened) -> None:
        assert self._stream is not None
        assert self.port is not None
        self._seeking = False
        starts = opened.offsets if self._plan.tail_lines else opened.lengths
        for number, channel in self._channels.items():
            channel.start_at(starts.get(str(number), 0))
            channel.ended = False
        self.port.cancel(self._stream)
        self._stream = None
        if self.port.asking:
            self.begin(self.port)

    def event(self, stream: int, event: AnyEvent) -> None:
        match event:
            case Accepted():
                self.accepted = event
                self.job = event.job
                if self.input is not None:
                    self.input.job = event.job
                if self._abandoned and self.port is not None:
                    self.port.submit(CallExchange(calls.stop(event.job, None)))
                    self._settle()
            case Started():
                self.started = event
            case Opened():
                if self._seeking:
                    self._found(event)

    def data(self, stream: int, channel: int, offset: int, data: bytes) -> None:
        state = self._channels.get(channel)
        if state is None or stream != self._stream or self._seeking or self._gone is not None:
            return
        state.received = offset + len(data)
        if not self._collect:
            self._queue.append((state.channel, data))
            return
        if self._most_bytes is not None and state.kept_bytes + len(data) > self._most_bytes and state.keep:
            self._full(state, data)
            return
        state.take(data)
        self._credit(state)

    def gap(self, stream: int, channel: int, offset: int) -> None:
        state = self._channels.get(channel)
        if state is None or stream != self._stream or self._seeking:
            return
        asked = (self._plan.offsets or {}).get(channel, 0)
        text = f"bytes {state.received} to {offset} of channel {channel} are no longer kept"
        if self._collect and self._run is None:
            self.fail(OffsetGone(text, first=offset))
        elif not self._collect and (asked or state.received > asked):
            self._gone = self._gone or OffsetGone(text, first=offset)
        else:  # a collected run is what is kept of it, and a reading from the beginning starts at the oldest byte
            limit = state.limit
            state.start_at(offset)
            state.limit = max(limit, offset)
            self._credit(state)  # the gap may reach beyond all credit: nothing would come, so none would be given

    def ended(self, stream: int, channel: int, length: int, end: End) -> None:
        state = self._channels.get(channel)
        if state is not None and stream == self._stream and not self._seeking:
            state.ended, state.length, state.end = True, length, end

    def answered(self, stream: int, header: bytes) -> None:
        self._stream = None
        try:
            answer = decode(header, ReadAnswer) if self._reading else decode(header, ResultAnswer)
        except RemoteProtocolError as error:
            self.fail(error)
            return
        if answer.receipt is not None:
            self.receipt = answer.receipt
        elif self._plan.follow:
            if self.port is not None and self.port.asking:
                self.begin(self.port)
            return
        self._over = True
        if self.port is not None:
            self.port.settle(self)
        if self.input is not None and self.receipt is not None:
            self.input.over()
        if not self._queue:
            self._finish()

    def failed(self, stream: int, failure: Failure) -> None:
        self._stream = None
        if failure.code != ErrorCode.SHUTTING_DOWN:
            error = failure_error(failure)
            if self.input is not None:
                self.input.fail(error)
            self.fail(error)
        elif self.input is not None:
            self.input.unlend()

    def credited(self, stream: int, channel: int, limit: int) -> None:
        if self.input is not None:
            self.input.credited(stream, channel, limit)

    def acked(self, stream: int, channel: int, offset: int) -> bool:
        return self.input is not None and self.input.acked(stream, channel, offset)

    def bytes_to_send(self, channel: int, offset: int, size: int) -> bytes:
        assert self.input is not None
        return self.input.bytes_to_send(channel, offset, size)

    def after_events(self) -> None:
        if self.input is not None:
            self.input.after_events()
        if self.settled or not self._collect:
            self.moved()

    def link_lost(self) -> None:
        super().link_lost()
        self._stream = None

    @property
    def ran(self) -> Ran:
        return "yes" if self.started is not None else super().ran

    def lost_error(self, reason: str) -> HoldfastError:
        if self._run is None or not self.asked:
            return super().lost_error(reason)
        error = OutcomeUnknown(f"{reason}; ask again with the same key", key=self.key)
        error.ran = self.ran
        return error

    # --- inside ------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        if self.port is not None and self._stream is not None:
            self.port.cancel(self._stream)
            self._stream = None
        super()._settle()

    def _credit(self, channel: ChannelFeed) -> None:
        port, stream = self.port, self._stream
        if port is not None and stream is not None:
            limit = channel.credit(port.window_most())
            if limit is not None:
                port.link.grant(stream, channel.channel, limit)

    def _largest_window(self) -> int:
        return max((channel.window for channel in self._channels.values()), default=INITIAL_WINDOW_BYTES)

    def _full(self, state: ChannelFeed, data: bytes) -> None:
        """More than the caller wants to hold of one channel."""
        assert self._most_bytes is not None
        if self._run is None:
            state.take(data[: self._most_bytes - state.kept_bytes])
            self._settle()
            return
        self._too_large = True
        self.fail(OutputTooLarge(f"more than {self._most_bytes} bytes on channel {state.channel}: the job was stopped"))

    def _finish(self) -> None:
        """All was delivered: compare it with what the agent says."""
        self._over = False
        if self._gone is not None:
            self.fail(self._gone)
            return
        if not self._parked:
            receipt = self.receipt
            records = {1: receipt.stdout, 2: receipt.stderr} if receipt is not None else {}
            for number, channel in self._channels.items():
                difference = channel.mismatch(records.get(number))
                if difference is not None:
                    self.fail(OutputMismatch(f"job {self.job}: {difference}", receipt=receipt))
                    return
        self._settle()
