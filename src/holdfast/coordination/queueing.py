"""Requests about queues. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.coordination.core import QUEUE_BYTES, Core, Refusal
from holdfast.coordination.queues import Delivered, Item, Joined, Queue, QueueMisuse, Taken, Told, Waiting
from holdfast.coordination.sessions import Object, Session
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
        if core.queue_bytes + len(body) > QUEUE_BYTES:
            text = f"the queues of this agent hold {core.queue_bytes} bytes; the limit (QUEUE_BYTES) is {QUEUE_BYTES}"
            raise Refusal(ErrorCode.QUOTA, text)
        before = queue.bytes
        outcome, told = queue.put(
            body, now=core.now, priority=request.priority, wait=request.wait, until=core.until(request.timeout_s)
        )
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
        before = queue.bytes
        outcome, told = queue.get(now=core.now, wait=request.wait, until=core.until(request.timeout_s))
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
        found, queue = self._queue(session, request.name)
        before = queue.bytes
        try:
            if request.do == "task_done":
                told = queue.task_done()
            elif request.do == "ack":
                told = queue.acknowledge(request.item, request.delivery, now=core.now)
                told += queue.task_done() if queue.unfinished else []
            else:
                told = queue.fail(request.item, request.delivery, now=core.now)
        except QueueMisuse as exc:
            raise Refusal(ErrorCode.NOT_HOLDER, str(exc)) from exc
        session.out.pop((found.name, request.item), None)
        core.answer(session, request.number, NumberedAnswer())
        self._moved(found, queue, before, told)

    def join(self, session: Session, request: Join, _body: bytes) -> None:
        """JOIN."""
        core = self._core
        found, queue = self._queue(session, request.name)
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

    def undo(self, name: str, item: Item) -> None:
        """Nobody has seen this delivery: the item goes back to its place."""
        found = self._core.objects.get(name)
        if found is not None and isinstance(found.thing, Queue):
            before = found.thing.bytes
            self._moved(found, found.thing, before, found.thing.take_back(item, now=self._core.now))

    def come_back(self, name: str, item: int, delivery: int) -> None:
        """Whoever had this item is gone; nothing happens if it has been settled since."""
        found = self._core.objects.get(name)
        if found is not None and isinstance(found.thing, Queue):
            before = found.thing.bytes
            try:
                told = found.thing.fail(item, delivery, now=self._core.now)
            except QueueMisuse:
                return
            self._moved(found, found.thing, before, told)

    def withdraw(self, found: Object, queue: Queue, ticket: int) -> None:
        """Somebody waits no longer."""
        before = queue.bytes
        queue.withdraw(ticket)
        self._moved(found, queue, before, ())

    # --- inside ------------------------------------------------------------------------------------------------------

    def _queue(self, session: Session, name: str) -> tuple[Object, Queue]:
        found = self._core.named(session, name, "queue")
        assert isinstance(found.thing, Queue)
        return found, found.thing

    def _deliver(self, session: Session, number: int, found: Object, item: Item) -> None:
        session.unseen[number] = (found.name, item)
        if found.what.visible_s is not None:
            session.out[found.name, item.id] = item.deliveries
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
