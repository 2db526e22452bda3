"""Requests about what nobody holds: events and barriers. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.coordination.core import Core
from holdfast.coordination.meetings import Act, Barrier, Event, Passed, Word
from holdfast.coordination.sessions import Object, Session
from holdfast.wire.coordination import Flag, FlagAnswer, Meet, MeetAnswer


class MeetingRoom:
    """Events and barriers."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def flag(self, session: Session, request: Flag, _body: bytes) -> None:
        """FLAG."""
        core = self._core
        found = core.named(session, request.name, "event")
        event = found.thing
        assert isinstance(event, Event)
        if request.do == "set":
            woken = event.set()
            core.answer(session, request.number, FlagAnswer(True))
            self.flagged(found, woken, is_set=True)
        elif request.do == "clear":
            event.clear()
            core.answer(session, request.number, FlagAnswer(False))
        elif event.is_set:
            core.answer(session, request.number, FlagAnswer(True))
        elif core.crowded:
            raise core.no_room()
        else:
            ticket = core.fresh_ticket()
            event.wait(ticket, core.until(request.timeout_s))
            core.wait(session, request, found.name, ticket)
            core.watch(found)

    def flagged(self, found: Object, tickets: Iterable[int], *, is_set: bool) -> None:
        """These wait no more: the event was set, or their time is over."""
        for ticket in tickets:
            served = self._core.served(found.name, ticket)
            if served is not None:
                session, pending = served
                self._core.answer(session, pending.number, FlagAnswer(is_set))

    def meet(self, session: Session, request: Meet, _body: bytes) -> None:
        """MEET."""
        core = self._core
        found = core.named(session, request.name, "barrier")
        barrier = found.thing
        assert isinstance(barrier, Barrier)
        if request.do == "wait":
            if core.crowded and barrier.waiting + 1 < barrier.parties:
                raise core.no_room()
            ticket = core.fresh_ticket()
            core.wait(session, request, found.name, ticket)
            words = barrier.wait(ticket, core.until(request.timeout_s))
            core.watch(found)
        elif request.do in ("acted", "failed"):
            number, ticket = session.acts.get(found.name, (0, 0))
            words = []
            if number and request.of == number:
                del session.acts[found.name]
                words = barrier.acted(ticket, failed=request.do == "failed")
            # without a word it was broken or reset meanwhile
            core.answer(session, request.number, MeetAnswer(barrier.parties - 1, broken=not words or barrier.broken))
        else:
            words = barrier.abort() if request.do == "abort" else barrier.reset()
            core.answer(session, request.number, MeetAnswer(broken=barrier.broken))
        self.said(found, words)

    def withdraw(self, name: str, ticket: int) -> bool:
        """Who was told to act will not; whether anybody waited for that."""
        found = self._core.objects.get(name)
        if found is None or not isinstance(found.thing, Barrier):
            return False
        before = found.thing.broken
        self.said(found, found.thing.withdraw(ticket))
        return found.thing.broken and not before

    def said(self, found: Object, words: Iterable[Word]) -> None:
        """The barrier has something to say to those who came."""
        for word in words:
            served = self._core.served(found.name, word.ticket)
            if served is None:
                continue
            session, pending = served
            if isinstance(word, Act):
                session.acts[found.name] = (pending.number, word.ticket)
                answer = MeetAnswer(word.index, act=True)
            elif isinstance(word, Passed):
                answer = MeetAnswer(word.index)
            else:
                answer = MeetAnswer(broken=True)
            self._core.answer(session, pending.number, answer)
