"""One worker of a pool as its client sees it: a job that is attached to, and a conversation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.client.feed import JobFeed
from holdfast.client.functions.dial import DialExchange
from holdfast.errors import HoldfastError
from holdfast.functions.pipe import ClientPipe
from holdfast.wire.messages import AnyEvent

if TYPE_CHECKING:
    from holdfast.client.calls import RunRequest
    from holdfast.client.functions.aside import Outlet
    from holdfast.client.functions.pool import Pool
    from holdfast.client.functions.tasks import Task
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
        outlet: Where its prints go; made by who takes them.
        relaying: Somebody is about to take its prints.
    """

    def __init__(self, pool: Pool, lane: Lane[Task], run: RunRequest) -> None:
        self._pool = pool
        self.lane = lane
        self.pipe = ClientPipe()
        self.feed: WorkerFeed = WorkerFeed.run(run)  # type: ignore[assignment]
        self.feed.worker = self
        self.dial: DialExchange | None = None
        self.ready = False
        self.dismissed = False
        self.answer: DialAnswer | None = None
        self.lost: HoldfastError | None = None
        self.inbox: list[tuple[int, int, bytes]] = []
        self.outlet: Outlet | None = None
        self.relaying = False

    @property
    def job(self) -> str | None:
        """Its job, once accepted."""
        return self.feed.job

    @property
    def is_gone(self) -> bool:
        """It takes and answers no calls any more."""
        return self.answer is not None or self.lost is not None

    def take_prints(self) -> list[tuple[int, bytes]]:
        """What it has printed and nobody has taken, as (channel, bytes)."""
        self.relaying = False
        chunks: list[tuple[int, bytes]] = []
        try:
            while (chunk := self.feed.poll_output()) is not None and chunk is not JobFeed.END:
                chunks.append(chunk)
        except HoldfastError:
            pass  # the rest is on its host, if anywhere
        return chunks

    # --- what the exchanges tell -------------------------------------------------------------------------------------

    def accepted(self) -> None:
        """The job is in the journal of its host: a worker will come up."""
        if self.dial is None and self.job is not None:
            self.dial = DialExchange(self.job, self)
            self._pool.accepted(self)

    def printed(self) -> None:
        """There is something that it has printed."""
        self._pool.printed(self)

    def feed_over(self) -> None:
        """The job is done and all its prints were taken, or nothing will be heard of it any more."""
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


class WorkerFeed(JobFeed):
    """The job of a worker, which tells its worker what happens."""

    __slots__ = ("worker",)

    worker: PoolWorker

    def event(self, stream: int, event: AnyEvent) -> None:
        super().event(stream, event)
        if self.accepted is not None:
            self.worker.accepted()

    def after_events(self) -> None:
        super().after_events()
        if self._queue:
            self.worker.printed()

    def _settle(self) -> None:
        over = self.settled
        super()._settle()
        if not over:
            self.worker.feed_over()
