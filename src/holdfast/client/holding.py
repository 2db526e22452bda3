"""Commands that hold something: it is taken here, and handed to the job that is started with it. Blocking."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.client import calls
from holdfast.client.coordination import asks
from holdfast.client.coordination.desk_threads import desk_of
from holdfast.client.coordination.ledger import fresh_owner
from holdfast.client.feed import JobFeed
from holdfast.client.sync import Job
from holdfast.errors import HoldfastError, OutcomeUnknown
from holdfast.wire.messages import Hold, LeaseInfo, ObjectAsked

if TYPE_CHECKING:
    from holdfast.client.sync import Host


class Holding:
    """One unit of a shared object of a host, for a job that is to hold it.

    Args:
        host: Where it is.
        name: Of the object.
        what: What it is to be; it is made if it is not there.
    """

    def __init__(self, host: Host, name: str, what: ObjectAsked) -> None:
        self._host = host
        self._connection = host._connection
        self._desk = desk_of(host._connection)
        self._name = name
        self._what = what
        self._owner = fresh_owner()
        self._taken = False

    def take(self, *, wait: bool, timeout: float | None, label: str) -> bool:
        """Take it; whether it was to be had (in time). An exception in between, as of Ctrl-C, leaves the line.

        Args:
            wait: Stand in line until it is to be had.
            timeout: Seconds to wait at most; None: no limit.
            label: Who this is, for people.

        Raises:
            Conflict: the name is something else.
        """
        ask = asks.acquire(self._owner, {self._name: 1}, wait=wait, timeout_s=timeout, label=label)
        self._taken = self._desk.ask_about(self._name, self._what, ask) is not None
        return self._taken

    def others(self) -> tuple[LeaseInfo, ...]:
        """Who holds it or waits for it, as far as it may be told; may be asked while another thread takes it."""
        return self._connection.call(calls.leases(self._name))

    def start(self, args: Sequence[str | bytes] | str | bytes, *, stdin: bool, **options: Any) -> Job:
        """An attached job that holds it from its acceptance on, until its last process has ended. See ``Host.start``.

        If it is not accepted, what was taken is given back.
        """
        try:
            request = self._host._run_request(args, attach=True, stdin=stdin, options=options)  # type: ignore[arg-type]
            run = msgspec.structs.replace(request.request, hold=Hold(self._owner, (self._name,)))
            feed = JobFeed.run(msgspec.structs.replace(request, request=run))
            self._connection.submit(feed)
            self._connection.wait(feed, feed.poll_accepted)
        except OutcomeUnknown:
            raise  # it may be the job's by now
        except BaseException:
            self.give_back()
            raise
        return Job.attached(self._connection, feed)

    def give_back(self) -> None:
        """Let the next one have it, as far as the host can be told."""
        if self._taken:
            self._taken = False
            with contextlib.suppress(HoldfastError):
                self._desk.ask(asks.release(self._owner, self._name))
