"""What the blocking and the asyncio handles share: everything that does no I/O."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeVar, cast

import msgspec

from holdfast.client import calls, results
from holdfast.client.calls import RunRequest
from holdfast.client.feed import JobFeed, ReadPlan
from holdfast.client.session import LinkChange as LinkChange
from holdfast.client.stdin import InputFeed
from holdfast.errors import ClosedError, JobLost
from holdfast.types import JobInfo, JobState, Receipt
from holdfast.wire.limits import MIB
from holdfast.wire.messages import AcceptedAnswer, JobsAnswer, Welcome

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.client.calls import Call, JobOptions

    class AnyConnection(Protocol):
        """What both drivers tell without I/O."""

        address: str
        is_local: bool

        @property
        def welcome(self) -> Welcome: ...
        def fresh_key(self) -> str: ...


MAX_OUTPUT_BYTES: Final = 64 * MIB
"""Default of ``max_output``: most bytes that ``run`` keeps of one channel."""
_PAGE: Final = 1000

C = TypeVar("C", bound="AnyConnection")


class HostBase(Generic[C]):
    """Attributes of a host."""

    def __init__(self, connection: C) -> None:
        self._connection = connection

    @property
    def address(self) -> str:
        """As given to ``connect``."""
        return self._connection.address

    @property
    def welcome(self) -> Welcome:
        """What the agent said of itself when it was connected last: host, software, boot id, roles."""
        return self._connection.welcome

    @property
    def is_local(self) -> bool:
        """Whether this is the user's own agent on this machine."""
        return self._connection.is_local

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def worker_request(self, args: Sequence[str], options: JobOptions, *, attach: bool = True) -> RunRequest:
        """The request for a job that makes calls of functions."""
        return self._run_request(args, attach=attach, stdin=False, options=options)

    def _run_request(
        self, args: Sequence[str | bytes] | str | bytes, *, attach: bool, stdin: bool, options: JobOptions
    ) -> RunRequest:
        given = cast("dict[str, Any]", options)
        if self._connection.is_local:
            given = _with_own_place(given)
        return calls.run_request(
            args, fresh_key=self._connection.fresh_key(), encode=os.fsencode, attach=attach, stdin=stdin, **given
        )

    @staticmethod
    def _page(found: list[JobInfo], *, limit: int | None, **filters: Any) -> Call[JobsAnswer]:
        left = _PAGE if limit is None else min(_PAGE, max(1, limit - len(found)))
        return calls.list_jobs(limit=left, before=found[-1].job if found else None, **filters)

    @staticmethod
    def _take_page(found: list[JobInfo], page: JobsAnswer, limit: int | None) -> bool:
        found.extend(page.jobs if limit is None else page.jobs[: limit - len(found)])
        return page.more and bool(page.jobs) and (limit is None or len(found) < limit)


def _with_own_place(options: dict[str, Any]) -> dict[str, Any]:
    """For the local agent: the caller's directory, PATH and LANG, as a local program would have them."""
    env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    given = dict(options)
    given["env"] = {**env, **(given.get("env") or {})}
    if given.get("cwd") is None:
        given["cwd"] = os.getcwd()
    return given


class JobBase(Generic[C]):
    """Attributes of a job; they hold what is known here and never ask the host."""

    def __init__(self, connection: C, job_id: str, *, key: str | None = None, feed: JobFeed | None = None) -> None:
        self._connection = connection
        self._feed = feed
        self._reading = feed
        self._stdin_feed: InputFeed | None = feed.input if feed is not None else None
        self._info: JobInfo | None = None
        self._receipt: Receipt | None = None
        self.id = job_id
        self.key = key
        self.deduplicated = False

    @classmethod
    def attached(cls, connection: C, feed: JobFeed) -> Self:
        """The handle of an accepted run that sends its output here."""
        assert feed.job is not None
        job = cls(connection, feed.job, key=feed.key, feed=feed)
        job.deduplicated = feed.accepted is not None and feed.accepted.deduplicated
        return job

    @classmethod
    def detached(cls, connection: C, request: RunRequest, answer: AcceptedAnswer) -> Self:
        """The handle of an accepted job that nobody is attached to."""
        job = cls(connection, answer.job, key=request.request.key)
        job.deduplicated = answer.deduplicated
        return job

    @classmethod
    def known(cls, connection: C, info: JobInfo) -> Self:
        """The handle of a job that was asked for."""
        job = cls(connection, info.job)
        job._update(info)
        return job

    @classmethod
    def again(cls, before: Self, answer: AcceptedAnswer) -> Self:
        """The handle of a retried job."""
        job = cls(before._connection, answer.job)
        job.deduplicated = answer.deduplicated
        return job

    @property
    def info(self) -> JobInfo | None:
        """The state as last asked for by ``Host.job`` or ``refresh``; None before."""
        return self._info

    @property
    def receipt(self) -> Receipt | None:
        """The agent's final record, once it has come here."""
        if self._receipt is None:
            for feed in (self._feed, self._reading):
                if feed is not None and feed.receipt is not None:
                    self._receipt = feed.receipt
        return self._receipt

    @property
    def returncode(self) -> int | None:
        """As ``subprocess`` has it; None while not done, or where no status exists."""
        return None if self.receipt is None else self.receipt.returncode

    @property
    def pid(self) -> int | None:
        """Process id of the command on its host, once known here."""
        if self._feed is not None and self._feed.started is not None:
            return self._feed.started.pid
        return self._info.pid if self._info is not None else None

    @property
    def delivered(self) -> dict[int, int]:
        """Offset of the next byte by channel, of the latest ``output()``."""
        return {} if self._reading is None else self._reading.delivered()

    def __repr__(self) -> str:
        done = "running" if self.receipt is None else self.receipt.cause.value
        return f"<{type(self).__name__} {self.id} {done}>"

    def _update(self, info: JobInfo) -> JobInfo:
        self._info = info
        if info.state is JobState.DONE and info.receipt is not None:
            self._receipt = info.receipt
        return info

    def _keep(self, receipt: Receipt) -> Receipt:
        self._receipt = receipt
        return receipt

    def _wait_call(self) -> Call[Receipt]:
        return calls.wait(self.id, lease=self._feed is not None)

    @staticmethod
    def _returncode(receipt: Receipt) -> int:
        if (error := results.no_status_error(receipt)) is not None:
            raise error
        code = receipt.returncode
        if code is None:
            raise JobLost(f"job {receipt.job} has no exit status", receipt=receipt)
        return code

    def _output_feed(self, plan: ReadPlan) -> JobFeed:
        """The attached run itself, the first time and for all of it; a reading of its own otherwise."""
        feed = self._feed
        if feed is not None and plan.whole and not feed.taken:
            feed.taken = True
        else:
            lease = (feed is not None) if plan.lease is None else plan.lease
            feed = JobFeed.read(self.id, msgspec.structs.replace(plan, lease=lease))
        self._reading = feed
        return feed

    def _input(self) -> InputFeed:
        if self._stdin_feed is None:
            self._stdin_feed = InputFeed(self.id)
        return self._stdin_feed


def closed_error(what: str) -> ClosedError:
    """The error of a handle that was closed."""
    return ClosedError(f"{what} is closed")


Scope = Literal["main", "group", "tree"]
