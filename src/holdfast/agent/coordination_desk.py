"""Requests about shared objects: who may ask, carried out once, answered where they were asked last.

Rules of this module:

* A request is recorded before it is applied (``agent.recorded``). One whose number is known is not recorded again: its
  answer is sent if there is one, else it waits on, and the answer goes to the stream on which it was asked last.
* The end of a stream or connection changes nothing but where an answer goes; it is kept by the machine.
* A client process belongs to the principal that it spoke as first: nobody else speaks for it.
* What a durable queue was given, and what was acknowledged, is flushed before it is answered. Other requests do not
  wait for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast.agent.access import Decision
from holdfast.agent.recorded import EventFailed
from holdfast.coordination.core import Refusal
from holdfast.coordination.records import Answer, AnyNumbered, Asked, Effect
from holdfast.errors import Ran, Refused, StorageError
from holdfast.types import JobId
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import (
    Acquire,
    Await,
    Drop,
    Flag,
    Join,
    Leases,
    LeasesAnswer,
    Meet,
    Notify,
    ObjectState,
    ObjectStateAnswer,
    Open,
    Put,
    Release,
    Renew,
    RenewAnswer,
    Settle,
    ShutQueue,
    Take,
    Withdraw,
)
from holdfast.wire.messages import Failure

if TYPE_CHECKING:
    from holdfast.agent.guard import Caller
    from holdfast.agent.peer import Peer
    from holdfast.agent.service import Service
    from holdfast.agent.shared import Shared

_INSTANCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_GONE: Final = "this client was not heard of for longer than its lease; what it waited for, it waits for no more"

_Key = tuple[str, int]
"""A request: client process and number."""


class CoordinationDesk:
    """Serves shared objects to the clients of one agent."""

    def __init__(self, service: Service, shared: Shared) -> None:
        self._service = service
        self._shared = shared
        self._space = shared.space
        self._loop = service.loop
        self._where: dict[_Key, tuple[Peer, int]] = {}
        self._asked: dict[Peer, dict[int, _Key]] = {}
        self._going: set[_Key] = set()
        self._durable: set[_Key] = set()
        self._flushing: dict[_Key, Answer] = {}
        self._unflushed: list[_Key] = []
        self._serving: Peer | None = None
        self._untold: set[Peer] = set()
        self._looked_at = self._loop.time()
        shared.on_effect = self._told
        shared.on_settled = self._settled
        shared.listen = self._listen
        service.offer(
            {
                **dict.fromkeys((Acquire, Await, Flag, Join, Meet, Notify, Put, Release), self._ask),
                **dict.fromkeys((Settle, ShutQueue, Take), self._ask),
                Open: self._open,
                Drop: self._drop,
                Withdraw: self._withdraw,
                Renew: self._renew,
                ObjectState: self._look,
                Leases: self._look,
            }
        )

    # --- requests ----------------------------------------------------------------------------------------------------

    def _open(self, peer: Peer, stream: int, request: Open, _body: bytes) -> None:
        caller = self._service.guard.caller(peer, request)
        if request.what.lock is not None:
            caller.shares(request.what.lock)
        if self._space.principal_of(request.name) is None and not request.what.passing:
            caller.makes(request.name, request.what.kind)
        else:
            caller.shares(request.name)
        self._carry_out(peer, stream, caller, request)

    def _drop(self, peer: Peer, stream: int, request: Drop, _body: bytes) -> None:
        caller = self._service.guard.caller(peer, request)
        maker = self._space.principal_of(request.name)
        if request.forget and maker is not None:
            caller.drops(request.name, maker)
        else:
            caller.shares(request.name)
        self._carry_out(peer, stream, caller, request)

    def _ask(self, peer: Peer, stream: int, request: Any, body: bytes) -> None:
        caller = self._service.guard.caller(peer, request)
        for name in request.units if isinstance(request, Acquire) else (request.name,):
            caller.shares(name)
        self._carry_out(peer, stream, caller, request, body)

    def _withdraw(self, peer: Peer, stream: int, request: Withdraw, _body: bytes) -> None:
        caller = self._service.guard.caller(peer, request)
        key = (self.instance_of(peer, caller), request.of)
        self._carry_out(peer, stream, caller, request, then=partial(self._withdrawn, key))

    def _withdrawn(self, key: _Key) -> None:
        """If it is over by that, there is nothing to wait for on its stream either."""
        if self._space.known(*key) is None and (where := self._unbind(key)) is not None:
            where[0].link.fail(where[1], Failure(ErrorCode.STATE, "this request was withdrawn", "no"))
            self._tell(where[0])

    def _renew(self, peer: Peer, stream: int, request: Renew, _body: bytes) -> None:
        instance = self.instance_of(peer, self._service.guard.caller(peer, request))

        def then() -> None:
            peer.link.respond(stream, RenewAnswer(self._space.is_here(instance), request.ttl_s))
            self._tell(peer)

        refused = partial(self._not_written, peer, stream)
        self._shared.renew(instance, peer.principal, request.ttl_s, refused=refused, then=then)

    def _look(self, peer: Peer, stream: int, request: ObjectState | Leases, _body: bytes) -> None:
        caller = self._service.guard.caller(peer, request)
        caller.looks()
        try:
            answer = self._space.look(request, self._shared.recorded.now())
        except Refusal as refusal:
            raise Refused(str(refusal), code=refusal.code, ran="no") from refusal
        peer.link.respond(stream, self._as_seen_by(caller, answer))

    def instance_of(self, peer: Peer, caller: Caller) -> str:
        """The client process at the other end, as the machine knows it.

        Raises:
            Refused: it has no proper id.
            Unauthorized: it is somebody else's.
        """
        instance = peer.instance
        if not _INSTANCE.fullmatch(instance):
            raise Refused("this client's instance id is not made of 16 to 64 letters, digits, _ and -")
        if self._space.client_of(instance) not in (None, peer.principal):
            text = f"this client process was another's first, and is not {peer.principal}'s"
            caller.does(Decision(False, "another's client", text), instance)
        return instance

    # --- once --------------------------------------------------------------------------------------------------------

    def _carry_out(
        self,
        peer: Peer,
        stream: int,
        caller: Caller,
        request: AnyNumbered,
        body: bytes = b"",
        *,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        instance = self.instance_of(peer, caller)
        key = (instance, request.number)
        self._bind(key, peer, stream)
        if isinstance(request, (Put, Settle)) and self._space.is_durable(request.name):
            self._durable.add(key)
        if key in self._going or key in self._flushing:
            return
        known = self._space.known(instance, request.number)
        if isinstance(known, Answer):  # of an agent before, perhaps, which did not come to flush it
            self._told(known)
            self._settled()
        elif known is None:
            self._going.add(key)
            record = Asked(instance, peer.principal, request, body)
            self._serving = peer

            def happened() -> None:
                self._going.discard(key)
                then()

            try:
                self._shared.record(record, refused=partial(self._refused, key), then=happened)
            finally:
                self._serving = None

    def _bind(self, key: _Key, peer: Peer, stream: int) -> None:
        before = self._where.get(key)
        if before is not None:
            self._asked[before[0]].pop(before[1], None)
        self._where[key] = peer, stream
        self._asked.setdefault(peer, {})[stream] = key

    def _unbind(self, key: _Key) -> tuple[Peer, int] | None:
        where = self._where.pop(key, None)
        if where is not None:
            self._asked[where[0]].pop(where[1], None)
        self._durable.discard(key)
        return where

    def stream_gone(self, peer: Peer, stream: int) -> None:
        """Nobody listens there any more; the request goes on."""
        key = self._asked.get(peer, {}).get(stream)
        if key is not None:
            self._unbind(key)

    def peer_gone(self, peer: Peer) -> None:
        """A connection ended: a session is not heard of through it any more, and that is all."""
        for key in list(self._asked.pop(peer, {}).values()):
            del self._where[key]
            self._durable.discard(key)
        self._untold.discard(peer)
        if self._space.is_here(peer.instance):
            self._shared.heard(peer.instance, peer.principal)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _told(self, effect: Effect) -> None:
        if not isinstance(effect, Answer):
            return
        key = (effect.instance, effect.number)
        if key in self._durable:
            self._flushing[key] = effect
            self._unflushed.append(key)
        else:
            self._answer(key, effect)

    def _answer(self, key: _Key, answer: Answer) -> None:
        where = self._unbind(key)
        if where is None:
            return
        peer, stream = where
        if answer.header is None:
            peer.link.fail(stream, Failure(answer.code, answer.text, answer.ran))
        else:
            peer.link.respond(stream, answer.header, answer.body)
        self._tell(peer)

    def _tell(self, peer: Peer) -> None:
        """Send what it was answered: at the end of this step, or of its own bytes that are being taken."""
        if peer is not self._serving:
            self._untold.add(peer)

    def _settled(self) -> None:
        if self._unflushed:
            keys, self._unflushed = self._unflushed, []
            self._shared.recorded.flushed(partial(self._flushed, keys))
        untold, self._untold = self._untold, set()
        for peer in untold:
            peer.flush()

    def _flushed(self, keys: list[_Key], error: StorageError | None) -> None:
        for key in keys:
            answer = self._flushing.pop(key)
            if error is None:
                self._answer(key, answer)
            elif (where := self._unbind(key)) is not None:
                self._not_written(*where, error, ran="unknown")
        self._settled()

    def _refused(self, key: _Key, error: StorageError) -> None:
        self._going.discard(key)
        where = self._unbind(key)
        if where is not None:
            self._not_written(*where, error)

    def _not_written(self, peer: Peer, stream: int, error: StorageError, *, ran: Ran = "no") -> None:
        failure = Failure(ErrorCode.JOURNAL_FAILED, f"not done: {error}", ran)
        if isinstance(error, EventFailed):
            failure = Failure(ErrorCode.INTERNAL, str(error), "unknown")
        elif error.full:
            failure = Failure(ErrorCode.DISK_FULL, f"not done: {error}", ran, 10.0)
        peer.link.fail(stream, failure)
        self._tell(peer)

    # --- who is there ------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Tell of whom something has come; those who wait and whose session is over are told so."""
        since, self._looked_at = self._looked_at, self._loop.time()
        for peer in self._service.peers:
            if peer.heard_at >= since and self._space.is_here(peer.instance):
                self._shared.heard(peer.instance, peer.principal)
        over = [key for key in self._where if key not in self._going and self._space.known(*key) is None]
        for key in over:
            where = self._unbind(key)
            if where is not None:
                where[0].link.fail(where[1], Failure(ErrorCode.LEASE_LOST, _GONE, "no"))
                where[0].flush()

    # --- what others may see -----------------------------------------------------------------------------------------

    def _as_seen_by(self, caller: Caller, answer: ObjectStateAnswer | LeasesAnswer) -> ObjectStateAnswer | LeasesAnswer:
        """Which job holds something is told to those who may see the job."""
        if isinstance(answer, ObjectStateAnswer):
            shown: dict[str, int] = {}
            jobs = {f"job {job}": job for job in self._space.jobs()} if answer.held else {}
            for owner, units in answer.held.items():
                name = self._job_as_seen_by(caller, jobs[owner])[0] if owner in jobs else owner
                shown[name] = shown.get(name, 0) + units
            return msgspec.structs.replace(answer, held=shown)
        leases = []
        for lease in answer.leases:
            if lease.left_s is None:
                owner, principal = self._job_as_seen_by(caller, lease.owner.removeprefix("job "))
                lease = msgspec.structs.replace(lease, owner=owner, principal=principal)
            leases.append(lease)
        return LeasesAnswer(tuple(leases))

    def _job_as_seen_by(self, caller: Caller, job: str) -> tuple[str, str]:
        live = self._service.board.jobs.get(JobId(job))
        row = None if live is not None else self._service.board.journal.job(JobId(job))
        principal = live.principal if live is not None else row.principal if row is not None else ""
        return (f"job {job}" if caller.finds(principal) else "a job"), principal
