"""Where the handles of asyncio ask: one desk a connection, which keeps the lease of all that was got through it.

Rules:

* An operation is one request and its answer. Cancelling it withdraws it: nothing is held by a task that does not know.
* A task of the desk renews the lease while anything is open.
"""

from __future__ import annotations

import asyncio
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
    from typing import Any

    from holdfast.client.drive_async import Connection

T = TypeVar("T")

_desks: Final[WeakKeyDictionary[Connection, Desk]] = WeakKeyDictionary()
_owners: Final[WeakKeyDictionary[asyncio.Task[Any], int]] = WeakKeyDictionary()


def desk_of(connection: Connection) -> Desk:
    """The desk of a connection."""
    desk = _desks.get(connection)
    if desk is None:
        desk = _desks[connection] = Desk(connection)
    return desk


def owner() -> int:
    """The number of this task."""
    task = _task()
    number = _owners.get(task)
    if number is None:
        number = _owners[task] = fresh_owner()
    return number


def label() -> str:
    """The name of this task, for people."""
    return _task().get_name()


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "awaited, so there is one"
    return task


class Desk(DeskBase["Connection"]):
    """See above."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._keeper: asyncio.Task[None] | None = None

    async def use(self, name: str, what: ObjectAsked) -> None:
        """Have an object open."""
        if self.ledger.opened.get(name) != what:
            await self.ask(asks.open_object(name, what))
            self.ledger.opened[name] = what
            if self._keeper is None:
                self._keeper = asyncio.get_running_loop().create_task(
                    self._keep_lease(), name=f"holdfast lease {self.connection.address}"
                )

    async def ask_about(self, name: str, what: ObjectAsked, ask: Ask[T]) -> T:
        """Ask something about an object; one that was forgotten meanwhile is made anew."""
        await self.use(name, what)
        try:
            return await self.ask(ask)
        except NotFound:
            self.ledger.opened.pop(name, None)
            await self.use(name, what)
            return await self.ask(ask)

    async def ask(self, ask: Ask[T]) -> T:
        """One request and its answer."""
        return (await self.ask_numbered(ask))[1]

    async def ask_numbered(self, ask: Ask[T]) -> tuple[int, T]:
        """One request: its number and its answer."""
        ledger, connection = self.ledger, self.connection
        asked_at = now_s()
        request = ledger.numbered(ask)
        exchange = AskExchange(ask, request)
        ledger.waiting += 1
        try:
            connection.submit(exchange)
            limit = None if ask.timeout_s is None else ask.timeout_s + SLACK_S
            header, body = await connection.wait(exchange, exchange.poll_answer, limit if ask.timeout_s else None)
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
                await self._let_go(exchange)
            raise
        finally:
            ledger.waiting -= 1
            while ledger.dropped:
                self._drop_next()
        ledger.saw(request.number, asked_at=asked_at)
        return request.number, ask.read(header, body)

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _let_go(self, exchange: AskExchange[T]) -> None:
        """End the wait for a condition; its lock has to be held again before anybody goes on."""
        self._send(asks.withdraw(exchange.request.number))
        try:
            await self.connection.wait(exchange, exchange.poll_answer, LOCK_BACK_S)
        except HoldfastError:
            self._give_up(exchange)

    async def _keep_lease(self) -> None:
        ledger, closing = self.ledger, self.connection.closing
        try:
            while ledger.is_needed and not closing.is_set():
                await _pause(closing, max(0.01, min(ledger.renew_in_s(now_s()), ledger.ttl_s)))
                if ledger.renew_in_s(now_s()):
                    continue
                asked_at = now_s()
                limit = max(0.1, min(ledger.over_in_s(asked_at), 5.0))
                try:
                    answer = await self.connection.call(calls.renew(ledger.ttl_s), limit)
                except ClosedError:
                    continue  # ``closing`` says so, too
                except HoldfastError:
                    self._lost(ledger.check(now_s()))
                    if not ledger.over_in_s(now_s()):
                        await _pause(closing, ledger.ttl_s / 10)
                    continue
                ledger.heard(asked_at=asked_at)
                if not answer.known:
                    self._lost(ledger.lose())
            if closing.is_set():
                self._lost(ledger.lose())
        finally:
            self._keeper = None


async def _pause(closing: asyncio.Event, seconds: float) -> None:
    """Wait, but not beyond the connection's end."""
    try:
        async with asyncio.timeout(seconds):
            await closing.wait()
    except TimeoutError:
        pass
