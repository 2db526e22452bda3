"""What the desks of both faces share: the ledger of a connection, what is given up, what was lost. It never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from holdfast.client.coordination import asks
from holdfast.client.coordination.asks import Ask
from holdfast.client.coordination.exchange import AskExchange
from holdfast.client.coordination.ledger import Holding, Ledger
from holdfast.errors import HoldfastError, LeaseLost

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.client.exchange import Exchange
    from holdfast.client.session import Session

    class AnyConnection(Protocol):
        """What both drivers do without waiting."""

        def drop(self, exchange: Exchange) -> None: ...
        def enter(self, act: Callable[[Session], bool]) -> None: ...


C = TypeVar("C", bound="AnyConnection")

SLACK_S: Final = 1.0
"""How much later than the agent's limit we give up on our own: it is the agent's word that counts, if it can be had."""
LOCK_BACK_S: Final = 5.0
"""How long an interrupted wait for a condition waits for its lock."""


class DeskBase(Generic[C]):
    """The standing of one connection."""

    def __init__(self, connection: C) -> None:
        self.connection = connection
        self.ledger = Ledger()
        self._mutex = threading.Lock()

    # --- what is held ------------------------------------------------------------------------------------------------

    def took(self, who: int, name: str, token: int, units: int, on_lost: Callable[[], None] | None) -> None:
        """An owner of this process holds so much more."""
        with self._mutex:
            self.ledger.took(who, name, token, units, on_lost)

    def gave(self, who: int, name: str, units: int) -> None:
        """An owner of this process holds so much less."""
        with self._mutex:
            self.ledger.gave(who, name, units)

    def check(self, who: int, name: str) -> None:
        """See that what this owner holds is still ours.

        Raises:
            LeaseLost: it is not.
        """
        self._lost(self.ledger.check(now_s()))
        holding = self.ledger.held.get((who, name))
        if holding is not None and holding.lost:
            raise LeaseLost(f"{name!r} was lost: this client was not heard of for longer than its lease")

    # --- inside ------------------------------------------------------------------------------------------------------

    def _give_up(self, exchange: AskExchange[Any]) -> None:
        """Nobody waits for this any more: what it has got, or will get, goes back."""
        self.connection.drop(exchange)
        self.ledger.unasked(exchange.request)
        self._send(asks.withdraw(exchange.request.number))

    def _send(self, ask: Ask[bool]) -> None:
        """Ask without waiting for the answer; it will be asked for as long as the connection may come back."""
        asked_at = now_s()
        request = self.ledger.numbered(ask)
        exchange = AskExchange(ask, request)

        def act(session: Session) -> bool:
            exchange.add_waiter(lambda: self.ledger.saw(request.number, asked_at=asked_at))
            session.submit(exchange)
            return True

        try:
            self.connection.enter(act)
        except HoldfastError:
            self.ledger.unasked(request)

    def _drop_next(self) -> None:
        try:
            name = self.ledger.dropped.popleft()
        except IndexError:
            return  # another thread was faster
        if name in self.ledger.opened:
            del self.ledger.opened[name]
            self._send(asks.drop(name))

    def _lost(self, lost: list[Holding]) -> None:
        if lost:
            self.ledger.opened.clear()
        for holding in lost:
            if holding.on_lost is not None:
                holding.on_lost()


def now_s() -> float:
    """Seconds of a clock that never goes back and, where there is one, goes on while the machine sleeps."""
    return _now()


if hasattr(time, "CLOCK_BOOTTIME"):

    def _now() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:
    _now = time.monotonic
