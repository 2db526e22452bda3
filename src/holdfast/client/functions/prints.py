"""An attached job that tells its owner what happens, and whose prints are handed on as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.client.feed import JobFeed
from holdfast.client.functions.aside import Outlet
from holdfast.errors import ClosedError, HoldfastError
from holdfast.types import Channel
from holdfast.wire.messages import AnyEvent

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.client.exchange import Port

    class FeedOwner(Protocol):
        """Whose job it is. All of it happens with the connection's lock held."""

        def news(self, event: AnyEvent) -> None:
            """Something has happened to the job."""

        def printed(self) -> None:
            """There is something that it has printed."""

        def feed_over(self) -> None:
            """It is done and all its prints were taken, or nothing will be heard of it any more."""


class RelayedFeed(JobFeed):
    """The job; ``owner`` is told."""

    __slots__ = ("owner",)

    owner: FeedOwner

    def keep_only(self, channel: Channel) -> None:
        """Collect this channel alone; the others are not kept here."""
        for number, feed in self._channels.items():
            feed.keep = number == channel

    def event(self, stream: int, event: AnyEvent) -> None:
        super().event(stream, event)
        self.owner.news(event)

    def after_events(self) -> None:
        super().after_events()
        if self._queue:
            self.owner.printed()

    def _settle(self) -> None:
        over = self.settled
        super()._settle()
        if not over:
            self.owner.feed_over()


class Relay:
    """Hands on what one job prints.

    Args:
        feed: The job.
        enter: Does something with the connection's lock held.
        do: Does something where it may wait, after all that was given before.

    Attributes:
        idle: What was taken was handed on.
    """

    def __init__(
        self,
        feed: JobFeed,
        enter: Callable[[Callable[[Port], bool]], None],
        do: Callable[[Callable[[], None]], None],
    ) -> None:
        self._feed = feed
        self._enter = enter
        self._do = do
        self._outlet = Outlet()
        self._due = False
        self.idle = True

    def printed(self) -> None:
        """There is something, with the lock held."""
        if not self._due:
            self._due = True
            self._do(self._hand_on)

    def _hand_on(self) -> None:
        chunks: list[tuple[int, bytes]] = []

        def take(_: Port) -> bool:
            chunks.extend(self.take())
            return True  # there may be credit to give

        def done(_: Port) -> bool:
            self.idle = True
            self._feed.moved()
            return False

        self._enter_if_open(take)
        for channel, data in chunks:
            self._outlet.write(channel, data)
        self._enter_if_open(done)

    def _enter_if_open(self, act: Callable[[Any], bool]) -> None:
        try:
            self._enter(act)
        except ClosedError:  # nobody else is there any more
            act(None)

    def take(self) -> list[tuple[int, bytes]]:
        """What was printed and nobody has taken, as (channel, bytes); with the lock held."""
        self._due = self.idle = False
        chunks: list[tuple[int, bytes]] = []
        try:
            while (chunk := self._feed.poll_output()) is not None and chunk is not JobFeed.END:
                chunks.append(chunk)
        except HoldfastError:
            pass  # the rest is on its host, if anywhere
        return chunks
