"""Durable calls of the asyncio face; see ``durable``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.client import calls
from holdfast.client.functions.aio_executor import Future
from holdfast.client.functions.durable import DurableCall, pickles, reading
from holdfast.client.functions.relayed import RelayedFeed

if TYPE_CHECKING:
    from holdfast.client.aio import Host
    from holdfast.client.calls import RunRequest
    from holdfast.client.functions.settings import Results
    from holdfast.functions.messages import Progress


async def submit(
    host: Host, request: RunRequest, results: Results | None, on_progress: Callable[[Progress], None] | None
) -> Future[Any]:
    """The future of a call whose job is on the host's disk."""
    feed: RelayedFeed = RelayedFeed.run(request, collect=True)  # type: ignore[assignment]
    future = _followed(host, feed, results, on_progress)
    await host._connection.wait(feed, feed.poll_accepted)
    future.job = feed.job
    return future


async def find(
    host: Host, job: str, results: Results | None, on_progress: Callable[[Progress], None] | None
) -> Future[Any]:
    """The future of a call that was made before."""
    info = await host._connection.call(calls.get_job(job))
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
    DurableCall(feed, future, connection, connection.later, pickles=pickles(host, results), on_progress=on_progress)
    connection.submit(feed)
    return future
