"""Durable calls of the blocking face; see ``durable``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.client import calls
from holdfast.client.functions.aside import Aside
from holdfast.client.functions.durable import DurableCall, pickles, reading
from holdfast.client.functions.futures import Future
from holdfast.client.functions.relayed import RelayedFeed

if TYPE_CHECKING:
    from holdfast.client.calls import RunRequest
    from holdfast.client.functions.settings import Results
    from holdfast.client.sync import Host
    from holdfast.functions.messages import Progress


def submit(
    host: Host, request: RunRequest, results: Results | None, on_progress: Callable[[Progress], None] | None
) -> Future[Any]:
    """The future of a call whose job is on the host's disk."""
    feed: RelayedFeed = RelayedFeed.run(request, collect=True)  # type: ignore[assignment]
    future = _followed(host, feed, results, on_progress)
    host._connection.wait(feed, feed.poll_accepted)
    future.job = feed.job
    return future


def find(host: Host, job: str, results: Results | None, on_progress: Callable[[Progress], None] | None) -> Future[Any]:
    """The future of a call that was made before."""
    info = host._connection.call(calls.get_job(job))
    future = _followed(host, reading(info), results, on_progress)
    future.job = info.job
    if info.started_unix_s is not None:
        future._claim()
    return future


def _followed(
    host: Host, feed: RelayedFeed, results: Results | None, on_progress: Callable[[Progress], None] | None
) -> Future[Any]:
    future: Future[Any] = Future()
    connection = host._connection

    def call_back(act: Callable[[], None]) -> None:
        aside = Aside("callbacks of a durable call")
        aside.do(act)
        aside.close()

    DurableCall(feed, future, connection, call_back, pickles=pickles(host, results), on_progress=on_progress)
    connection.submit(feed)
    return future
