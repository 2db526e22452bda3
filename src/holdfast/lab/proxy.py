"""A proxy that passes bytes on, and cuts, silences, delays and throttles as its plan says.

It takes TCP or Unix sockets at either side and never looks into the bytes, so TLS passes like anything else.

Rules of this room:

* One event loop, one task a connection; ``chaos_plan`` decides what happens, this room carries it out.
* A cut is what the peers would see of a real one: RST where there is TCP (SO_LINGER, socket(7)), FIN with all input
  taken so that close(2) does not turn it into RST, and for a silence nothing at all: bytes are taken and lost.
* The sockets of a connection are closed by the task that serves it, so no descriptor is used again under a pump.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

import msgspec

from holdfast.errors import ConnectFailed, HoldfastError
from holdfast.lab.chaos_plan import CLEAN, NEVER, ConnectionPlan, Cut, Kind, Plan
from holdfast.transport import tcp, unix
from holdfast.transport.address import Address, parse

CHUNK_BYTES: Final = 65_536
GOODBYE_S: Final = 1.0
"""After a FIN the rest of either side's bytes is taken for so long; what comes later meets RST."""
CONNECT_S: Final = 5.0
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, no time: close(2) sends RST (socket(7))."""


class Event(msgspec.Struct, frozen=True):
    """Something the proxy did or saw.

    Attributes:
        at_s: Seconds since it began to listen.
        connection: Its number, from 0.
        what: ``open``, ``closed`` by an end, ``refused`` (nobody listens at the target), or the kind of a cut.
        to_agent: Bytes passed on from the client so far.
        to_client: Bytes passed on from the agent so far.
    """

    at_s: float
    connection: int
    what: str
    to_agent: int = 0
    to_client: int = 0


class Summary(msgspec.Struct):
    """What a proxy has done; seconds since it began to listen."""

    connections: int = 0
    refused: int = 0
    closed: int = 0
    cuts: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(map(str, Kind), 0))
    endless_silences: int = 0
    delayed: int = 0
    throttled: int = 0
    to_agent: int = 0
    to_client: int = 0
    seconds: float = 0.0

    @property
    def all_cuts(self) -> int:
        """Of every kind."""
        return sum(self.cuts.values())

    def rows(self) -> list[tuple[str, str]]:
        """Name and figure, for a table."""
        return [
            ("connections", str(self.connections)),
            ("closed by an end", str(self.closed)),
            ("target not there", str(self.refused)),
            *((f"cut by {kind}", str(number)) for kind, number in self.cuts.items()),
            ("silences without end", str(self.endless_silences)),
            ("delayed", str(self.delayed)),
            ("throttled", str(self.throttled)),
            ("bytes to the agent", str(self.to_agent)),
            ("bytes to the client", str(self.to_client)),
            ("seconds", f"{self.seconds:.1f}"),
        ]


class _Link:
    """One connection; ``passed`` is counted by its pumps, ``claimed`` says that one of them has taken a cut."""

    def __init__(self, number: int, plan: ConnectionPlan, client: socket.socket, agent: socket.socket) -> None:
        self.number = number
        self.plan = plan
        self.client = client
        self.agent = agent
        self.passed = {client: 0, agent: 0}
        self.claimed = False
        self.ordered: asyncio.Future[Cut] = asyncio.get_running_loop().create_future()

    @property
    def ends(self) -> tuple[socket.socket, socket.socket]:
        return self.client, self.agent


class Proxy:
    """The proxy inside a running event loop.

    Args:
        listen: Where clients connect: ``tls://ADDR:PORT`` (any TCP; port 0: a free one) or ``unix:///PATH``.
        to: Where the agent is, in the same forms.
        plan: What happens to each connection.
        most_cuts: After so many cuts connections are left alone; None: no end.
        on_event: Told of everything, in the loop's thread.

    Attributes:
        address: Where it listens, with the real port.
        summary: What it has done so far.

    Raises:
        HoldfastError: an address that is neither, or cannot be listened at.
    """

    def __init__(
        self,
        listen: str,
        to: str,
        plan: Plan | None = None,
        *,
        most_cuts: int | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._target = _place(to)
        self._listener, self.address = _listen(_place(listen))
        self.summary = Summary()
        self._plan = plan
        self._most_cuts = most_cuts
        self._on_event = on_event
        self._began = time.monotonic()
        self._claimed = 0
        self._down_until = 0.0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Pass connections on until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                client, _ = await loop.sock_accept(self._listener)
                if time.monotonic() < self._down_until:
                    _reset(client)
                    continue
                task = loop.create_task(self._serve(client))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            self._listener.close()
            if self.address.startswith("unix://"):
                os.unlink(parse(self.address).path)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.summary.seconds = time.monotonic() - self._began

    def cut(self, kind: Kind = Kind.FIN, *, down_s: float = 0.0) -> int:
        """Cut every connection now, and refuse new ones for a while; gives how many were cut."""
        self._down_until = time.monotonic() + down_s
        links = [link for link in self._links if not link.ordered.done()]
        for link in links:
            link.ordered.set_result(Cut(kind))
        return len(links)

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _serve(self, client: socket.socket) -> None:
        number = self.summary.connections
        self.summary.connections += 1
        agent: socket.socket | None = None
        try:
            client.setblocking(False)
            if client.family != socket.AF_UNIX:
                tcp.tune(client)
            agent = await self._connect()
            if agent is None:
                self.summary.refused += 1
                self._tell(number, "refused")
                return
            plan = CLEAN if self._plan is None else self._plan.connection(number)
            self.summary.delayed += plan.delay_s > 0
            self.summary.throttled += plan.rate_bytes_s > 0
            link = _Link(number, plan, client, agent)
            self._links.add(link)
            try:
                self._tell(number, "open")
                await self._pass_on(link)
            finally:
                self._links.discard(link)
        finally:
            client.close()
            if agent is not None:
                agent.close()

    async def _connect(self) -> socket.socket | None:
        loop = asyncio.get_running_loop()
        family: int = socket.AF_UNIX
        place: object = self._target.path
        if self._target.kind == "tls":
            family, place = tcp.resolve(self._target.host, self._target.port, timeout_s=CONNECT_S)[0]
        agent = socket.socket(family, socket.SOCK_STREAM)
        agent.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.sock_connect(agent, place)  # type: ignore[arg-type]
            if family != socket.AF_UNIX:
                tcp.tune(agent)
        except OSError:
            agent.close()
            return None
        except BaseException:
            agent.close()
            raise
        return agent

    async def _pass_on(self, link: _Link) -> None:
        """Both directions, until a cut is due, one is ordered, or an end closes."""
        pumps = {asyncio.ensure_future(self._pump(link, *ends)) for ends in (link.ends, link.ends[::-1])}
        waiting: set[asyncio.Future[Cut | None]] = {*pumps, link.ordered}  # type: ignore[arg-type]
        cut: Cut | None = None
        try:
            while cut is None and not all(pump.done() for pump in pumps):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                cut = next((each for future in done if (each := future.result()) is not None), None)
        except OSError:  # one end is gone by RST: so is the other
            self._ended(link)
            for end in link.ends:
                _linger_not(end)
            return
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            if link.claimed and (cut is None or cut is not link.plan.cut):
                self._claimed -= 1  # something else was faster
        if cut is None:
            self._ended(link)
        else:
            await self._carry_out(link, cut)

    async def _pump(self, link: _Link, source: socket.socket, sink: socket.socket) -> Cut | None:
        """One direction; the cut when it is due here, None at the end of the stream."""
        loop = asyncio.get_running_loop()
        plan, cut = link.plan, link.plan.cut
        due = NEVER if cut is None else cut.to_agent if source is link.client else cut.to_client
        while data := await loop.sock_recv(source, CHUNK_BYTES):
            over = len(data) >= due - link.passed[source] and self._claim(link)
            if over and cut is not None and cut.exact:
                data = data[: due - link.passed[source]]
            if plan.delay_s:
                await asyncio.sleep(plan.delay_s)
            await loop.sock_sendall(sink, data)
            link.passed[source] += len(data)
            if source is link.client:
                self.summary.to_agent += len(data)
            else:
                self.summary.to_client += len(data)
            if over:
                return cut
            if plan.rate_bytes_s:
                await asyncio.sleep(len(data) / plan.rate_bytes_s)
        with contextlib.suppress(OSError):  # it has left meanwhile
            sink.shutdown(socket.SHUT_WR)
        return None

    def _claim(self, link: _Link) -> bool:
        """Take the cut of this connection, if there are any left."""
        if link.claimed or (self._most_cuts is not None and self._claimed >= self._most_cuts):
            return False
        link.claimed = True
        self._claimed += 1
        return True

    async def _carry_out(self, link: _Link, cut: Cut) -> None:
        self._links.discard(link)
        self.summary.cuts[cut.kind] += 1
        self._tell(link.number, cut.kind, link)
        if cut.kind is Kind.SILENCE:
            if cut.silence_s is None:
                self.summary.endless_silences += 1
                await asyncio.gather(*map(_swallow, link.ends))
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(cut.silence_s):
                    await asyncio.gather(*map(_swallow, link.ends))
        if cut.kind in (Kind.FIN, Kind.TORN):
            for end in link.ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_WR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await asyncio.gather(*map(_swallow, link.ends))
            return
        for end in link.ends:
            _linger_not(end)

    # --- telling -----------------------------------------------------------------------------------------------------

    def _ended(self, link: _Link) -> None:
        self.summary.closed += 1
        self._tell(link.number, "closed", link)

    def _tell(self, number: int, what: str, link: _Link | None = None) -> None:
        passed = (0, 0) if link is None else tuple(link.passed.values())
        self._on_event(Event(time.monotonic() - self._began, number, what, *passed))


async def _swallow(end: socket.socket) -> None:
    """Take what comes and lose it, up to the end of the stream."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while await loop.sock_recv(end, CHUNK_BYTES):
            pass


def _linger_not(end: socket.socket) -> None:
    """Make its close an RST; a Unix socket has none, there it is the end of the stream."""
    if end.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # it is gone already
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _reset(end: socket.socket) -> None:
    _linger_not(end)
    end.close()


def _place(text: str) -> Address:
    address = parse(text)
    if address.kind not in ("tls", "unix"):
        raise ConnectFailed(f"{text!r}: write tls://HOST:PORT (any TCP) or unix:///PATH", layer="name")
    return address


def _listen(place: Address) -> tuple[socket.socket, str]:
    """A listening socket and its address, in which a port of 0 has become the real one."""
    try:
        if place.kind == "unix":
            listener, text = unix.bind_listener(place.path), place.text
        else:
            listener = tcp.bind_listener(place.host, place.port)
            text = f"tls://{tcp.format_peer(listener.getsockname())}"
    except OSError as exc:
        raise HoldfastError(f"cannot listen at {place.text}: {exc.strerror or exc}", ran="no") from exc
    listener.setblocking(False)
    return listener, text
