"""One worker of a pool as its client sees it: a job that is attached to, and a conversation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.client.functions.dial import DialExchange
from holdfast.client.functions.relayed import RelayedFeed
from holdfast.functions.pipe import ClientPipe
from holdfast.wire.messages import AnyEvent

if TYPE_CHECKING:
    from holdfast.client.calls import RunRequest
    from holdfast.client.functions.pool import Pool
    from holdfast.client.functions.prints import Relay
    from holdfast.client.functions.tasks import Task
    from holdfast.errors import HoldfastError
    from holdfast.functions.schedule import Lane
    from holdfast.wire.messages import DialAnswer


class PoolWorker:
    """What is known of one worker, from the request that starts its job to the receipt.

    Attributes:
        lane: Its calls, for the schedule.
        pipe: What is said with it.
        feed: Its job: acceptance, prints, receipt.
        dial: The conversation; None before the job is accepted.
        ready: It has said READY once.
        dismissed: It is to leave, or to be stopped.
        answer: What the agent has said when it was gone; None: it is there, as far as is known.
        lost: Its job, or the way to it, is gone with this error.
        inbox: What it has said and nobody has looked at.
        relay: Hands its prints on; made with the first of them.
    """

    def __init__(self, pool: Pool, lane: Lane[Task], run: RunRequest) -> None:
        self._pool = pool
        self.lane = lane
        self.pipe = ClientPipe()
        self.feed: RelayedFeed = RelayedFeed.run(run)  # type: ignore[assignment]
        self.feed.owner = self
        self.dial: DialExchange | None = None
        self.ready = False
        self.dismissed = False
        self.answer: DialAnswer | None = None
        self.lost: HoldfastError | None = None
        self.inbox: list[tuple[int, int, bytes]] = []
        self.relay: Relay | None = None

    @property
    def job(self) -> str | None:
        """Its job, once accepted."""
        return self.feed.job

    @property
    def is_gone(self) -> bool:
        """It takes and answers no calls any more."""
        return self.answer is not None or self.lost is not None

    # --- what the exchanges tell -------------------------------------------------------------------------------------

    def news(self, event: AnyEvent) -> None:
        """See ``relayed.FeedOwner``: once accepted, a worker will come up."""
        if self.dial is None and self.job is not None:
            self.dial = DialExchange(self.job, self)
            self._pool.accepted(self)

    def printed(self) -> None:
        """See ``relayed.FeedOwner``."""
        self._pool.printed(self)

    def feed_over(self) -> None:
        """See ``relayed.FeedOwner``."""
        self._pool.feed_over(self)

    def told(self, messages: list[tuple[int, int, bytes]]) -> None:
        """See ``dial.Owner``."""
        self.inbox += messages

    def heard(self) -> None:
        """See ``dial.Owner``."""
        self._pool.heard(self)

    def gone(self, answer: DialAnswer) -> None:
        """See ``dial.Owner``."""
        self.answer = answer
        self._pool.gone(self)

    def unreachable(self, error: HoldfastError) -> None:
        """See ``dial.Owner``."""
        self.lost = error
        self._pool.gone(self)
