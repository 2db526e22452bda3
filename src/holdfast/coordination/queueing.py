"""Requests about queues. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.coordination.core import QUEUE_BYTES, Core, Refusal
from holdfast.coordination.queues import (
    Delivered,
    Item,
    Joined,
    Queue,
    QueueMisuse,
    Refused,
    Taken,
    Told,
    Waiting,
    cost,
)
from holdfast.coordination.sessions import Object, Session, Unseen
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import Join, NumberedAnswer, Put, PutAnswer, Settle, ShutQueue, Take, TakeAnswer
from holdfast.wire.limits import ITEM_BYTES


class QueueRoom:
    """Queues."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def put(self, session: Session, request: Put, body: bytes) -> None:
        """PUT."""
        core = self._core
        found, queue = self._queue(session, request.name)
        if len(body) > ITEM_BYTES:
            raise Refusal(ErrorCode.TOO_LARGE, f"an item of {len(body)} bytes; the limit (ITEM_BYTES) is {ITEM_BYTES}")
        if core.queue_bytes + cost(body, request.rank) > QUEUE_BYTES and not queue.shut:
            text = f"the queues of this agent hold {core.queue_bytes} bytes; the limit (QUEUE_BYTES) is {QUEUE_BYTES}"
            raise Refusal(ErrorCode.QUOTA, text, final=False)
        before, wait = queue.bytes, request.wait and not core.crowded
        outcome, told = queue.put(
            body,
            now=core.now,
            priority=request.priority,
            rank=request.rank,
            wait=wait,
            until=core.until(request.timeout_s),
        )
        if isinstance(outcome, Refused) and outcome.why == "full" and request.wait:
            raise core.no_room()
        if isinstance(outcome, Waiting):
            core.wait(session, request, found.name, outcome.ticket)
        elif isinstance(outcome, Taken):
            core.answer(session, request.number, PutAnswer(outcome.id))
        else:
            core.answer(session, request.number, PutAnswer(why="shut" if outcome.why == "shut" else "full"))
        self._moved(found, queue, before, told)

    def take(self, session: Session, request: Take, _body: bytes) -> None:
        """TAKE."""
        core = self._core
        found, queue = self._queue(session, request.name)
        before, wait = queue.bytes, request.wait and not core.crowded
        outcome, told = queue.get(now=core.now, wait=wait, until=core.until(request.timeout_s), taker=session.instance)
        if isinstance(outcome, Refused) and outcome.why == "empty" and request.wait:
            raise core.no_room()
        if isinstance(outcome, Waiting):
            core.wait(session, request, found.name, outcome.ticket)
        elif isinstance(outcome, Delivered):
            self._deliver(session, request.number, found, outcome.item)
        else:
            core.answer(session, request.number, TakeAnswer(why="shut" if outcome.why == "shut" else "empty"))
        self._moved(found, queue, before, told)

    def settle(self, session: Session, request: Settle, _body: bytes) -> None:
        """SETTLE."""
        core = self._core
        found, queue = self._queue(session, request.name, opens=False)
        before = queue.bytes
        try:
            if request.do == "task_done":
                told = queue.task_done()
            elif request.do == "ack":
                told = queue.acknowledge(request.item, request.delivery, now=core.now)
            else:
                told = queue.fail(request.item, request.delivery, now=core.now)
        except QueueMisuse as exc:
            raise Refusal(ErrorCode.NOT_HOLDER, str(exc)) from exc
        core.touch((found.name,))
        core.answer(session, request.number, NumberedAnswer())
        self._moved(found, queue, before, told)

    def join(self, session: Session, request: Join, _body: bytes) -> None:
        """JOIN."""
        core = self._core
        found, queue = self._queue(session, request.name)
        if queue.unfinished and core.crowded:
            raise core.no_room()
        outcome = queue.join(until=core.until(request.timeout_s))
        if isinstance(outcome, Joined):
            core.answer(session, request.number, NumberedAnswer())
        else:
            core.wait(session, request, found.name, outcome.ticket)
            core.watch(found)

    def shut(self, session: Session, request: ShutQueue, _body: bytes) -> None:
        """SHUT."""
        found, queue = self._queue(session, request.name)
        before = queue.bytes
        told = queue.shutdown(immediate=request.immediate)
        self._core.answer(session, request.number, NumberedAnswer())
        self._moved(found, queue, before, told)

    # --- what follows ------------------------------------------------------------------------------------------------

    def timeout(self, found: Object, queue: Queue) -> None:
        """One of its waits is over, or an item was out too long."""
        before = queue.bytes
        self._moved(found, queue, before, queue.handle_timeout(self._core.now))

    def seen(self, session: Session, number: int) -> Unseen | None:
        """The item in this answer, if there is one, is no more our concern."""
        unseen = session.unseen.pop(number, None)
        if unseen is not None:
            self._core.queue_bytes -= unseen.bytes
        return unseen

    def undo(self, session: Session, number: int) -> bool:
        """Nobody has seen the item in this answer: it goes back to its place; whether it did."""
        unseen = self.seen(session, number)
        found = None if unseen is None else self._core.objects.get(unseen.name)
        if unseen is None or found is None or found.serial != unseen.serial:
            return False
        assert isinstance(found.thing, Queue)
        before = found.thing.bytes
        back, told = found.thing.take_back(unseen.item, now=self._core.now)
        self._moved(found, found.thing, before, told)
        return back

    def give_up(self, name: str, instance: str) -> None:
        """This client is gone: what it has of this queue comes back."""
        found = self._core.objects.get(name)
        if found is not None and isinstance(found.thing, Queue):
            before = found.thing.bytes
            self._moved(found, found.thing, before, found.thing.give_up(instance, now=self._core.now))

    def withdraw(self, found: Object, queue: Queue, ticket: int) -> None:
        """Somebody waits no longer."""
        before = queue.bytes
        queue.withdraw(ticket)
        self._moved(found, queue, before, ())

    # --- inside ------------------------------------------------------------------------------------------------------

    def _queue(self, session: Session, name: str, *, opens: bool = True) -> tuple[Object, Queue]:
        found = self._core.named(session, name, "queue", opens=opens)
        assert isinstance(found.thing, Queue)
        return found, found.thing

    def _deliver(self, session: Session, number: int, found: Object, item: Item) -> None:
        kept = 0
        if found.what.visible_s is not None:
            session.takes.add(found.name)
        else:
            kept = cost(item.value, item.rank)
            self._core.queue_bytes += kept
        session.unseen[number] = Unseen(found.name, found.serial, item, kept)
        self._core.answer(session, number, TakeAnswer(item.id, item.deliveries, item.priority), item.value)

    def _moved(self, found: Object, queue: Queue, before: int, told: Iterable[Told]) -> None:
        core = self._core
        core.queue_bytes += queue.bytes - before
        for each in told:
            served = core.served(found.name, each.ticket)
            if served is None:
                continue
            session, pending = served
            if isinstance(each, Delivered):
                self._deliver(session, pending.number, found, each.item)
            elif isinstance(each, Taken):
                core.answer(session, pending.number, PutAnswer(each.id))
            elif isinstance(each, Joined):
                core.answer(session, pending.number, NumberedAnswer())
            elif isinstance(pending.request, Put):
                core.answer(session, pending.number, PutAnswer(why="shut" if each.why == "shut" else "full"))
            elif isinstance(pending.request, Take):
                core.answer(session, pending.number, TakeAnswer(why="shut" if each.why == "shut" else "empty"))
            else:
                core.answer(session, pending.number, NumberedAnswer(ok=False))
        core.watch(found)
