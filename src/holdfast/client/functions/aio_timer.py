"""``Timer`` for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.client.functions import timer
from holdfast.client.functions.aside import Outlet
from holdfast.errors import DeadlineExceeded, NotFound

if TYPE_CHECKING:
    from holdfast.client.aio import Host


class Timer:
    """A call after some time, kept by the host. Made by ``Host.timer``.

    From the end of ``start`` on it is on the host's disk, and made once: also if this program or the agent dies before,
    and late if the host was down.

    Attributes:
        id: Of the plan on the host.
        interval: Seconds from ``start`` on.
        job: The job that makes the call, once ``join`` knows it; None: not yet.
    """

    def __init__(
        self,
        host: Host,
        interval: float,
        function: Callable[..., object],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = host._connection.fresh_key()
        self.interval = interval
        self.function = function
        self.args = [] if args is None else args
        self.kwargs = {} if kwargs is None else kwargs
        self.job: str | None = None
        self._host = host
        self._due: float | None = None

    async def start(self) -> None:
        """Give it to the host.

        Raises:
            RuntimeError: it was started before.
            CallRefused: function or arguments cannot be sent.
            Refused: the host does not take it.
        """
        if self._due is not None:
            raise RuntimeError("timers can only be started once")
        asked = timer.request(self._host, self.id, self.interval, self.function, self.args, self.kwargs)
        self._due = asyncio.get_running_loop().time() + self.interval
        await self._host._connection.call(asked)

    async def cancel(self) -> None:
        """Do not make the call, unless it is under way."""
        if self._due is not None:
            try:
                await self._host._connection.call(timer.cancel(self.id))
            except NotFound:
                pass  # over for long

    async def join(self, timeout: float | None = None) -> None:
        """Wait until the call is over or was cancelled, and hand on what it prints.

        Raises:
            RuntimeError: not started.
            DeadlineExceeded: not over within ``timeout`` seconds.
        """
        if self._due is None:
            raise RuntimeError("cannot join timer before it is started")
        try:
            async with asyncio.timeout(timeout):
                await self._follow(self._due)
        except TimeoutError:
            raise DeadlineExceeded(f"the call was not over within {timeout:g} s; it goes on") from None

    async def _follow(self, due: float) -> None:
        look_s = timer.LOOK_S
        while True:
            info = await self._host._connection.call(timer.look(self.id))
            if info.job is not None:
                self.job = info.job
                outlet = Outlet()
                async for channel, data in (await self._host.job(info.job)).output():
                    outlet.write(channel, data)
                return
            if info.state in timer.OVER:
                return
            if (left_s := due - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(min(left_s, timer.LOOK_MOST_S))
            else:
                await asyncio.sleep(look_s)
                look_s = min(2 * look_s, timer.LOOK_MOST_S)
