"""Prints of a job, handed on as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.client.feed import JobFeed
from holdfast.client.functions.aside import Outlet
from holdfast.errors import ClosedError, HoldfastError

if TYPE_CHECKING:
    from holdfast.client.exchange import Port


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
