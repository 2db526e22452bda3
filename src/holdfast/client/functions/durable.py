"""A call that is a job of its own: with a receipt and a start key, and whose future can be had again anywhere.

What both faces share. The call's outcome is the one line on its job's standard output (``functions.outcome``); what it
prints stays on the host, as the job's standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from holdfast.client.calls import stop
from holdfast.client.exchange import CallExchange
from holdfast.client.feed import ReadPlan
from holdfast.client.functions.opening import coder_of, own_path
from holdfast.client.functions.relayed import RelayedFeed
from holdfast.client.functions.settings import check_limit, command
from holdfast.client.results import no_status_error
from holdfast.errors import ClosedError, HoldfastError
from holdfast.functions import messages
from holdfast.functions.errors import CallTimeout, WorkerDied
from holdfast.functions.outcome import open_line
from holdfast.functions.setup import CALL, FirstCall, WorkerSetup, environment
from holdfast.types import Cause, JobInfo, Receipt
from holdfast.wire.messages import AnyEvent, Progress, Started

if TYPE_CHECKING:
    from holdfast.client.calls import JobOptions, RunRequest
    from holdfast.client.exchange import Port
    from holdfast.client.functions.settings import Results
    from holdfast.client.functions.tasks import AnyFuture
    from holdfast.client.functions.yard import Driver
    from holdfast.client.handles import HostBase


def request(
    host: HostBase[Any],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    key: str | None,
    timeout: float | None,
    results: Results | None,
    cwd: str | None,
    env: Mapping[str, str] | None,
    label: str,
) -> RunRequest:
    """The job that makes this call.

    Raises:
        CallRefused: function or arguments cannot be sent.
        CallTooLarge: they are longer than ``CALL_BYTES``.
        ValueError: an option that cannot be.
    """
    check_limit(timeout)
    coder = coder_of(host)
    if results == "pickle":
        coder.check_pickles("results")
    first = FirstCall(coder.function(function, sure=True), *coder.arguments(args, kwargs))
    setup = WorkerSetup(pickles=pickles(host, results), sys_path=own_path(local=host.is_local), name=label)
    options: JobOptions = {
        "env": {**(env or {}), **environment(setup, first)},
        "cwd": cwd,
        "label": label,
        "key": key,
        "timeout": timeout,
        "on_disconnect": "keep",
        "durability": "power",
    }
    return host.worker_request(command(host.welcome.worker, CALL), options)


def pickles(host: HostBase[Any], results: Results | None) -> bool:
    """Whether pickles of results are opened here."""
    return results == "pickle" or (results is None and host.is_local)


def reading(info: JobInfo) -> RelayedFeed:
    """What fetches the outcome of a call that was asked for before.

    Raises:
        ValueError: this job makes no call.
    """
    if info.shell or not info.argv or info.argv[-1] != CALL:
        raise ValueError(f"job {info.job} is no call of a function: it runs {' '.join(info.argv)[:100]!r}")
    plan = ReadPlan(channels=(1,), lease=False)
    return RelayedFeed.read(info.job, plan, most_bytes=messages.MESSAGE_BYTES + 1)  # type: ignore[return-value]


class DurableCall:
    """One such call and its future: maker of the one (``futures.Maker``), owner of the other (``relayed.FeedOwner``).

    Args:
        feed: The job, or a reading of it.
        future: Its future, of either face.
        connection: Of either face.
        call_back: Runs callbacks where they may wait.
        pickles: Open pickles of results.
        on_progress: Called with each progress.
    """

    def __init__(
        self,
        feed: RelayedFeed,
        future: AnyFuture,
        connection: Driver,
        call_back: Callable[[Callable[[], None]], None],
        *,
        pickles: bool,
        on_progress: Callable[[messages.Progress], None] | None,
    ) -> None:
        self._feed = feed
        self._future = future
        self._connection = connection
        self._pickles = pickles
        self._on_progress = on_progress
        self.call_back = call_back
        feed.owner = self
        feed.keep_only(1)
        future._made_by(self)

    # --- the future's side -------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """It was cancelled while it ran, or before the host has said that it does."""
        job = self._feed.job

        def ask(port: Port) -> bool:
            if job is not None and not self._feed.complete:
                port.submit(CallExchange(stop(job, 0.0)))
            return True

        try:
            self._connection.enter(ask)
        except ClosedError:
            pass  # the host keeps it: it is durable

    # --- the feed's side, with the connection's lock held ------------------------------------------------------------

    def news(self, event: AnyEvent) -> None:
        """See ``relayed.FeedOwner``."""
        if isinstance(event, Started):
            self._connection.later(self._claim)
        elif isinstance(event, Progress):
            progress = messages.Progress(event.done, event.total, event.text)
            self._connection.later(partial(self._future._tell_progress, progress, self._on_progress))

    def printed(self) -> None:
        """Nothing that is collected is handed on."""

    def feed_over(self) -> None:
        """See ``relayed.FeedOwner``."""
        self._connection.later(self._end)

    # --- without the lock --------------------------------------------------------------------------------------------

    def _claim(self) -> None:
        self._future._claim()

    def _end(self) -> None:
        value, error = None, None
        try:
            value = _outcome(self._feed, pickles=self._pickles)
        except BaseException as exc:  # what the function has raised, and whatever its pickle does
            error = exc
        self._future._end(value, error)


def _outcome(feed: RelayedFeed, *, pickles: bool) -> Any:
    if feed.error is not None:
        raise feed.error
    line = feed.collected(1)
    if line and line.endswith(b"\n"):
        return open_line(line, pickles=pickles)
    if feed.receipt is None:
        raise HoldfastError(f"nothing is known of the end of job {feed.job}")
    raise _no_outcome(feed.receipt)


def _no_outcome(receipt: Receipt) -> HoldfastError:
    if receipt.cause is Cause.TIMEOUT:
        return CallTimeout(f"job {receipt.job} took longer than {receipt.timeout_s or 0:g} s, and was ended")
    if (error := no_status_error(receipt)) is not None:
        return error
    status = receipt.exit
    how = "" if status is None else f"signal {status.signal}" if status.signal else f"exit status {status.code}"
    by = "" if receipt.ended_by == "itself" else f" (by {receipt.ended_by})"
    return WorkerDied(f"job {receipt.job} ended with {how}{by} during its call: it may have run", ran="unknown")
