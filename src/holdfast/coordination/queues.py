"""Queues: bounded, in three orders, fair to both sides, and with at-least-once delivery where it is asked for.

As ``queue.Queue``, ``LifoQueue`` and ``PriorityQueue``, including ``task_done``, ``join`` and ``shutdown``. Rules
beyond those of the standard library:

* Who waits is served in the order of arrival: getters get items in that order, putters put theirs in that order, and
  nobody who does not wait overtakes them.
* With ``visible_after_s`` an item that was handed out is kept until it is acknowledged. If that does not come in time,
  or the taker says that it has failed, it goes back to its old place; after ``most_deliveries`` it becomes a dead
  letter. Items that are out count for ``maxsize``: a full queue is a full one, so memory stays bounded.
* No two deliveries of an item have one number, so a late acknowledgement can do nothing to a later delivery.

Times are seconds of one clock that never goes back, given as arguments.
"""

from __future__ import annotations

import heapq
import math
from typing import Final, Literal

import msgspec

from holdfast.coordination.waiters import Line, Ticket

Order = Literal["fifo", "lifo", "priority"]

MOST_DELIVERIES: Final = 5
ITEM_BYTES: Final = 100
"""What an item costs beside value and rank, about: so that items without a value are bounded, too."""
_SPARE: Final = 64
"""Returns of items that have been settled: so many, and as many as are out, are kept before they are swept out."""


class Item(msgspec.Struct, frozen=True):
    """What somebody has put: ``id`` counts up from 1; the lowest ``priority`` is first; ``deliveries`` so far.

    ``unseen``: how many of the deliveries reached nobody. ``rank``: the lowest is first among equal priorities.
    """

    id: int
    value: bytes
    priority: float = 0.0
    deliveries: int = 0
    unseen: int = 0
    rank: str = ""


class Taken(msgspec.Struct, frozen=True):
    """The item is in the queue."""

    ticket: Ticket
    id: int


class Delivered(msgspec.Struct, frozen=True):
    """Here is an item. With acknowledgement, ``item.id`` and ``item.deliveries`` are what ``acknowledge`` wants."""

    ticket: Ticket
    item: Item


class Waiting(msgspec.Struct, frozen=True):
    """It stands in line."""

    ticket: Ticket


class Refused(msgspec.Struct, frozen=True):
    """Not done: ``full``, ``empty`` (now, or until the time was over), the queue is ``shut``, a join is ``late``."""

    ticket: Ticket
    why: Literal["full", "empty", "shut", "late"]


class Joined(msgspec.Struct, frozen=True):
    """All that was put is done."""

    ticket: Ticket


Told = Taken | Delivered | Refused | Joined


class QueueMisuse(Exception):
    """``task_done`` without an item, or an acknowledgement of what is not out (any more)."""


class Out(msgspec.Struct, frozen=True):
    """An item that was handed out: when it comes back (infinity: never by itself), and who has it."""

    item: Item
    until: float
    taker: str


class QueueState(msgspec.Struct, frozen=True):
    """A queue as it is kept: items in their order, those that are out, who waits."""

    ready: list[Item]
    out: list[Out]
    dead: list[Item]
    unfinished: int
    shut: bool
    emptied: bool
    putters: list[tuple[Ticket, bytes, float, str, float | None]]
    getters: list[tuple[Ticket, str, float | None]]
    joiners: list[tuple[Ticket, float | None]]
    last_ticket: Ticket
    last_id: int


class _Putter(msgspec.Struct):
    value: bytes
    priority: float
    rank: str


class Queue:
    """One queue.

    Args:
        maxsize: Most items, those that are out among them; 0: no bound of its own.
        order: Which item is the next one.
        visible_after_s: How long an item may be out; infinity: for good; None: handing out is the end of it.
        most_deliveries: Then an item that was not acknowledged is a dead letter.
    """

    def __init__(
        self,
        *,
        maxsize: int = 0,
        order: Order = "fifo",
        visible_after_s: float | None = None,
        most_deliveries: int = MOST_DELIVERIES,
    ) -> None:
        self.maxsize = maxsize
        self.order = order
        self.dead: dict[int, Item] = {}
        self.unfinished = 0
        self.bytes = 0
        self.shut = False
        self._emptied = False
        self._visible_after_s = visible_after_s
        self._most_deliveries = most_deliveries
        self._ready: list[tuple[tuple[float, str], int, Item]] = []
        self._out: dict[int, Out] = {}
        self._putters: Line[_Putter] = Line()
        self._getters: Line[str] = Line()
        self._joiners: Line[None] = Line()
        self._returns: list[tuple[float, int, int]] = []  # when, id, deliveries
        self._last_ticket = self._last_id = 0

    # --- the standard library's side ---------------------------------------------------------------------------------

    def qsize(self) -> int:
        """Items that can be had now."""
        return len(self._ready)

    @property
    def full(self) -> bool:
        """Whether a putter must wait."""
        return 0 < self.maxsize <= len(self._ready) + len(self._out)

    def put(
        self,
        value: bytes,
        *,
        now: float,
        priority: float = 0.0,
        rank: str = "",
        wait: bool = True,
        until: float | None = None,
    ) -> tuple[Taken | Waiting | Refused, list[Told]]:
        """Put an item: what becomes of it, and what others are to be told."""
        ticket = self._ticket()
        if self.shut:
            return Refused(ticket, "shut"), []
        if not self._putters and not self.full:
            self.bytes += cost(value, rank)
            taken = self._take(ticket, _Putter(value, priority, rank))
            return taken, self._move(now)
        if not wait:
            return Refused(ticket, "full"), []
        self.bytes += cost(value, rank)
        self._putters.stand(ticket, _Putter(value, priority, rank), until)
        return Waiting(ticket), []

    def get(
        self, *, now: float, wait: bool = True, until: float | None = None, taker: str = ""
    ) -> tuple[Delivered | Waiting | Refused, list[Told]]:
        """Get the next item: what comes of it, and what others are to be told. ``taker``: see ``give_up``."""
        ticket = self._ticket()
        if self._ready and not self._getters:
            delivered = self._deliver(ticket, taker, now)
            return delivered, self._move(now)
        if self.shut:
            return Refused(ticket, "shut"), []
        if not wait:
            return Refused(ticket, "empty"), []
        self._getters.stand(ticket, taker, until)
        return Waiting(ticket), []

    def task_done(self) -> list[Told]:
        """One of the items that were handed out is done.

        Raises:
            QueueMisuse: more often than there were items.
        """
        if not self.unfinished:
            raise QueueMisuse("task_done was called too many times")
        self.unfinished -= 1
        return self._join_all()

    def join(self, until: float | None = None) -> Joined | Waiting:
        """Wait until all that was put is done; a dead letter is not waited for."""
        ticket = self._ticket()
        if not self.unfinished:
            return Joined(ticket)
        self._joiners.stand(ticket, None, until)
        return Waiting(ticket)

    def shutdown(self, *, immediate: bool = False) -> list[Told]:
        """No more puts, and gets until it is empty.

        ``immediate``: what is in it, or comes back to it, is dropped and counts as done.
        """
        self.shut = True
        self.bytes -= sum(cost(putter.value, putter.rank) for putter in self._putters.values())
        told: list[Told] = [Refused(ticket, "shut") for ticket in self._putters.serve_all()]
        if immediate:
            self._emptied = True
            self.unfinished -= min(self.unfinished, len(self._ready))
            self.bytes -= sum(cost(item.value, item.rank) for _, _, item in self._ready)
            self._ready.clear()
        told += [Refused(ticket, "shut") for ticket in self._getters.serve_all()]
        return told + self._join_all()

    def remove(self, id_: int, *, now: float) -> tuple[bool, list[Told]]:
        """Take an item out that nobody has; whether it was there, and what others are to be told.

        Takes as long as the queue has items.
        """
        left = [entry for entry in self._ready if entry[2].id != id_]
        if len(left) == len(self._ready):
            return False, []
        self.bytes -= sum(cost(item.value, item.rank) for _, _, item in self._ready if item.id == id_)
        heapq.heapify(left)
        self._ready = left
        self.unfinished -= min(self.unfinished, 1)
        return True, [*self._join_all(), *self._move(now)]

    def withdraw(self, ticket: Ticket) -> None:
        """Wait no longer. Unknown tickets are ignored: it was served, or is over."""
        putter = self._putters.leave(ticket)
        if putter is not None:
            self.bytes -= cost(putter.value, putter.rank)
        self._getters.leave(ticket)
        self._joiners.leave(ticket)

    # --- at-least-once -----------------------------------------------------------------------------------------------

    def acknowledge(self, id_: int, deliveries: int, *, now: float) -> list[Told]:
        """This delivery is done, as by ``task_done``; the item is gone, and whoever waits to put may.

        Raises:
            QueueMisuse: it is not out, or has been handed to somebody else since.
        """
        item = self._come_back(id_, deliveries)
        self.bytes -= cost(item.value, item.rank)
        self.unfinished -= min(self.unfinished, 1)
        return [*self._join_all(), *self._move(now)]

    def take_back(self, item: Item, *, now: float) -> tuple[bool, list[Told]]:
        """This delivery has reached nobody: the item goes back to its place, and no dead letter comes of that.

        Returns:
            Whether it went back (not if it was settled since, or has come back), and what others are to be told.
        """
        if self._visible_after_s is None:
            self.bytes += cost(item.value, item.rank)
        elif self._is_out(item.id, item.deliveries):
            del self._out[item.id]
        else:
            return False, []
        self._make_ready(msgspec.structs.replace(item, unseen=item.unseen + 1))
        return True, [*self._join_all(), *self._move(now)]

    def give_up(self, taker: str, *, now: float) -> list[Told]:
        """Whoever gave this name with ``get`` is gone: every delivery to it that was not settled has failed."""
        for out in [out for out in self._out.values() if out.taker == taker]:
            self._put_back(self._come_back(out.item.id, out.item.deliveries))
        return [*self._join_all(), *self._move(now)]

    def fail(self, id_: int, deliveries: int, *, now: float) -> list[Told]:
        """This delivery has come to nothing: the item goes back, or is a dead letter now.

        Raises:
            QueueMisuse: as for ``acknowledge``.
        """
        self._put_back(self._come_back(id_, deliveries))
        return [*self._join_all(), *self._move(now)]

    # --- time --------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` is due; None: not before another call."""
        while self._returns and not self._is_out(*self._returns[0][1:]):
            heapq.heappop(self._returns)
        found = [line.next_deadline() for line in (self._putters, self._getters, self._joiners)]
        if self._returns:
            found.append(self._returns[0][0])
        return min((deadline for deadline in found if deadline is not None), default=None)

    def handle_timeout(self, now: float) -> list[Told]:
        """End the waits whose time is over, and take back what was out too long; a call too early does nothing."""
        told: list[Told] = []
        for ticket in self._putters.due(now):
            self.withdraw(ticket)
            told.append(Refused(ticket, "full"))
        told += [Refused(ticket, "late") for ticket in self._joiners.over(now)]
        told += [Refused(ticket, "empty") for ticket in self._getters.over(now)]
        while self._returns and self._returns[0][0] <= now:
            _, id_, deliveries = heapq.heappop(self._returns)
            if self._is_out(id_, deliveries):
                self._put_back(self._come_back(id_, deliveries))
        return told + self._join_all() + self._move(now)

    # --- keeping -----------------------------------------------------------------------------------------------------

    @property
    def out(self) -> int:
        """Items that are out."""
        return len(self._out)

    @property
    def waiting(self) -> int:
        """How many wait, for whatever."""
        return len(self._putters) + len(self._getters) + len(self._joiners)

    def is_fresh(self) -> bool:
        """Whether it is as a new one."""
        return not (self._ready or self._out or self.dead or self.unfinished or self.shut or self.waiting)

    def state(self) -> QueueState:
        """All of it, to be kept."""
        return QueueState(
            [item for _, _, item in sorted(self._ready, key=lambda entry: entry[:2])],
            list(self._out.values()),
            list(self.dead.values()),
            self.unfinished,
            self.shut,
            self._emptied,
            [(ticket, put.value, put.priority, put.rank, until) for ticket, put, until in self._putters.state()],
            self._getters.state(),
            [(ticket, until) for ticket, _, until in self._joiners.state()],
            self._last_ticket,
            self._last_id,
        )

    def be(self, state: QueueState) -> None:
        """Be what was kept; for a new queue with the same bounds."""
        for item in state.ready:
            self._make_ready(item)
        for out in state.out:
            self._out[out.item.id] = out
            self._plan_return(out)
        self.dead = {item.id: item for item in state.dead}
        self.unfinished, self.shut, self._emptied = state.unfinished, state.shut, state.emptied
        for ticket, value, priority, rank, until in state.putters:
            self._putters.stand(ticket, _Putter(value, priority, rank), until)
        for ticket, taker, until in state.getters:
            self._getters.stand(ticket, taker, until)
        for ticket, until in state.joiners:
            self._joiners.stand(ticket, None, until)
        self._last_ticket, self._last_id = state.last_ticket, state.last_id
        self.bytes = self._bytes_now()

    def validate(self) -> None:
        """All that must hold between two calls.

        Raises:
            AssertionError: something does not.
        """
        assert self.bytes == self._bytes_now()
        ids = [*(item.id for _, _, item in self._ready), *self._out, *self.dead]
        assert len(ids) == len(set(ids))
        assert all(0 < id_ <= self._last_id for id_ in ids)
        assert not (self._getters and self._ready)
        assert not (self._putters and not self.full)
        assert not (self.shut and (self._putters or self._getters))
        assert not (self._emptied and self._ready)
        assert not (self._joiners and not self.unfinished)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _ticket(self) -> Ticket:
        self._last_ticket += 1
        return self._last_ticket

    def _bytes_now(self) -> int:
        items = [*(item for _, _, item in self._ready), *(out.item for out in self._out.values()), *self.dead.values()]
        waiting = [cost(putter.value, putter.rank) for putter in self._putters.values()]
        return sum(waiting) + sum(cost(item.value, item.rank) for item in items)

    def _is_out(self, id_: int, deliveries: int) -> bool:
        out = self._out.get(id_)
        return out is not None and out.item.deliveries == deliveries

    def _take(self, ticket: Ticket, put: _Putter) -> Taken:
        self._last_id += 1
        self.unfinished += 1
        self._make_ready(Item(self._last_id, put.value, put.priority, rank=put.rank))
        return Taken(ticket, self._last_id)

    def _make_ready(self, item: Item) -> None:
        if self._emptied:
            self.bytes -= cost(item.value, item.rank)
            self.unfinished -= min(self.unfinished, 1)
            return
        first = (item.priority, item.rank) if self.order == "priority" else (0.0, "")
        heapq.heappush(self._ready, (first, -item.id if self.order == "lifo" else item.id, item))

    def _deliver(self, ticket: Ticket, taker: str, now: float) -> Delivered:
        item = heapq.heappop(self._ready)[2]
        item = msgspec.structs.replace(item, deliveries=item.deliveries + 1)
        if self._visible_after_s is None:
            self.bytes -= cost(item.value, item.rank)
        else:
            out = self._out[item.id] = Out(item, now + self._visible_after_s, taker)
            self._plan_return(out)
        return Delivered(ticket, item)

    def _plan_return(self, out: Out) -> None:
        if out.until == math.inf:
            return
        heapq.heappush(self._returns, (out.until, out.item.id, out.item.deliveries))
        if len(self._returns) > 2 * len(self._out) + _SPARE:  # most were settled before that
            self._returns = [entry for entry in self._returns if self._is_out(*entry[1:])]
            heapq.heapify(self._returns)

    def _come_back(self, id_: int, deliveries: int) -> Item:
        if not self._is_out(id_, deliveries):
            raise QueueMisuse(f"delivery {deliveries} of item {id_} is not out")
        return self._out.pop(id_).item

    def _put_back(self, item: Item) -> None:
        if item.deliveries - item.unseen >= self._most_deliveries:
            self.dead[item.id] = item
            self.unfinished -= min(self.unfinished, 1)
        else:
            self._make_ready(item)

    def _join_all(self) -> list[Told]:
        if self.unfinished:
            return []
        return [Joined(ticket) for ticket in self._joiners.serve_all()]

    def _move(self, now: float) -> list[Told]:
        """Serve who waits on both sides, in order, as long as somebody can be."""
        told: list[Told] = []
        while True:
            if self._getters and self._ready:
                told.append(self._deliver(*self._getters.serve(), now))
            elif self._putters and not self.full:
                ticket, putter = self._putters.serve()
                told.append(self._take(ticket, putter))
            else:
                return told


def cost(value: bytes, rank: str) -> int:
    """Bytes for which an item counts."""
    return len(value) + 4 * len(rank) + ITEM_BYTES
