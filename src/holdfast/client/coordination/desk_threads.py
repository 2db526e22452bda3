"""Where blocking handles ask: one desk a connection, which keeps the lease of all that was got through it.

Rules:

* An operation is one request and its answer. Ctrl-C while it waits withdraws it: nothing is held by somebody who does
  not know.
* A thread of the desk renews the lease while anything is open. It is a daemon, and ends when there is nothing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakKeyDictionary

from holdfast.client import calls
from holdfast.client.coordination import asks
from holdfast.client.coordination.asks import Ask
from holdfast.client.coordination.desk import LOCK_BACK_S, SLACK_S, DeskBase, now_s
from holdfast.client.coordination.exchange import AskExchange
from holdfast.client.coordination.ledger import fresh_owner
from holdfast.errors import ClosedError, DeadlineExceeded, HoldfastError, LeaseLost, NotFound
from holdfast.wire.messages import ObjectAsked

if TYPE_CHECKING:
    from holdfast.client.drive_threads import Connection

T = TypeVar("T")

_desks: Final[WeakKeyDictionary[Connection, Desk]] = WeakKeyDictionary()
_making: Final = threading.Lock()
_thread: Final = threading.local()


def desk_of(connection: Connection) -> Desk:
    """The desk of a connection."""
    desk = _desks.get(connection)
    if desk is None:
        with _making:
            desk = _desks.setdefault(connection, Desk(connection))
    return desk


def owner() -> int:
    """The number of this thread (or greenlet)."""
    number: int | None = getattr(_thread, "owner", None)
    if number is None:
        number = _thread.owner = fresh_owner()
    return number


def label() -> str:
    """The name that this thread had when it first asked, for people.

    Not by ``current_thread``, which would leave an object behind for each thread that ``threading`` has not started.
    """
    name: str | None = getattr(_thread, "label", None)
    if name is None:
        own = threading.get_ident()
        names = (thread.name for thread in threading.enumerate() if thread.ident == own)
        name = _thread.label = next(names, f"thread {own}")
    return name


class Desk(DeskBase["Connection"]):
    """See above."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._keeper: threading.Thread | None = None

    def use(self, name: str, what: ObjectAsked) -> None:
        """Have an object open."""
        if self.ledger.opened.get(name) != what:
            self.ask(asks.open_object(name, what))
            self.ledger.opened[name] = what
            self._keep()

    def ask_about(self, name: str, what: ObjectAsked, ask: Ask[T]) -> T:
        """Ask something about an object; one that was forgotten meanwhile is made anew."""
        self.use(name, what)
        try:
            return self.ask(ask)
        except NotFound:
            self.ledger.opened.pop(name, None)
            self.use(name, what)
            return self.ask(ask)

    def ask(self, ask: Ask[T]) -> T:
        """One request and its answer."""
        return self.ask_numbered(ask)[1]

    def ask_numbered(self, ask: Ask[T]) -> tuple[int, T]:
        """One request: its number and its answer."""
        ledger, connection = self.ledger, self.connection
        asked_at = now_s()
        request = ledger.numbered(ask)
        exchange = AskExchange(ask, request)
        with self._mutex:
            ledger.waiting += 1
        try:
            connection.submit(exchange)
            limit = None if ask.timeout_s is None else min(ask.timeout_s + SLACK_S, threading.TIMEOUT_MAX)
            header, body = connection.wait(exchange, exchange.poll_answer, limit if ask.timeout_s else None)
        except DeadlineExceeded:
            self._give_up(exchange)
            if ask.late is None:
                raise
            return request.number, ask.late()
        except BaseException as error:
            if isinstance(error, HoldfastError) and exchange.settled:
                ledger.saw(request.number, asked_at=asked_at)
                if isinstance(error, LeaseLost):
                    self._lost(ledger.lose())
            elif not ask.binding:
                self._give_up(exchange)
            else:
                self._let_go(exchange)
            raise
        finally:
            with self._mutex:
                ledger.waiting -= 1
            while ledger.dropped:
                self._drop_next()
        ledger.saw(request.number, asked_at=asked_at)
        return request.number, ask.read(header, body)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _let_go(self, exchange: AskExchange[T]) -> None:
        """End the wait for a condition; its lock has to be held again before anybody goes on."""
        self._send(asks.withdraw(exchange.request.number))
        try:
            self.connection.wait(exchange, exchange.poll_answer, LOCK_BACK_S)
        except HoldfastError:
            self._give_up(exchange)

    def _keep(self) -> None:
        with self._mutex:
            if self._keeper is None:
                name = f"holdfast lease {self.connection.address}"
                self._keeper = threading.Thread(target=self._keep_lease, name=name, daemon=True)
                self._keeper.start()

    def _keep_lease(self) -> None:
        ledger, closing = self.ledger, self.connection.closing
        while True:
            closing.wait(max(0.01, min(ledger.renew_in_s(now_s()), ledger.ttl_s)))
            with self._mutex:
                if not ledger.is_needed or closing.is_set():
                    self._keeper = None
                    break
            if ledger.renew_in_s(now_s()):
                continue
            asked_at = now_s()
            try:
                answer = self.connection.call(calls.renew(ledger.ttl_s), max(0.1, min(ledger.over_in_s(asked_at), 5.0)))
            except ClosedError:
                continue  # ``closing`` says so, too
            except HoldfastError:
                self._lost(ledger.check(now_s()))
                if not ledger.over_in_s(now_s()):
                    closing.wait(ledger.ttl_s / 10)
                continue
            ledger.heard(asked_at=asked_at)
            if not answer.known:
                self._lost(ledger.lose())
        if closing.is_set():
            self._lost(ledger.lose())
