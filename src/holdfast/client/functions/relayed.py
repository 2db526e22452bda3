"""An attached job that tells its owner what happens to it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.client.feed import JobFeed
from holdfast.types import Channel
from holdfast.wire.messages import AnyEvent

if TYPE_CHECKING:
    from typing import Protocol

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
        self.moved()

    def after_events(self) -> None:
        super().after_events()
        if self._queue:
            self.owner.printed()

    def _settle(self) -> None:
        over = self.settled
        super()._settle()
        if not over:
            self.owner.feed_over()
