"""The blocking driver: one daemon thread per connection reads and keeps time; callers write by themselves.

Rules:

* ``_lock`` guards the session and the unsent bytes. It is never held while anything waits: the socket does not block.
* A caller sends its own request, so a call costs one thread switch (the answer's) and not two.
* TLS is a pair of buffers around the same socket (``TlsPipe``). It must not be used by two threads at once, so it is
  sealed and opened under ``_lock``, too: that takes processor time, but never waits.
* Who waits holds a lock of its own that the session's thread releases: the cheapest thing to wait on, interruptible
  by signals, and known to gevent.
* ``close`` is safe from every thread, at any time, any number of times; whoever waits then is told.
"""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

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

READ_BYTES: Final = 1 << 20
TLS_BYTES: Final = 1 << 18
"""Read and decrypted at once: with more, the bytes have left the processor's cache before they are parsed."""
CLOSE_S: Final = 2.0
"""How long ``close`` waits for the thread to end; it is a daemon, so nothing hangs on it."""
STOP_S: Final = 1.0
"""How long an abandoned run waits for its id, to be stopped by it."""


class Connection:
    """A connection that comes back. Made by ``open``.

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
        self._lock = threading.Lock()
        self._opened = Exchange()
        self._sock: socket.socket | None = None
        self._tls: TlsPipe | None = None
        self._dialled: Dialled | None = None
        self._unsent = memoryview(b"")
        self._plain: memoryview | None = None
        self._later: deque[Callable[[], None]] = deque()
        self._closed = False
        self._close_reason = ""
        self.closing = threading.Event()
        self._wake_receive, self._wake_send = socket.socketpair()
        for end in (self._wake_receive, self._wake_send):
            end.setblocking(False)
        self._thread = threading.Thread(target=self._pump, name=f"holdfast {self.address}", daemon=True)
        watch_forks(self)

    @classmethod
    def open(
        cls,
        address: str,
        timeout: float,
        state_dir: str | None,
        start: bool,
        reconnect_s: float | None,
        on_link_event: Callable[[LinkChange], None] | None,
    ) -> Connection:
        """A connection that is welcomed; see ``sync.connect``."""
        connector = Connector.of(address, state_dir, start=start, timeout_s=timeout)
        deadline = time.monotonic() + timeout
        again_s = AGAIN_S
        while True:
            try:
                connection = cls._opened_by(connector, deadline, reconnect_s, on_link_event)
                break
            except ConnectFailed as error:
                if not connector.worth_another_try(error) or time.monotonic() + again_s > deadline:
                    raise
                time.sleep(again_s)
                again_s = min(2 * again_s, AGAIN_MOST_S)
        if connector.replaces(connection.welcome):
            connection.call(shutdown(jobs=False), timeout)
            connection.close()
            connection = cls._opened_by(connector, time.monotonic() + timeout, reconnect_s, on_link_event)
        return connection

    @classmethod
    def _opened_by(
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
            connection._open(deadline)
        except BaseException:
            connection.close()
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

    def call(self, call: Call[T], timeout: float | None = None) -> T:
        """The answer to one call.

        Raises:
            DeadlineExceeded: it did not come within ``timeout`` seconds.
        """
        exchange = CallExchange(call)
        self.submit(exchange)
        try:
            return self.wait(exchange, exchange.poll, timeout)
        except BaseException:
            self.drop(exchange)
            raise

    def submit(self, exchange: Exchange) -> None:
        """Ask an exchange now, or as soon as there is a connection; one that is known is left as it is."""
        with self._lock:
            self._check_open(exchange)
            self._session.submit(exchange, now=time.monotonic())
            self._flush()
            idle = self._sock is None
        if idle:
            self._wake()

    def wait(self, exchange: Exchange, poll: Callable[[], T | None], timeout: float | None = None) -> T:
        """The first answer of ``poll`` that is not None; it is asked whenever the exchange has moved.

        Raises:
            DeadlineExceeded: none came within ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        waiter = None
        while True:
            with self._lock:
                value = poll()
                if value is not None:
                    self._flush()
                    return value
                self._check_open(exchange)
                if waiter is None:
                    waiter = threading.Lock()
                    waiter.acquire()
                exchange.add_waiter(waiter.release)
            left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                woken = waiter.acquire(timeout=left)
            except BaseException:
                with self._lock:
                    exchange.remove_waiter(waiter.release)
                raise
            if not woken:
                with self._lock:
                    exchange.remove_waiter(waiter.release)
                    if (value := poll()) is not None:
                        self._flush()
                        return value
                raise DeadlineExceeded(f"no answer within {timeout:g} s; what was asked for goes on")

    def drop(self, exchange: Exchange) -> None:
        """Nobody waits for this any more."""
        with self._lock:
            if not self._closed and not exchange.settled:
                self._session.drop(exchange)
                self._flush()

    def release(self, feed: JobFeed | None) -> None:
        """Nobody takes the output of this feed any more."""
        with self._lock:
            if feed is not None and not self._closed and not feed.settled:
                self._session.release(feed)
                self._flush()

    def detach(self, feed: JobFeed | None) -> None:
        """This client is no longer attached to the job of a run."""
        if feed is not None:
            self.drop(feed)

    def abandon(self, feed: JobFeed) -> None:
        """Stop the job of a run that nobody waits for; its id is waited for, ``STOP_S`` at most."""
        with self._lock:
            if self._closed:
                return
            pending = self._session.abandon(feed)
            self._flush()
        if pending:
            try:
                self.wait(feed, feed.poll_collected, STOP_S)
            except HoldfastError:
                pass
            self.drop(feed)

    def change(self, exchange: Exchange, change: Callable[[], None]) -> None:
        """Do something to an exchange that gives it something to send."""
        self.submit(exchange)
        with self._lock:
            self._check_open(exchange)
            change()
            self._flush()

    def enter(self, act: Callable[[Session], bool]) -> None:
        """Do something to exchanges, with the session at hand; what it gives tells whether to send now.

        Raises:
            ClosedError: closed before; nothing was done.
        """
        with self._lock:
            if self._closed:
                raise ClosedError(self._close_reason)
            if act(self._session.at(time.monotonic())):
                self._flush()
            idle = self._sock is None
        if idle:
            self._wake()

    def later(self, act: Callable[[], None]) -> None:
        """Do something in the connection's thread, soon, without the lock. It must neither wait nor raise."""
        self._later.append(act)
        if threading.current_thread() is not self._thread:
            self._wake()

    def close(self) -> None:
        """Close for good. Calls in other threads raise ``ClosedError``."""
        self.closing.set()
        with self._lock:
            already, self._closed = self._closed, True
            if not already:
                self._close_reason = self._close_reason or "this connection was closed"
                last = self._session.close(self._close_reason, now=time.monotonic())
                self._opened.fail(ClosedError(self._close_reason))
                self._say_last(last)
        self._wake()
        thread = self._thread
        if thread.is_alive() and thread is not threading.current_thread():
            thread.join(CLOSE_S)
        elif not already and thread.ident is None:
            self._release_sockets()

    def forked(self) -> None:
        """We are the child of a fork: the socket is the parent's, and the thread is not here."""
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.closing.set()
        self._later.clear()
        self._closed = True
        self._close_reason = "this connection belongs to the process before the fork; connect again"
        self._session.phase = Phase.CLOSED
        self._thread = threading.Thread()
        self._tls = None
        if self._dialled is not None:
            self._dialled = Dialled(self._dialled.sock)  # an ssh is the parent's to end
        self._release_sockets()

    # --- inside, with the lock held ----------------------------------------------------------------------------------

    def _check_open(self, exchange: Exchange) -> None:
        if self._closed and not exchange.settled:
            raise exchange.closed_error(self._close_reason)

    def _flush(self) -> None:
        """Send what the socket takes; the rest goes when it is writable again."""
        sock = self._sock
        if sock is None:
            return
        while True:
            if not self._unsent:
                data = self._session.data_to_send()
                if self._tls is not None:
                    data = self._sealed(self._tls, data)
                if not data:
                    return
                self._unsent = memoryview(data)
            try:
                sent = sock.send(self._unsent)
            except BlockingIOError:
                self._wake()
                return
            except OSError:
                return  # the reading side learns of it and says so
            self._unsent = self._unsent[sent:]
            self._session.sent(now=time.monotonic())

    def _sealed(self, tls: TlsPipe, data: bytes) -> bytes:
        """Ciphertext to send, and whatever the handshake still has to say."""
        try:
            if data:
                tls.write(data)
        except HoldfastError:
            return b""  # the reading side learns of it and says so
        return tls.outgoing()

    def _say_last(self, last: bytes) -> None:
        if self._sock is not None and last:
            try:
                if self._tls is not None:
                    last = self._sealed(self._tls, last)
                self._sock.send(bytes(self._unsent) + last)
            except OSError:
                pass  # the agent notices the end of the connection all the same

    # --- opening -----------------------------------------------------------------------------------------------------

    def _open(self, deadline: float) -> None:
        self._session.open(now=time.monotonic())
        left_s = max(0.0, deadline - time.monotonic())
        self._adopt(self._connector.connect(lambda: self._closed, wake=self._wake_receive, timeout_s=left_s))
        self._thread.start()
        try:
            self.wait(self._opened, self._poll_open, max(0.0, deadline - time.monotonic()))
        except DeadlineExceeded:
            dialled = self._dialled
            if dialled is not None and dialled.failure is not None:
                raise dialled.failure() from None
            raise ConnectFailed(f"{self.address}: the agent does not answer", layer="welcome") from None

    def _poll_open(self) -> Welcome | None:
        if self._opened.error is not None:
            raise self._opened.error
        return self._session.welcome

    def _adopt(self, dialled: Dialled) -> None:
        dialled.sock.setblocking(False)
        with self._lock:
            if self._closed:
                self._dispose(dialled)
                return
            self._dialled = dialled
            self._sock = dialled.sock
            self._tls = dialled.tls
            self._unsent = memoryview(b"")
            self._session.connected(now=time.monotonic())
            self._flush()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        try:
            self._turns()
        except BaseException as error:  # whoever waits must be told, and not wait for ever
            with self._lock:
                self._closed = True
                self._close_reason = f"a mistake of this client: {type(error).__name__}: {error}"
                self._session.close(self._close_reason, now=time.monotonic())
                self._opened.fail(ClosedError(self._close_reason))
                dialled, self._sock = self._dialled, None
            while self._later:
                self._tell()
            if dialled is not None:
                self._dispose(dialled)
            self._release_sockets()
            raise

    def _turns(self) -> None:
        buffer = bytearray(READ_BYTES if self._tls is None else TLS_BYTES)
        watched: Dialled | None = None
        network = self._connector.watch_network()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_receive, selectors.EVENT_READ)
            if network is not None:
                selector.register(network, selectors.EVENT_READ)
            interest = 0
            while not self._closed:
                self._tell()
                with self._lock:
                    dialled = self._dialled if self._sock is not None else None
                    deadline = self._session.next_deadline()
                    connecting = dialled is None and self._session.wants_connection(now=time.monotonic())
                    wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
                if dialled is not watched:
                    if watched is not None:
                        selector.unregister(watched.sock)
                        self._dispose(watched)
                    if dialled is not None:
                        selector.register(dialled.sock, wanted)
                    watched, interest = dialled, wanted
                if connecting:
                    self._connect()
                    continue
                if dialled is not None and wanted != interest:
                    selector.modify(dialled.sock, wanted)
                    interest = wanted
                left_s = 0.0 if self._later else None if deadline is None else max(0.0, deadline - time.monotonic())
                for key, mask in selector.select(left_s):
                    if key.fileobj is self._wake_receive:
                        self._drain_wakes()
                    elif key.fileobj is network:
                        self._look_at(network)
                    elif mask & selectors.EVENT_READ:
                        self._read(buffer)
                    else:
                        with self._lock:
                            self._flush()
                if deadline is not None and time.monotonic() >= deadline:
                    with self._lock:
                        self._session.handle_timeout(now=time.monotonic())
                        self._after_input()
        while self._later:
            self._tell()
        if network is not None:
            network.close()
        if watched is not None:
            self._dispose(watched)
        self._release_sockets()

    def _look_at(self, network: NetWatch) -> None:
        from holdfast.transport.netwatch import is_ours

        if network.changed():
            with self._lock:
                if self._sock is not None and not is_ours(self._sock.getsockname()):
                    self._session.disconnected(ADDRESS_GONE, now=time.monotonic())
                self._session.network_changed(now=time.monotonic())
                self._after_input()

    def _connect(self) -> None:
        try:
            self._adopt(self._connector.connect(lambda: self._closed, wake=self._wake_receive))
        except HoldfastError as error:
            with self._lock:
                self._session.connect_failed(error, now=time.monotonic())

    def _read(self, buffer: bytearray) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            size = sock.recv_into(buffer)
        except BlockingIOError:
            return
        except OSError as exc:
            self._ended(exc.strerror or str(exc))
            return
        if not size and self._dialled is not None and self._dialled.failure is not None:
            self._ended("")
            return
        with self._lock:
            data = memoryview(buffer)[:size] if size else b""
            if self._tls is None or not size:
                self._session.receive_data(data, now=time.monotonic())
            else:
                self._open_sealed(self._tls, data)
            self._after_input()

    def _open_sealed(self, tls: TlsPipe, data: memoryview | bytes) -> None:
        """Give the session what this ciphertext holds."""
        if self._plain is None:
            self._plain = memoryview(bytearray(TLS_BYTES))
        now = time.monotonic()
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

    def _ended(self, reason: str) -> None:
        """The connection is gone; whoever has carried it may know why."""
        dialled = self._dialled
        failure = dialled.failure() if dialled is not None and dialled.failure is not None else None
        with self._lock:
            if failure is not None and self._session.phase is Phase.GREETING:
                self._opened.fail(failure)
            self._session.disconnected(str(failure or reason), now=time.monotonic())
            self._after_input()

    def _after_input(self) -> None:
        if self._session.transport_wanted:
            self._flush()
        else:
            if self._session.welcome is None and not self._closed:
                refusal = self._session.refusal or NotWelcomed("the agent closed the connection before its welcome")
                self._opened.fail(refusal)
            self._flush()
            self._sock = None  # the loop closes it
            self._tls = None
            self._unsent = memoryview(b"")
        if self._session.phase is Phase.OPEN:
            self._opened.moved()

    def _tell(self) -> None:
        changes = self._session.changes
        while changes:
            change = changes.popleft()
            if self._on_link_event is not None:
                self._on_link_event(change)
        for _ in range(len(self._later)):  # and not what comes meanwhile: the socket is to be read, too
            self._later.popleft()()

    def _wake(self) -> None:
        try:
            self._wake_send.send(b"\0")
        except OSError:
            pass  # full: it is awake already; closed: nobody to wake

    def _drain_wakes(self) -> None:
        try:
            self._wake_receive.recv(4096)
        except OSError:
            pass

    def _release_sockets(self) -> None:
        if self._dialled is not None:
            self._dispose(self._dialled)
        self._wake_receive.close()
        self._wake_send.close()

    def _dispose(self, dialled: Dialled) -> None:
        """Close a connection, and end what belongs to it."""
        if self._dialled is dialled:
            self._dialled = None
        dialled.sock.close()
        if dialled.close is not None:
            dialled.close()
