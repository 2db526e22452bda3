"""The life of one job: a stimulus and the time go in, instructions come out, nothing is done here.

Rules of this room:

* ``JOB_MOVES`` is the whole truth about states; what it does not list is illegal and changes nothing.
* A :class:`Record` stands before the acts that depend on it; who carries out instructions keeps that order.
* A status is taken from the supervisor's record or left out; nothing here makes one up.
* Times are Unix seconds and come in as arguments; nothing here has a clock, a random number or a descriptor.

A second stimulus that arrives too late (a stop after the end, an expiry after the start) is listed as a move that
stays where it is: such races are part of life, and only true contradictions are errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from holdfast.jobs import receipts
from holdfast.jobs.instructions import Instruction, Notify, Record, Release, Requeue, Signal, Spawn, Stop
from holdfast.jobs.moves import DONE, ENDING, JOB_MOVES, QUEUED, RUNNING, STARTING, IllegalMove
from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import (
    Adopted,
    Attached,
    Exited,
    FoundDamaged,
    LeaseExpired,
    LeftOnPurpose,
    Lost,
    MainExited,
    NotAfterPassed,
    NothingInherited,
    OutputLimit,
    SignalAsked,
    SlotFreed,
    Spawned,
    SpawnFailed,
    Stimulus,
    StopAsked,
    TakenOutput,
)
from holdfast.store.rows import JobRow
from holdfast.store.writes import (
    AppendEvent,
    InsertJob,
    KeyKind,
    MarkDone,
    MarkEnding,
    MarkQueued,
    MarkStarted,
    MarkStarting,
    ReplaceSpec,
    Write,
)
from holdfast.types import STDERR, STDOUT, Cause, JobId, JobState, Receipt, ShimId

MAX_ATTEMPTS: Final = 10
"""Shims that may die under a job before its start until it is given up: a host where they all die is not well."""

TRAIL_MOVES: Final = 8
"""Last moves of a job that its errors name."""


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """What a request adds to a job's spec when it is accepted: identity, key and exact bytes."""

    job: JobId
    principal: str
    body: bytes
    body_hash: bytes
    key_hash: bytes
    key_kind: KeyKind = "generated"
    key_born_unix_s: float = 0.0


class Job:
    """One job between its acceptance and its receipt.

    Attributes (read-only for others): ``id``, ``spec``, ``state``, ``attempt``, ``shim``, ``pid``, ``start_ticks``,
    ``accepted_unix_s``, ``started_unix_s``, ``adopted`` (the keeper supervises it), ``stop`` (what was asked),
    ``receipt`` (once DONE).
    """

    __slots__ = (
        "_kills",
        "_signals",
        "_trail",
        "accepted_unix_s",
        "adopted",
        "attempt",
        "boot_id",
        "host",
        "id",
        "pid",
        "receipt",
        "shim",
        "spec",
        "start_ticks",
        "started_unix_s",
        "state",
        "stop",
    )

    def __init__(self, job: JobId, spec: JobSpec, *, accepted_unix_s: float, host: str = "", boot_id: str = "") -> None:
        self.id = job
        self.spec = spec
        self.state = QUEUED
        self.attempt = 0
        self.shim: ShimId | None = None
        self.pid: int | None = None
        self.start_ticks: int | None = None
        self.accepted_unix_s = accepted_unix_s
        self.started_unix_s: float | None = None
        self.adopted = False
        self.stop: Stop | None = None
        self.receipt: Receipt | None = None
        self.host = host
        self.boot_id = boot_id
        self._signals: list[SignalAsked] = []  # waiting for the start
        self._kills: dict[int, str] = {}  # signal number -> who asked last
        self._trail: list[tuple[JobState, type[Stimulus]]] = []

    @classmethod
    def accept(
        cls,
        acceptance: Acceptance,
        spec: JobSpec,
        *,
        now: float,
        shim: ShimId | None = None,
        host: str = "",
        boot_id: str = "",
    ) -> tuple[Job, list[Instruction]]:
        """A new job and what is to be done first.

        Args:
            acceptance: Identity, key and body.
            spec: What was asked for.
            now: Unix seconds.
            shim: A shim that is free for it at once; None: it waits in the queue.
            host: The host's name, for the receipt.
            boot_id: The host's boot id, for the receipt.
        """
        job = cls(acceptance.job, spec, accepted_unix_s=now, host=host, boot_id=boot_id)
        if shim is not None:
            job.state, job.attempt, job.shim = STARTING, 1, shim
        insert = InsertJob(
            job=acceptance.job,
            principal=acceptance.principal,
            body=acceptance.body,
            spec=spec.encode(),
            body_hash=acceptance.body_hash,
            key_hash=acceptance.key_hash,
            key_kind=acceptance.key_kind,
            key_born_unix_s=acceptance.key_born_unix_s,
            durability=spec.durability,
            accepted_unix_s=now,
            state=job.state,
            attempt=job.attempt,
            shim=shim,
            label=spec.label,
            retry_of=None if spec.retry_of is None else JobId(spec.retry_of),
            not_after_unix_s=spec.not_after_unix_s,
        )
        instructions: list[Instruction] = [
            Record((insert, AppendEvent(job.id, "accepted", now)), power=spec.durability == "power"),
            Notify("accepted"),
        ]
        if shim is not None:
            instructions.append(Spawn(shim, 1))
        return job, instructions

    @classmethod
    def from_row(cls, row: JobRow, *, host: str = "") -> Job:
        """The job as the journal has it: what recovery and the reading of finished jobs start from.

        Raises:
            msgspec.DecodeError: the row's spec is not one.
        """
        job = cls(
            row.job, JobSpec.decode(row.spec), accepted_unix_s=row.accepted_unix_s, host=host, boot_id=row.boot_id
        )
        job.state = row.state
        job.attempt = row.attempt
        job.shim = row.shim
        job.pid = row.pid
        job.start_ticks = row.start_ticks
        job.started_unix_s = row.started_unix_s
        job.receipt = row.receipt
        if row.stop_cause is not None:
            job.stop = Stop(row.stop_cause, row.stop_by, row.stop_grace_s)
        return job

    def allows(self, stimulus: type[Stimulus]) -> bool:
        """Whether this kind of stimulus is a move from here: ask before passing on what a client wants."""
        return (self.state, stimulus) in JOB_MOVES

    def step(self, stimulus: Stimulus, now: float) -> list[Instruction]:
        """Takes one stimulus; gives what is to be done, in order.

        Args:
            stimulus: What happened.
            now: Unix seconds.

        Raises:
            IllegalMove: it cannot happen in this state; the job is unchanged.
        """
        kind = type(stimulus)
        came_from = self.state
        target = JOB_MOVES.get((came_from, kind))
        if target is None:
            raise IllegalMove(f"{kind.__name__} in state {came_from} of job {self.id}", job=self.id, trail=self.trail())
        trail = self._trail
        trail.append((came_from, kind))
        if len(trail) > TRAIL_MOVES:
            del trail[0]
        if came_from is DONE:
            return []
        self.state = target
        return _HANDLERS[kind](self, stimulus, came_from, now)

    def trail(self) -> list[str]:
        """The last moves, oldest first, as ``state+Stimulus``."""
        return [f"{state}+{kind.__name__}" for state, kind in self._trail]

    def validate(self) -> None:
        """Checks every invariant.

        Raises:
            AssertionError: names the broken one and the last moves.
        """

        def check(holds: bool, what: str) -> None:
            if not holds:
                raise AssertionError(f"job {self.id} ({self.state}): {what}; last moves: {self.trail()}")

        state = self.state
        check((self.receipt is not None) == (state is DONE), "a receipt exists exactly when the job is done")
        check(state is not QUEUED or self.shim is None, "a waiting job has no shim")
        check(state not in (STARTING, RUNNING, ENDING) or self.shim is not None, "a started job has a shim")
        check(state not in (STARTING, RUNNING, ENDING) or self.attempt >= 1, "a started job has an attempt")
        check(state is not QUEUED or self.stop is None, "nothing is remembered for a job that has not begun")
        check(state is not RUNNING or self.stop is None, "a job that is being stopped is ENDING")
        check(state is STARTING or not self._signals, "signals wait only for a start")
        check(self.pid is None or state not in (QUEUED, STARTING), "a pid belongs to a started job")
        check(state not in (RUNNING, ENDING) or self.pid is not None, "a running job has a pid")
        check(self.attempt <= MAX_ATTEMPTS, "attempts are bounded")
        if self.receipt is not None:
            receipt = self.receipt
            known = receipt.cause not in _WITHOUT_STATUS
            check(known == (receipt.exit is not None), "a status is there exactly where one can be known")
            check(receipt.job == self.id, "the receipt is this job's")

    # -- the moves, in the order of a life ---------------------------------------------------------------------------

    def _slot_freed(self, s: SlotFreed, _from: JobState, now: float) -> list[Instruction]:
        self.shim = s.shim
        self.attempt += 1
        return [
            Record((MarkStarting(self.id, self.attempt, s.shim),)),
            Notify("starting"),
            Spawn(s.shim, self.attempt),
        ]

    def _attached(self, s: Attached, came_from: JobState, now: float) -> list[Instruction]:
        self.adopted = s.adopted
        writes: tuple[Write, ...] = ()
        if s.shim != self.shim or s.attempt != self.attempt or came_from is QUEUED:
            # The journal may lag behind the shim's own record by one step; the record on the shim's side wins.
            self.shim, self.attempt = s.shim, max(s.attempt, 1)
            ending = (MarkEnding(self.id),) if self.state is ENDING else ()
            writes = (MarkStarting(self.id, self.attempt, s.shim), *self._started_writes(), *ending)
        out: list[Instruction] = [Record(writes)] if writes else []
        return out + self._stop_again()

    def _spawned(self, s: Spawned, came_from: JobState, now: float) -> list[Instruction]:
        self.pid, self.start_ticks, self.started_unix_s = s.pid, s.start_ticks, s.started_unix_s
        if came_from is not STARTING:  # the shim says it again after the agent came back
            return []
        if self.stop is not None:
            self.state = ENDING
        event = AppendEvent(self.id, "started", s.started_unix_s, b'{"pid":%d}' % s.pid)
        ending = (MarkEnding(self.id),) if self.state is ENDING else ()
        out: list[Instruction] = [
            Record((*self._started_writes(), event, *ending), lazy=True),
            Notify("started"),
        ]
        if self._signals:
            out += [Signal(signal.signum, signal.scope, self.adopted) for signal in self._signals]
            self._signals = []
        return out + self._stop_again()

    def _spawn_failed(self, s: SpawnFailed, _from: JobState, now: float) -> list[Instruction]:
        receipt = receipts.without_exit(
            self._facts(), Cause.START_FAILED, now=now, reason=s.reason, errno=s.errno, stage=s.stage
        )
        return self._end(receipt)

    def _nothing_inherited(self, s: NothingInherited, came_from: JobState, now: float) -> list[Instruction]:
        if came_from in (RUNNING, ENDING):
            return self._lost(Lost("supervisor"), came_from, now)
        self.shim = None
        self.adopted = False
        if self.stop is not None:
            return self._cancel(self.stop.by, now)
        if self.attempt >= MAX_ATTEMPTS:
            self.state = DONE
            return self._spawn_failed(SpawnFailed(None, "spawn", f"shims died {self.attempt} times"), QUEUED, now)
        self._signals = []
        if came_from is QUEUED:
            return [Requeue(self.id)]
        record = Record((MarkQueued(self.id), AppendEvent(self.id, "requeued", now)))
        return [record, Notify("requeued"), Requeue(self.id)]

    def _adopted(self, s: Adopted, _from: JobState, now: float) -> list[Instruction]:
        self.adopted = True
        return self._stop_again()

    def _stop_asked(self, s: StopAsked, came_from: JobState, now: float) -> list[Instruction]:
        if came_from is QUEUED:
            return self._cancel(s.by, now)
        return self._order_stop(Stop(Cause.STOPPED, s.by, s.grace_s, self.adopted), now)

    def _lease_expired(self, s: LeaseExpired, came_from: JobState, now: float) -> list[Instruction]:
        if came_from is QUEUED:
            return self._cancel("lost-client", now)
        return self._order_stop(Stop(Cause.CLIENT_LOST, "lost-client", s.grace_s, self.adopted), now)

    def _output_limit(self, s: OutputLimit, came_from: JobState, now: float) -> list[Instruction]:
        return self._order_stop(Stop(Cause.OUTPUT_LIMIT, "output-limit", s.grace_s, self.adopted), now)

    def _signal_asked(self, s: SignalAsked, came_from: JobState, now: float) -> list[Instruction]:
        self._kills[s.signum] = s.by
        if came_from is STARTING:
            self._signals.append(s)
            return []
        return [Signal(s.signum, s.scope, self.adopted)]

    def _main_exited(self, s: MainExited, came_from: JobState, now: float) -> list[Instruction]:
        if came_from is ENDING:
            return []
        return [Record((MarkEnding(self.id),), lazy=True), Notify("ending")]

    def _not_after_passed(self, s: NotAfterPassed, came_from: JobState, now: float) -> list[Instruction]:
        if came_from is not QUEUED:
            return []
        return self._end(receipts.without_exit(self._facts(), Cause.EXPIRED, now=now, reason="not_after passed"))

    def _left_on_purpose(self, s: LeftOnPurpose, _from: JobState, now: float) -> list[Instruction]:
        if self.spec.on_disconnect == "keep":
            return []
        self.spec = msgspec.structs.replace(self.spec, on_disconnect="keep")
        return [Record((ReplaceSpec(self.id, self.spec.encode()),))]

    def _exited(self, s: Exited, _from: JobState, now: float) -> list[Instruction]:
        status = s.record.status
        sender = self._kills.get(status.signal, "") if status is not None and status.signal else ""
        receipt = receipts.from_exit(self._facts(), s.record, s.stdout, s.stderr, signalled_by=sender)
        on_record = not sender and s.record.supervisor != "agent"  # else we alone know who sent it, or how it ended
        return self._end(receipt, s.stdout, s.stderr, on_record=on_record)

    def _lost(self, s: Lost, _from: JobState, now: float) -> list[Instruction]:
        return self._end_unknown(Cause.LOST, s.reason, s.stdout, s.stderr, now)

    def _damaged(self, s: FoundDamaged, _from: JobState, now: float) -> list[Instruction]:
        return self._end_unknown(Cause.DAMAGED, s.reason, s.stdout, s.stderr, now)

    # -- parts of moves ----------------------------------------------------------------------------------------------

    def _facts(self) -> receipts.Facts:
        return receipts.Facts(
            job=self.id,
            spec=self.spec,
            accepted_unix_s=self.accepted_unix_s,
            attempt=self.attempt,
            started_unix_s=self.started_unix_s,
            host=self.host,
            boot_id=self.boot_id,
        )

    def _started_writes(self) -> tuple[MarkStarted, ...]:
        if self.pid is None or self.start_ticks is None or self.started_unix_s is None:
            return ()
        return (MarkStarted(self.id, self.pid, self.start_ticks, self.started_unix_s),)

    def _stop_again(self) -> list[Instruction]:
        stop = self.stop
        if stop is None or not (self.state is ENDING or self.adopted):
            return []
        return [Stop(stop.cause, stop.by, stop.grace_s, self.adopted)]

    def _order_stop(self, stop: Stop, now: float) -> list[Instruction]:
        """The first order gives the cause; a later one only matters where its patience is shorter."""
        first = self.stop
        if first is not None:
            if stop.grace_s >= first.grace_s:
                return []
            stop = Stop(first.cause, first.by, stop.grace_s, self.adopted)
        self.stop = stop
        record = Record(
            (
                *self._started_writes(),  # again: this record takes the place of a lazy one
                MarkEnding(self.id, self.state, stop.cause, stop.by, stop.grace_s),
                AppendEvent(self.id, "ending", now, _encode({"cause": stop.cause, "by": stop.by})),
            )
        )
        if self.state is STARTING:  # delivered by Spawned; an adopted tree exists already
            return [record, *self._stop_again()]
        return [record, Notify("ending"), stop]

    def _cancel(self, by: str, now: float) -> list[Instruction]:
        self.state = DONE
        return self._end(receipts.without_exit(self._facts(), Cause.CANCELLED, now=now, by=by))

    def _end_unknown(
        self, cause: Cause, reason: str, stdout: TakenOutput, stderr: TakenOutput, now: float
    ) -> list[Instruction]:
        receipt = receipts.without_exit(
            self._facts(), cause, now=now, reason=reason, stdout=stdout, stderr=stderr, supervisor="agent"
        )
        return self._end(receipt, stdout, stderr)

    def _end(
        self,
        receipt: Receipt,
        stdout: TakenOutput = receipts.NO_OUTPUT,
        stderr: TakenOutput = receipts.NO_OUTPUT,
        *,
        on_record: bool = False,
    ) -> list[Instruction]:
        """The last instructions. ``on_record``: the receipt can be drawn up again from the supervisor's EXIT record."""
        self.receipt = receipt
        self._signals = []
        spooled = spool_bytes = 0
        for channel, taken in ((STDOUT, stdout), (STDERR, stderr)):
            if taken.inline is None and taken.length:
                spooled |= 1 << channel
                spool_bytes += taken.length - taken.first
        done = MarkDone(
            job=self.id,
            receipt=receipt,
            stdout=stdout.inline,
            stderr=stderr.inline,
            spooled=spooled,
            spool_bytes=spool_bytes,
            pid=self.pid,
        )
        shim, self.shim = self.shim, None
        power = self.spec.durability == "power"
        record = Record((done, AppendEvent(self.id, "done", receipt.ended_unix_s, _end_event(receipt))), power=power)
        told = Notify("done", receipt)
        if on_record and not power:  # EXIT outlives us and stays until RELEASE: nobody need wait for the journal's copy
            return [told, record, Release(shim)]
        return [record, told, Release(shim)]


class _EndEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    cause: Cause
    returncode: int | None = None


_WITHOUT_STATUS: Final = frozenset((Cause.CANCELLED, Cause.EXPIRED, Cause.START_FAILED, Cause.LOST, Cause.DAMAGED))

_encode = msgspec.json.Encoder().encode


def _end_event(receipt: Receipt) -> bytes:
    return _encode(_EndEvent(receipt.cause, receipt.returncode))


_HANDLERS: Final[Mapping[type[Stimulus], Callable[..., list[Instruction]]]] = {
    SlotFreed: Job._slot_freed,
    Attached: Job._attached,
    Spawned: Job._spawned,
    SpawnFailed: Job._spawn_failed,
    NothingInherited: Job._nothing_inherited,
    Adopted: Job._adopted,
    StopAsked: Job._stop_asked,
    LeaseExpired: Job._lease_expired,
    OutputLimit: Job._output_limit,
    SignalAsked: Job._signal_asked,
    MainExited: Job._main_exited,
    NotAfterPassed: Job._not_after_passed,
    LeftOnPurpose: Job._left_on_purpose,
    Exited: Job._exited,
    Lost: Job._lost,
    FoundDamaged: Job._damaged,
}
