"""Requests about plans: who may make, see, change them; answered when what was asked for is recorded.

Rules of this module:

* A plan belongs to whoever made it, like a job, and ids are theirs: two people may use the same one. Who may not see it
  finds nothing.
* A plan is refused at once where its command may not be started by its maker now; whether it may when its time comes is
  asked again then.
* Groups are shared, like locks: who may use their names may stand in their lines. Changing one takes the right to
  change every plan in it.
* The same id with the same command, group, series and dependencies is the same plan. When it is to start may differ:
  the first one holds, as with start keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from holdfast.agent import plan as plans_of_runs
from holdfast.agent.access import Control, Decision, Principal, decide
from holdfast.agent.guard import command_detail
from holdfast.agent.plan_starts import LOOKING, Cargo, PlanStarts, Recorder, encode_cargo
from holdfast.coordination.plan_records import (
    Added,
    Answer,
    Asked,
    Cancelled,
    GroupChanged,
    Order,
    Phase,
    Planned,
    Retried,
    Why,
    in_order,
)
from holdfast.coordination.plans import Plans as Machine
from holdfast.coordination.plans import encode
from holdfast.coordination.timers import LEAST_EVERY_S
from holdfast.errors import NotFound, Refused, StorageError
from holdfast.jobs.body import body_hash
from holdfast.wire import limits
from holdfast.wire.codes import ErrorCode
from holdfast.wire.messages import Failure, clip
from holdfast.wire.plans import (
    Group,
    GroupInfo,
    Groups,
    GroupsAnswer,
    Plan,
    PlanInfo,
    Plans,
    PlansAnswer,
    PlanState,
    Replan,
    Unplan,
)

if TYPE_CHECKING:
    from holdfast.agent.guard import Caller
    from holdfast.agent.peer import Peer
    from holdfast.agent.service import Service

PAGE_BYTES: Final = 512 * 1024
"""Plans of one answer, encoded: with all around them they fit into a header."""
SHOWN_ITEMS, SHOWN_CHARS = 16, 200
"""Of a command, for people."""
_CODES: Final[dict[Why, ErrorCode]] = {
    "full": ErrorCode.QUEUE_FULL,
    "taken": ErrorCode.KEY_REUSED,
    "draining": ErrorCode.STATE,
    "gone": ErrorCode.NOT_FOUND,
    "repeats": ErrorCode.INVALID,
}
_STATES: Final[dict[Phase, PlanState]] = {
    "waiting": "waiting",
    "held": "waiting",
    "standing": "waiting",
    "starting": "running",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "skipped": "skipped",
}


class _Asker(NamedTuple):
    """Who waits for an answer; ``group``: which group it is about."""

    peer: Peer
    stream: int
    caller: Caller
    group: str | None


class PlansDesk:
    """One method for each request. See ``PlanStarts`` for the arguments."""

    def __init__(
        self,
        service: Service,
        machine: Machine,
        recorder: Recorder,
        identify: Callable[[Principal], Principal | None],
    ) -> None:
        self._service = service
        self._machine = machine
        self._recorder = recorder
        self._unix_s = service.board.unix_s
        self._starts = PlanStarts(service, machine, recorder, identify)
        self._askers: dict[int, _Asker] = {}
        self._ticket = LOOKING
        service.offer(
            {
                Plan: self.plan,
                Unplan: self.unplan,
                Replan: self.replan,
                Plans: self.list_plans,
                Group: self.group,
                Groups: self.list_groups,
            }
        )
        self.recover, self.close = self._starts.recover, self._starts.close

    @property
    def waiting(self) -> int:
        """Plans that are not over: as long as there are some, somebody has to be here."""
        return self._machine.active

    def ordered(self, order: Order) -> None:
        """What the machine orders."""
        if not isinstance(order, Answer):
            self._starts.carry_out(order)
        elif order.ticket == LOOKING:
            self._starts.looked()
        elif (asker := self._askers.pop(order.ticket, None)) is not None:
            self._answer(asker, order)

    # --- requests ----------------------------------------------------------------------------------------------------

    def plan(self, peer: Peer, stream: int, request: Plan, data: bytes) -> None:
        """PLAN: a start for later; answered when it is on the disk."""
        service = self._service
        caller = service.guard.caller(peer, request)
        self._check(request)
        if request.group is not None:
            caller.shares(request.group)
        spec, body = plans_of_runs.read_request(request.run, data)
        who, digest = caller.who, _digest(request, body_hash(body, spec))
        known = self._machine.named(who.name, request.id)
        if known is not None and known.asked.digest == digest:
            peer.link.respond(stream, self._page([known]))
            return
        decision = caller.start(spec, body)
        if not decision.allowed:
            raise caller.refuse_start(decision, spec, body)
        plans_of_runs.account(spec.user, spec.groups)
        if service.read_only is not None:
            raise Refused(service.read_only, code=ErrorCode.JOURNAL_FAILED)
        plans, jobs = self._dependencies(caller, request.after)
        run = msgspec.structs.replace(request.run, key="plan", user_key=False, attach=False, on_disconnect="keep")
        asked = Asked(
            id=request.id,
            principal=who.name,
            cargo=encode_cargo(Cargo(who, run, data)),
            digest=digest,
            argv=_shown(spec.argv),
            shell=spec.shell,
            group=request.group,
            priority=request.priority,
            at_unix_s=request.at_unix_s,
            delay_s=request.delay_s,
            every_s=request.every_s,
            skip_missed=request.skip_missed,
            after=request.after,
            plans=plans,
            jobs=jobs,
        )
        caller.does(decision, request.id, command_detail(spec, body))
        ticket = self._expect(peer, stream, caller)
        self._record(ticket, Added(unix_s=self._unix_s(), ticket=ticket, asked=asked), power=True)

    def unplan(self, peer: Peer, stream: int, request: Unplan, _body: bytes) -> None:
        """UNPLAN: it does not start (again)."""
        caller = self._service.guard.caller(peer, request)
        found = self._find(caller, request.id)
        caller.changes(found.asked.principal, found.asked.id)
        ticket = self._expect(peer, stream, caller)
        self._record(ticket, Cancelled(unix_s=self._unix_s(), ticket=ticket, plan=found.number), power=True)

    def replan(self, peer: Peer, stream: int, request: Replan, _body: bytes) -> None:
        """REPLAN: those that have failed start again."""
        caller = self._service.guard.caller(peer, request)
        if request.id is not None:
            found = self._find(caller, request.id)
            state = _STATES[found.phase]
            if state != "failed":
                raise Refused(
                    f"plan {request.id} is {state}; only a failed one can be tried again", code=ErrorCode.STATE
                )
            failed = [found]
        elif request.group is None:
            raise Refused("which plan, or the plans of which group?", code=ErrorCode.INVALID)
        else:
            mine = [each for each in self._machine.plans.values() if caller.controls(each.asked.principal)]
            failed = [each for each in mine if each.phase == "failed" and each.asked.group == request.group]
        for principal in sorted({each.asked.principal for each in failed}):
            caller.changes(principal, request.id or f"group {request.group}")
        ticket = self._expect(peer, stream, caller)
        numbers = tuple(each.number for each in failed)
        self._record(ticket, Retried(unix_s=self._unix_s(), ticket=ticket, plans=numbers), power=True)

    def list_plans(self, peer: Peer, stream: int, request: Plans, _body: bytes) -> None:
        """PLANS: those that the caller may see."""
        caller = self._service.guard.caller(peer, request)
        if request.id is not None:
            found = [self._find(caller, request.id)]
        else:
            found = in_order(
                each
                for each in self._machine.plans.values()
                if (request.all or not each.over)
                and request.group in (None, each.asked.group)
                and caller.finds(each.asked.principal)
            )
        peer.link.respond(stream, self._page(found[request.skip :]))

    def group(self, peer: Peer, stream: int, request: Group, _body: bytes) -> None:
        """GROUP: a group is to behave otherwise."""
        caller = self._service.guard.caller(peer, request)
        group = self._machine.groups.get(request.name)
        members = () if group is None else group.members
        owners = {self._machine.plans[number].asked.principal for number in members} | {caller.who.name}
        decision = decide(caller.rights, Control(caller.who.name))
        if decision.allowed and not all(caller.controls(owner) for owner in owners):
            text = f"there are plans of others in group {request.name!r}: {caller.who.name} may not change it"
            decision = Decision(False, "not controlled", text)
        asked = {"parallel": request.parallel, "paused": request.paused, "draining": request.drain}
        caller.does(decision, f"group {request.name}", {k: v for k, v in asked.items() if v is not None})
        ticket = self._expect(peer, stream, caller, request.name)
        change = GroupChanged(
            unix_s=self._unix_s(),
            ticket=ticket,
            name=request.name,
            parallel=request.parallel,
            paused=request.paused,
            draining=request.drain,
        )
        self._record(ticket, change, power=True)

    def list_groups(self, peer: Peer, stream: int, request: Groups, _body: bytes) -> None:
        """GROUPS: all of them."""
        caller = self._service.guard.caller(peer, request)
        peer.link.respond(stream, GroupsAnswer(self._groups(caller, sorted(self._machine.groups))))

    # --- answers -----------------------------------------------------------------------------------------------------

    def _expect(self, peer: Peer, stream: int, caller: Caller, group: str | None = None) -> int:
        """The ticket that the answer to this will come with."""
        self._ticket += 1
        self._askers[self._ticket] = _Asker(peer, stream, caller, group)
        return self._ticket

    def _record(self, ticket: int, happened: Added | Cancelled | Retried | GroupChanged, *, power: bool) -> None:
        def refused(error: StorageError) -> None:
            asker = self._askers.pop(ticket, None)
            if asker is None:
                return
            full = getattr(error, "full", False)
            code = ErrorCode.DISK_FULL if full else ErrorCode.JOURNAL_FAILED
            asker.peer.link.fail(asker.stream, Failure(code, f"not recorded: {error}", "no", 10.0 if full else None))
            asker.peer.flush()

        self._recorder.record(encode(happened), power=power, refused=refused)

    def _answer(self, asker: _Asker, answer: Answer) -> None:
        link = asker.peer.link
        if answer.refused is not None:
            retry_after_s = 10.0 if answer.refused == "full" else None
            link.fail(asker.stream, Failure(_CODES[answer.refused], clip(answer.text), "no", retry_after_s))
        elif asker.group is not None:
            link.respond(asker.stream, GroupsAnswer(self._groups(asker.caller, [asker.group])))
        else:
            link.respond(asker.stream, self._page(self._machine.plans[number] for number in answer.plans))
        asker.peer.flush()

    def _page(self, plans: Iterable[Planned]) -> PlansAnswer:
        infos: list[PlanInfo] = []
        room = PAGE_BYTES
        for each in plans:
            info = self._info(each)
            room -= len(msgspec.json.encode(info))
            if room < 0 and infos:
                return PlansAnswer(tuple(infos), more=True)
            infos.append(info)
        return PlansAnswer(tuple(infos))

    def _info(self, each: Planned) -> PlanInfo:
        asked = each.asked
        due = [each.due_unix_s] if each.due_unix_s is not None else []
        if each.until is not None:
            due.append(self._unix_s() + each.until - self._recorder.clock.now())
        return PlanInfo(
            id=asked.id,
            state=_STATES[each.phase],
            argv=asked.argv,
            shell=asked.shell,
            principal=asked.principal,
            group=asked.group,
            priority=asked.priority,
            due_unix_s=None if each.over else max(due, default=None),
            every_s=asked.every_s,
            after=asked.after,
            fired=each.fired,
            missed=each.missed,
            job=each.job,
            why=clip(each.why),
            ended_unix_s=each.ended_unix_s,
        )

    def _groups(self, caller: Caller, names: Iterable[str]) -> tuple[GroupInfo, ...]:
        counts: dict[str | None, dict[str, int]] = {name: {} for name in names}
        for each in self._machine.plans.values():
            count = counts.get(each.asked.group)
            if count is not None and caller.finds(each.asked.principal):
                state = _STATES[each.phase]
                count[state] = count.get(state, 0) + 1
                if state == "waiting" and each.asked.every_s is not None:
                    count["repeating"] = count.get("repeating", 0) + 1
        infos = []
        for name, count in counts.items():
            group = None if name is None else self._machine.groups.get(name)
            info = GroupInfo(str(name)) if group is None else GroupInfo(
                group.settings.name, group.settings.parallel, group.settings.paused, group.settings.draining
            )  # fmt: skip
            tally = {key: count.get(key, 0) for key in ("waiting", "repeating", "running", "failed")}
            infos.append(msgspec.structs.replace(info, **tally))
        return tuple(infos)

    # --- looking -----------------------------------------------------------------------------------------------------

    def _find(self, caller: Caller, id_: str) -> Planned:
        """The caller's own plan of this id, or that of somebody else which they may see."""
        found = self._known(caller, id_)
        if found is None:
            caller.missing(id_)  # for the record
            raise NotFound(f"no such plan: {id_}", code=ErrorCode.NOT_FOUND)
        return found

    def _known(self, caller: Caller, id_: str) -> Planned | None:
        own = self._machine.named(caller.who.name, id_)
        if own is not None:
            return own
        found = [
            each for each in self._machine.plans.values() if each.asked.id == id_ and caller.finds(each.asked.principal)
        ]
        if len(found) > 1:
            raise Refused(f"several people have a plan {id_}", code=ErrorCode.NOT_FOUND)
        return found[0] if found else None

    def _dependencies(self, caller: Caller, names: Iterable[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Numbers of the plans, and ids of the jobs, that these names stand for."""
        plans: list[int] = []
        jobs: list[str] = []
        for name in names:
            each = self._known(caller, name)
            if each is not None:
                plans.append(each.number)
            else:
                jobs.append(self._service.lookup.named(caller, name).job.id)
        return tuple(plans), tuple(jobs)

    def _check(self, request: Plan) -> None:
        """What a plan cannot be.

        Raises:
            Refused: it says which.
        """
        run, at, every = request.run, request.at_unix_s, request.every_s
        if at is not None and abs(at - self._unix_s()) > limits.SECONDS:
            raise Refused("not within ten years from now", code=ErrorCode.INVALID)
        if every is not None and every < LEAST_EVERY_S:
            raise Refused(f"every {every:g} s: {LEAST_EVERY_S:g} s is the least", code=ErrorCode.INVALID)
        if run.stdin:
            raise Refused("nobody is there to feed the standard input of a plan", code=ErrorCode.INVALID)
        if run.hold is not None:
            raise Refused("a plan cannot take over what is held now", code=ErrorCode.INVALID)
        if run.not_after_unix_s is not None:
            raise Refused("a plan has no last time to start; skip_missed is for that", code=ErrorCode.INVALID)


def _digest(request: Plan, body: bytes) -> bytes:
    """Of what makes it another plan."""
    same = msgspec.json.encode((request.every_s, request.group, request.after))
    return hashlib.sha256(body + same).digest()


def _shown(argv: tuple[str, ...]) -> tuple[str, ...]:
    """A command for people."""
    shown = tuple(item if len(item) <= SHOWN_CHARS else f"{item[:SHOWN_CHARS]}\N{HORIZONTAL ELLIPSIS}" for item in argv)
    return shown if len(shown) <= SHOWN_ITEMS else (*shown[:SHOWN_ITEMS], "\N{HORIZONTAL ELLIPSIS}")
