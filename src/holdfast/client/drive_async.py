"""The asyncio driver: one protocol object per connection, on whatever loop runs (asyncio's own or uvloop).

Rules:

* Everything happens on the loop's thread, so nothing is locked. ``close`` may be called twice.
* The transport's buffer is kept small: the session is asked for more only when the transport wants more.
* TCP and TLS happen in the loop. TLS is a pair of buffers (``TlsPipe``) and not the loop's own: the same code for both
  drivers and all loops, and faster: 1.5 GiB/s against 1.0 on asyncio's loop, the same on uvloop's (one core, loopback).
* Starting a private agent, asking a name server and ending an ssh block, so those alone go to a thread.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

from holdfast.client.calls import Call, shutdown
from holdfast.client.connector import ADDRESS_GONE, AGAIN_MOST_S, AGAIN_S, Connector, Dialled, NotWelcomed
from holdfast.client.exchange import CallExchange, Exchange
from holdfast.client.identity import SOFTWARE, fresh_key, instance_id, watch_forks
from holdfast.client.session import LinkChange, Phase, Session
from holdfast.errors import ClosedError, ConnectFailed, DeadlineExceeded, HoldfastError, Refused
from holdfast.wire.messages import Welcome

if TYPE_CHECKING:
    from holdfast.client.feed import JobFeed
    from holdfast.transport.netwatch import NetWatch
    from holdfast.transport.tls import TlsPipe

T = TypeVar("T")

READ_BYTES: Final = 1 << 18
STOP_S: Final = 1.0
"""How long ``close`` waits for the ids of abandoned runs, to stop them by."""


class Connection:
    """A connection that comes back. Made by ``open``; belongs to the loop that it was opened on.

    Attributes:
        closing: Set when it is closed for good.
    """

    def __init__(
        self, connector: Connector, session: Session, on_link_event: Callable[[LinkChange], None] | None
    ) -> None:
        self.address = connector.address
        self.is_local = connector.is_local
        self._connector = connector
        self._session = session
        self._on_link_event = on_link_event
        self._loop = asyncio.get_running_loop()
        self._opened = Exchange()
        self._transport: asyncio.Transport | None = None
        self._protocol: _Protocol | None = None
        self._network: NetWatch | None = None
        self._ending: set[asyncio.Future[None]] = set()
        self._writable = True
        self._closed = False
        self._close_reason = ""
        self.closing = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._abandoned: set[JobFeed] = set()
        self._buffer = bytearray(READ_BYTES)
        self._plain: memoryview | None = None
        watch_forks(self)

    @classmethod
    async def open(
        cls,
        address: str,
        timeout: float,
        state_dir: str | None,
        start: bool,
        reconnect_s: float | None,
        on_link_event: Callable[[LinkChange], None] | None,
    ) -> Connection:
        """A connection that is welcomed; see ``aio.connect``."""
        connector = Connector.of(address, state_dir, start=start, timeout_s=timeout)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        again_s = AGAIN_S
        while True:
            try:
                connection = await cls._opened_by(connector, deadline, reconnect_s, on_link_event)
                break
            except ConnectFailed as error:
                if not connector.worth_another_try(error) or loop.time() + again_s > deadline:
                    raise
                await asyncio.sleep(again_s)
                again_s = min(2 * again_s, AGAIN_MOST_S)
        if connector.replaces(connection.welcome):
            await connection.call(shutdown(jobs=False), timeout)
            await connection.close()
            connection = await cls._opened_by(connector, loop.time() + timeout, reconnect_s, on_link_event)
        return connection

    @classmethod
    async def _opened_by(
        cls,
        connector: Connector,
        deadline: float,
        reconnect_s: float | None,
        on_link_event: Callable[[LinkChange], None] | None,
    ) -> Connection:
        session = Session(
            instance=instance_id(),
            software=SOFTWARE,
            random=random.random,
            connect_s=connector.timeout_s,
            reconnect_s=reconnect_s,
            greeting_s=connector.greeting_s,
        )
        connection = cls(connector, session, on_link_event)
        try:
            await connection._open(deadline)
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def socket_path(self) -> str:
        """The agent's socket, where it has one on this machine; else empty."""
        return self._connector.path

    @property
    def is_closed(self) -> bool:
        """Whether it was closed for good."""
        return self._closed

    @property
    def welcome(self) -> Welcome:
        """What the agent said of itself at the last greeting."""
        welcome = self._session.welcome
        assert welcome is not None, "open() has waited for it"
        return welcome

    @staticmethod
    def fresh_key() -> str:
        """A start key that nobody else has."""
        return fresh_key()

    # --- callers -----------------------------------------------------------------------------------------------------

    async def call(self, call: Call[T], timeout: float | None = None) -> T:
        """The answer to one call.

        Raises:
            DeadlineExceeded: it did not come within ``timeout`` seconds.
        """
        exchange = CallExchange(call)
        self.submit(exchange)
        try:
            return await self.wait(exchange, exchange.poll, timeout)
        except BaseException:
            self.drop(exchange)
            raise

    def submit(self, exchange: Exchange) -> None:
        """Ask an exchange now, or as soon as there is a connection; one that is known is left as it is."""
        self._check_open(exchange)
        self._session.submit(exchange, now=self._loop.time())
        self._flush()

    async def wait(self, exchange: Exchange, poll: Callable[[], T | None], timeout: float | None = None) -> T:
        """The first answer of ``poll`` that is not None; it is asked whenever the exchange has moved.

        Raises:
            DeadlineExceeded: none came within ``timeout`` seconds.
        """
        deadline = None if timeout is None else self._loop.time() + timeout
        while (value := poll()) is None:
            self._check_open(exchange)
            moved: asyncio.Future[None] = self._loop.create_future()

            def wake(moved: asyncio.Future[None] = moved) -> None:
                if not moved.done():
                    moved.set_result(None)

            exchange.add_waiter(wake)
            try:
                if deadline is None:
                    await moved
                else:
                    async with asyncio.timeout_at(deadline):
                        await moved
            except TimeoutError:
                raise DeadlineExceeded(f"no answer within {timeout:g} s; what was asked for goes on") from None
            finally:
                exchange.remove_waiter(wake)
        self._flush()
        return value

    def drop(self, exchange: Exchange) -> None:
        """Nobody waits for this any more."""
        if not self._closed and not exchange.settled:
            self._session.drop(exchange)
            self._flush()

    def release(self, feed: JobFeed | None) -> None:
        """Nobody takes the output of this feed any more."""
        if feed is not None and not self._closed and not feed.settled:
            self._session.release(feed)
            self._flush()

    def detach(self, feed: JobFeed | None) -> None:
        """This client is no longer attached to the job of a run."""
        if feed is not None:
            self.drop(feed)

    def abandon(self, feed: JobFeed) -> None:
        """Stop the job of a run that nobody waits for, now or as soon as its id has come."""
        if not self._closed:
            if self._session.abandon(feed):
                self._abandoned.add(feed)
            self._flush()

    def change(self, exchange: Exchange, change: Callable[[], None]) -> None:
        """Do something to an exchange that gives it something to send."""
        self.submit(exchange)
        change()
        self._flush()

    def enter(self, act: Callable[[Session], bool]) -> None:
        """Do something to exchanges, with the session at hand; what it gives tells whether to send now.

        Raises:
            ClosedError: closed before; nothing was done.
        """
        if self._closed:
            raise ClosedError(self._close_reason)
        if act(self._session.at(self._loop.time())):
            self._flush()
        elif self._session.phase is Phase.DOWN:
            self._arm()

    def later(self, act: Callable[[], None]) -> None:
        """Do something in the loop's next round. It must neither wait nor raise."""
        self._loop.call_soon(act)

    async def close(self) -> None:
        """Close for good. Calls in other tasks raise ``ClosedError``."""
        if self._closed:
            return
        if self._session.phase is Phase.OPEN:
            for feed in [feed for feed in self._abandoned if not feed.settled]:
                try:
                    await self.wait(feed, feed.poll_collected, STOP_S)
                except HoldfastError:
                    pass
        self._closed = True
        self.closing.set()
        self._close_reason = self._close_reason or "this connection was closed"
        last = self._session.close(self._close_reason, now=self._loop.time())
        self._opened.fail(ClosedError(self._close_reason))
        if self._timer is not None:
            self._timer.cancel()
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._network is not None:
            self._loop.remove_reader(self._network.fileno())
            self._network.close()
            self._network = None
        if self._transport is not None and self._protocol is not None:
            transport, self._transport = self._transport, None
            transport.write(self._sealed(last))
            transport.close()
            await asyncio.sleep(0)  # the transport closes its socket in the next round of the loop
            if self._protocol.dialled.close is not None:
                await asyncio.wait([self._protocol.gone], timeout=STOP_S)
                transport.abort()
        while self._ending:
            await asyncio.wait(self._ending)

    def forked(self) -> None:
        """We are the child of a fork: the socket and the loop are the parent's."""
        self._closed = True
        self._close_reason = "this connection belongs to the process before the fork; connect again"
        self._session.phase = Phase.CLOSED
        self._transport = None
        self._network = None

    # --- opening -----------------------------------------------------------------------------------------------------

    async def _open(self, deadline: float) -> None:
        self._session.open(now=self._loop.time())
        await self._connect_once(deadline)
        self._watch_network()
        try:
            await self.wait(self._opened, self._poll_open, max(0.0, deadline - self._loop.time()))
        except DeadlineExceeded:
            dialled = self._protocol.dialled if self._protocol is not None else None
            if dialled is not None and dialled.failure is not None:
                raise await asyncio.to_thread(dialled.failure) from None
            raise ConnectFailed(f"{self.address}: the agent does not answer", layer="welcome") from None

    def _poll_open(self) -> Welcome | None:
        if self._opened.error is not None:
            raise self._opened.error
        return self._session.welcome

    async def _connect_once(self, deadline: float) -> None:
        if self._connector.where.kind == "tls":
            await self._connect_secure(deadline)
            return
        sock = self._connector.connect_nowait()
        dialled = Dialled(sock) if sock is not None else await self._connect_in_thread(deadline)
        dialled.sock.setblocking(False)
        try:
            await self._loop.create_unix_connection(lambda: _Protocol(self, dialled), sock=dialled.sock)
        except BaseException:
            dialled.sock.close()
            if dialled.close is not None:
                dialled.close()
            raise

    async def _connect_secure(self, deadline: float) -> None:
        """TCP and TLS, without a thread."""
        from holdfast.client import dial_async

        security, where = self._connector.security, self._connector.where
        assert security is not None, "the connector has looked it up"
        shaking = dial_async.Handshake(security.pipe(), lambda dialled: _Protocol(self, dialled))
        try:
            await dial_async.connect(where, deadline, shaking)
            await shaking.done(where, deadline)
        except HoldfastError as error:
            shaking.abort(error)
            raise security.told(error) from error.__cause__
        except BaseException:
            shaking.abort()
            raise

    async def _connect_in_thread(self, deadline: float) -> Dialled:
        """Connect with waiting; if this task is cancelled, what the thread brings is closed when it comes."""
        left_s = max(0.0, deadline - self._loop.time())
        connect = partial(self._connector.connect, lambda: self._closed, timeout_s=left_s)
        work = self._loop.run_in_executor(None, connect)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_close_result)
            raise

    async def _connect(self) -> None:
        try:
            await self._connect_once(self._loop.time() + self._connector.timeout_s)
        except HoldfastError as error:
            self._session.connect_failed(error, now=self._loop.time())
        except OSError as exc:
            self._session.connect_failed(ConnectFailed(str(exc)), now=self._loop.time())
        self._connecting = None
        self._after_input()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _check_open(self, exchange: Exchange) -> None:
        if self._closed and not exchange.settled:
            raise exchange.closed_error(self._close_reason)

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            if self._session.phase is Phase.DOWN:
                self._arm()
            return
        while self._writable and (data := self._session.data_to_send()):
            transport.write(self._sealed(data))
            self._session.sent(now=self._loop.time())

    def _sealed(self, data: bytes) -> bytes:
        """What is to be written so that the agent reads ``data``."""
        tls = self._protocol.dialled.tls if self._protocol is not None else None
        if tls is None:
            return data
        try:
            if data:
                tls.write(data)
        except HoldfastError:
            return b""  # the reading side learns of it and says so
        return tls.outgoing()

    def _watch_network(self) -> None:
        self._network = self._connector.watch_network()
        if self._network is not None:
            self._loop.add_reader(self._network.fileno(), self._look_at, self._network)

    def _look_at(self, network: NetWatch) -> None:
        from holdfast.transport.netwatch import is_ours

        if network.changed() and not self._closed:
            if self._transport is not None and not is_ours(self._transport.get_extra_info("sockname")):
                self._session.disconnected(ADDRESS_GONE, now=self._loop.time())
            self._session.network_changed(now=self._loop.time())
            self._after_input()

    def _after_input(self) -> None:
        if self._closed:
            return
        if not self._session.transport_wanted and self._transport is not None:
            transport, self._transport = self._transport, None
            transport.close()
        if not self._session.transport_wanted and self._session.welcome is None:
            refusal = self._session.refusal or NotWelcomed("the agent closed the connection before its welcome")
            self._opened.fail(refusal)
        self._flush()
        if self._session.phase is not Phase.OPEN or self._timer is None:
            self._arm()
        if self._session.phase is Phase.OPEN:
            self._opened.moved()
        while self._session.changes:
            change = self._session.changes.popleft()
            if self._on_link_event is not None:
                self._on_link_event(change)

    def _arm(self) -> None:
        """Sleep until the session's deadline; one that has moved on is noticed when the timer fires."""
        deadline = self._session.next_deadline()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline is None or self._closed else self._loop.call_at(deadline, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._session.wants_connection(now=now):
            if self._connecting is None:
                self._connecting = self._loop.create_task(self._connect(), name=f"holdfast {self.address}")
            return
        self._session.handle_timeout(now=now)
        self._after_input()
        if self._timer is None and not self._closed:
            self._arm()

    # --- what the transport tells (see ``_Protocol``) ----------------------------------------------------------------

    def connected(self, transport: asyncio.Transport, protocol: _Protocol) -> None:
        """A transport is up, its handshake done."""
        if self._closed:
            transport.abort()
            return
        self._transport = transport
        self._protocol = protocol
        self._writable = True
        self._session.connected(now=self._loop.time())
        self._arm()
        self._flush()

    def received(self, transport: asyncio.Transport, size: int) -> None:
        """Bytes lie in the buffer."""
        if transport is self._transport and self._protocol is not None:
            data = memoryview(self._buffer)[:size]
            tls = self._protocol.dialled.tls
            if tls is None:
                self._session.receive_data(data, now=self._loop.time())
            else:
                self._open_sealed(tls, data)
            self._after_input()

    def _open_sealed(self, tls: TlsPipe, data: memoryview) -> None:
        """Give the session what this ciphertext holds."""
        if self._plain is None:
            self._plain = memoryview(bytearray(READ_BYTES))
        now = self._loop.time()
        try:
            tls.feed(data)
            while size := tls.read_into(self._plain):
                self._session.receive_data(self._plain[:size], now=now)
            if tls.ended:
                self._session.receive_data(b"", now=now)
        except Refused as error:
            self._session.refused(self._connector.told(error), now=now)
        except HoldfastError as error:
            self._session.disconnected(str(error), now=now)

    def lost(self, transport: asyncio.Transport, protocol: _Protocol, error: Exception | None) -> None:
        """The transport has ended."""
        dialled = protocol.dialled
        if transport is self._transport and dialled.failure is not None:
            self._later(self._end(transport, dialled))
            return
        if transport is self._transport:
            self._transport = None
            if error is None:
                self._session.receive_data(b"", now=self._loop.time())
            else:
                self._session.disconnected(str(error), now=self._loop.time())
            self._after_input()
        if dialled.close is not None:
            self._later(asyncio.to_thread(dialled.close))

    async def _end(self, transport: asyncio.Transport, dialled: Dialled) -> None:
        """Let whoever has carried the connection say why it ended, and end that, too."""
        assert dialled.failure is not None
        failure = await asyncio.to_thread(dialled.failure)
        if transport is self._transport:
            self._transport = None
            if self._session.phase is Phase.GREETING:
                self._opened.fail(failure)
            self._session.disconnected(str(failure), now=self._loop.time())
            self._after_input()
        if dialled.close is not None:
            await asyncio.to_thread(dialled.close)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work, name=f"holdfast {self.address}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def writing(self, transport: asyncio.Transport, *, paused: bool) -> None:
        """The transport's buffer is full, or has room again."""
        if transport is self._transport:
            self._writable = not paused
            self._flush()

    @property
    def buffer(self) -> bytearray:
        """Where the transport reads to."""
        return self._buffer


class _Protocol(asyncio.BufferedProtocol):
    """One transport's calls, with the transport named: late calls of an earlier one must not count for this one."""

    def __init__(self, connection: Connection, dialled: Dialled) -> None:
        self._connection = connection
        self._transport: asyncio.Transport
        self.dialled = dialled
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of that class, but of its shape
        self._connection.connected(self._transport, self)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._connection.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.received(self._transport, nbytes)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
        self._connection.lost(self._transport, self, exc)

    def pause_writing(self) -> None:
        self._connection.writing(self._transport, paused=True)

    def resume_writing(self) -> None:
        self._connection.writing(self._transport, paused=False)


def _close_result(work: asyncio.Future[Dialled]) -> None:
    if not work.cancelled() and work.exception() is None:
        dialled = work.result()
        dialled.sock.close()
        if dialled.close is not None:
            dialled.close()
