"""All live jobs of an agent: feeds stimuli to their machines and carries out what these order.

Rules of this module:

* It decides nothing about a job. ``jobs.machine`` orders; what is ordered is done in that order, and what follows a
  record waits until the journal has it.
* A shim is given to another job only after RELEASE, and RELEASE comes after the commit of DONE.
* Requests do not come here (``agent.service``); files and processes do.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from holdfast.agent import orphans, plan
from holdfast.agent.live import LiveJob, Stdin
from holdfast.agent.takeover import TAKEN_FLAGS, exit_record, found_ends, recorded_ends, take_output
from holdfast.errors import Refused, StorageError
from holdfast.jobs.admission import Admission
from holdfast.jobs.body import Body
from holdfast.jobs.instructions import Instruction, Notify, Record, Release, Requeue, Signal, Spawn, Stop
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Acceptance, Job
from holdfast.jobs.output import EMPTY_DIGEST, OutputChannel
from holdfast.jobs.recovery import STARTS, Action, KeeperSays, decide
from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import (
    Adopted,
    Exited,
    LeaseExpired,
    Lost,
    NotAfterPassed,
    NothingInherited,
    SlotFreed,
    Spawned,
    SpawnFailed,
    Stimulus,
    TakenOutput,
)
from holdfast.jobs.supervise import Crew, Shim, keeper_lives, tended
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.store.files import OutputFiles
from holdfast.store.writes import InsertJob
from holdfast.types import STDERR, STDOUT, Cause, JobId, JobState, Receipt, ShimId
from holdfast.wire.limits import WINDOW_BYTES

if TYPE_CHECKING:
    from holdfast.store.interface import JobJournal

ROOM_STEP_BYTES: Final = 64 * 1024
"""A bounded spool is emptied in steps of this: those in which the disk gives space back."""
LAZY_S: Final = 0.5
"""How long a record that nothing waits for is held back; a job that ends sooner costs two writes instead of three."""

LOOK_AGAIN_S: Final = 0.05
"""How often a job is looked at whose shim died under a keeper that does not speak to us."""
ALONE_JOBS: Final = 2
"""With no more live jobs than this the journal may commit on the loop: nothing else waits, and no group would form."""

RECORD_AGAIN_S: Final = 1.0
"""After the journal refused a record of an accepted job, all that wait for it are offered again so soon."""

TAKE_AGAIN_S: Final = 1.0
"""The same for output that could not be taken over: the disk may be full for a while."""

_RUN_TYPE: Final = 0x01
_SCOPES: Final = {"main": messages.MAIN, "group": messages.GROUP, "tree": messages.TREE}
_CAUSES: Final = {name: number for number, name in enumerate(control.CAUSES)}


class Board:
    """The live jobs. Everything runs on the agent's loop; nothing here waits.

    Args:
        loop: The agent's loop.
        state_dir: Where spools of finished jobs are kept.
        journal: What is true about jobs.
        admission: Slots and queue.
        host: This host's name, for receipts and environments.
        agent_id: Marks the environment of every command of this state directory.
        log: Takes one line for the agent's log.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        state_dir: str,
        journal: JobJournal,
        admission: Admission,
        host: str,
        boot_id: str,
        agent_id: str,
        now_unix_s: Callable[[], float],
        log: Callable[[str], None],
    ) -> None:
        self.loop = loop
        self.state_dir = state_dir
        self.journal = journal
        self.admission = admission
        self.host = host
        self.boot_id = boot_id
        self.agent_id = agent_id
        self.unix_s = now_unix_s
        self.log = log
        self.files = OutputFiles(state_dir)
        self.jobs: dict[JobId, LiveJob] = {}
        self.by_key: dict[tuple[str, bytes], LiveJob] = {}
        self.crew: Crew = Crew(loop, state_dir, self)
        self.counters = {"accepted": 0, "started": 0, "done": 0, "lost": 0, "shims_died": 0, "keepers_lost": 0}
        self.on_notify: Callable[[LiveJob, Notify], None] = lambda live, notify: None
        self.on_growth: Callable[[LiveJob], None] = lambda live: None
        self.on_keeper_word: Callable[..., None] | None = None
        self.paused = False
        self.on_keeper_closed: Callable[[], None] = lambda: None
        self.on_journal_error: Callable[[LiveJob, StorageError], None] = lambda live, error: None
        self._wanting_shim: deque[LiveJob] = deque()
        self._turn: list[tuple[LiveJob, Record]] = []
        self._lazy: set[LiveJob] = set()
        self._lazy_timer: asyncio.TimerHandle | None = None
        self._unrecorded: list[LiveJob] = []
        self._unrecorded_timer: asyncio.TimerHandle | None = None

    # --- acceptance --------------------------------------------------------------------------------------------------

    def accept(
        self, acceptance: Acceptance, spec: JobSpec, body: Body, lease: Lease, *, queued: bool
    ) -> tuple[LiveJob, list[Instruction]]:
        """A new job: admission has said yes. Nothing is done yet: attach who reads, then ``begin``.

        Args:
            acceptance: Identity, key and bytes.
            spec: What was asked for.
            body: The command.
            lease: Its client-loss policy.
            queued: It waits for a slot; otherwise it starts as soon as a shim is free.
        """
        shim = None if queued else self._take_idle()
        job, instructions = Job.accept(
            acceptance,
            spec,
            now=self.unix_s(),
            shim=None if shim is None else shim.id,
            host=self.host,
            boot_id=self.boot_id,
        )
        live = LiveJob(job, acceptance.principal, lease)
        live.body = body
        self.adopt_shim(live, shim)
        self.jobs[job.id] = live
        self.by_key[acceptance.principal, acceptance.key_hash] = live
        live.key = (acceptance.principal, acceptance.key_hash)
        self.counters["accepted"] += 1
        if spec.stdin:
            live.stdin = Stdin()
        if spec.not_after_unix_s is not None:
            self._arm_expiry(live, spec.not_after_unix_s)
        if shim is None and not queued:
            self._wanting_shim.append(live)
            self.crew.want(len(self._wanting_shim))
        return live, instructions

    def begin(self, live: LiveJob, instructions: list[Instruction]) -> None:
        """Carry out a new job's first instructions."""
        self._order(live, instructions)

    def restore(self, live: LiveJob, key: tuple[str, bytes]) -> None:
        """Recovery: this job is not done."""
        self.jobs[live.job.id] = live
        self.by_key[key] = live
        live.key = key
        not_after = live.job.spec.not_after_unix_s
        if live.job.state is JobState.QUEUED and not_after is not None:
            self._arm_expiry(live, not_after)

    def start_waiting(self, live: LiveJob, *, first: bool = False) -> None:
        """The job has a slot: it gets the next shim."""
        if first:
            self._wanting_shim.appendleft(live)
        else:
            self._wanting_shim.append(live)
        self._serve_waiting()

    # --- stimuli -----------------------------------------------------------------------------------------------------

    def step(self, live: LiveJob, stimulus: Stimulus) -> None:
        """Let this happen to a job, and do what its machine orders."""
        self._order(live, live.job.step(stimulus, self.unix_s()))

    def touch_lease(self, live: LiveJob) -> None:
        """The lease has changed: set the timer for its deadline."""
        if live.lease_timer is not None:
            live.lease_timer.cancel()
            live.lease_timer = None
        deadline = live.lease.deadline
        if deadline is not None and live.job.state is not JobState.DONE:
            live.lease_timer = self.loop.call_at(deadline, self._lease_over, live)

    def _lease_over(self, live: LiveJob) -> None:
        live.lease_timer = None
        if live.lease.expired(self.loop.time()) and live.job.allows(LeaseExpired):
            self.step(live, LeaseExpired(live.job.spec.grace_s))
        else:
            self.touch_lease(live)

    def _arm_expiry(self, live: LiveJob, not_after_unix_s: float) -> None:
        delay = max(0.0, not_after_unix_s - self.unix_s())
        live.expiry = self.loop.call_later(min(delay, 3600.0), self._expiry_due, live, not_after_unix_s)

    def _expiry_due(self, live: LiveJob, not_after_unix_s: float) -> None:
        live.expiry = None
        if self.unix_s() < not_after_unix_s:  # the wall clock may have been set back meanwhile
            self._arm_expiry(live, not_after_unix_s)
        elif live.job.allows(NotAfterPassed):
            self.step(live, NotAfterPassed())

    # --- instructions ------------------------------------------------------------------------------------------------

    def _order(self, live: LiveJob, instructions: list[Instruction]) -> None:
        live.todo.extend(instructions)
        if not live.recording:
            self._advance(live)

    def _advance(self, live: LiveJob) -> None:
        todo = live.todo
        while todo:
            instruction = todo.popleft()
            if isinstance(instruction, Record):
                if instruction.lazy:
                    self._hold_back(live, instruction)
                    continue
                live.lazy.clear()
                live.recording = True
                self._submit(live, instruction)
                return
            try:
                self._carry_out(live, instruction)
            except Exception:  # a mistake in one step must not keep the job from its end
                self.log(f"job {live.job.id}: {type(instruction).__name__} failed\n{traceback.format_exc()}")

    def _submit(self, live: LiveJob, record: Record) -> None:
        """Hand a record to the journal: at once if it is alone, else with all others of this turn of the loop.

        One hand-over a turn keeps the journal's thread and the loop from passing the interpreter to and fro.
        """
        if len(self.jobs) <= ALONE_JOBS:
            done = partial(self._recorded, live, record)
            self.journal.submit(record.writes, power=record.power, at_once=True, done=done)
            return
        if not self._turn:
            self.loop.call_soon(self._submit_turn)
        self._turn.append((live, record))

    def _submit_turn(self) -> None:
        turn, self._turn = self._turn, []
        for live, record in turn:
            self.journal.submit(record.writes, power=record.power, done=partial(self._recorded, live, record))

    def _recorded(self, live: LiveJob, record: Record, error: StorageError | None) -> None:
        if error is None:
            live.recording = False
            self._advance(live)
        elif isinstance(record.writes[0], InsertJob):
            live.recording = False
            self._not_accepted(live, error)
        else:
            self._record_later(live, record, error)

    def _not_accepted(self, live: LiveJob, error: StorageError) -> None:
        """The journal took no write, so the job never was."""
        self.log(f"job {live.job.id}: {error}")
        live.todo.clear()
        self._forget(live)
        if live.shim is not None:
            self.crew.put_back(live.shim)
        if live in self._wanting_shim:
            self._wanting_shim.remove(live)
        self._freed(live)
        self.on_journal_error(live, error)

    def _record_later(self, live: LiveJob, record: Record, error: StorageError) -> None:
        """A job that was accepted goes no step further than its records: until room comes back, it stays as it is.

        Its shim holds what it needs; a journal that takes nothing ever again is read by the next agent.
        """
        live.todo.appendleft(record)
        self._unrecorded.append(live)
        if self._unrecorded_timer is None:
            self.log(f"job {live.job.id} and those that follow wait for the journal: {error}")
            self._unrecorded_timer = self.loop.call_later(RECORD_AGAIN_S, self._record_again)
            self.on_journal_error(live, error)

    def _record_again(self) -> None:
        self._unrecorded_timer = None
        waiting, self._unrecorded = self._unrecorded, []
        for live in waiting:
            live.recording = False
            self._advance(live)

    def _hold_back(self, live: LiveJob, record: Record) -> None:
        live.lazy.extend(record.writes)
        self._lazy.add(live)
        if self._lazy_timer is None:
            self._lazy_timer = self.loop.call_later(LAZY_S, self.flush_lazy)

    def flush_lazy(self) -> None:
        """Submit what was held back."""
        self._submit_turn()
        self._lazy_timer = None
        for live in self._lazy:
            if live.lazy:
                self.journal.submit(tuple(live.lazy))
                live.lazy.clear()
        self._lazy.clear()

    def _carry_out(self, live: LiveJob, instruction: Instruction) -> None:
        if isinstance(instruction, Notify):
            if instruction.receipt is not None:
                self._publish(live, instruction.receipt)
            self.on_notify(live, instruction)
        elif isinstance(instruction, Spawn):
            self._spawn(live, instruction)
        elif isinstance(instruction, Release):
            self._release(live, instruction.shim)
        elif isinstance(instruction, Stop):
            cause = _CAUSES[instruction.cause]
            self._tell(live, messages.Stop(cause, _clipped(instruction.by), round(instruction.grace_s * 1000)))
        elif isinstance(instruction, Signal):
            self._tell(live, messages.Signal(instruction.signum, _SCOPES[instruction.scope]))
        elif isinstance(instruction, Requeue):
            live.shim = None
            live.spawned = False
            live.untold.clear()
            live.room.clear()
            for job in self.admission.requeue(live.job.id):
                self.start_waiting(self.jobs[job], first=job == live.job.id)

    def _tell(self, live: LiveJob, message: messages.ToShim) -> None:
        """Tell its supervisor; between a shim's death and the adoption, the adopter is told as soon as it answers."""
        if live.shim is not None:
            live.shim.send(message)
        else:
            live.untold.append(message)

    def _spawn(self, live: LiveJob, spawn: Spawn) -> None:
        body, shim, job = live.body, live.shim, live.job
        assert body is not None
        if shim is None:  # it died between the order and now; its keeper's word will come
            return
        try:
            run = plan.shim_run(
                job.id, spawn.attempt, job.spec, body, host=self.host, agent_id=self.agent_id, now_unix_s=self.unix_s()
            )
        except Refused as error:
            self.crew.put_back(shim)
            live.shim = None
            self.step(live, SpawnFailed(None, "user", str(error)))
            return
        data = messages.frame(run)
        watch = self.watch_of(live)
        if watch is not None:
            data += messages.frame(watch)
        if self.paused:
            data += messages.frame(messages.Pause())
        shim.send_framed(data)
        live.spawned = True
        self.counters["started"] += 1
        for number in live.out:
            self.make_room(live, number)

    def _publish(self, live: LiveJob, receipt: Receipt) -> None:
        live.published = receipt
        for channel, record in ((live.out[STDOUT], receipt.stdout), (live.out[STDERR], receipt.stderr)):
            if not channel.final:  # nothing was taken over: it never ran
                channel.length, channel.first, channel.digest = record.bytes, record.first, EMPTY_DIGEST
                channel.final = True
        self.counters["done"] += 1
        if receipt.cause == "lost":
            self.counters["lost"] += 1

    def _release(self, live: LiveJob, shim_id: ShimId | None) -> None:
        self._forget(live)
        shim, live.shim = live.shim, None
        if shim is not None:
            left = live.ending is not None and live.ending.tree == control.TREE_LEFT
            self.crew.release(shim, live.job.id, live.job.attempt, taken=live.taken, last=left)
        elif shim_id is not None and shim_id not in self.crew.shims:
            receipt = live.job.receipt
            if receipt is None or receipt.cause is not Cause.DAMAGED:  # broken records are kept for people
                self.discard(shim_id)
        self.close_unused(live)
        self._freed(live)

    def close_unused(self, live: LiveJob) -> None:
        """Let go of a finished job's files, unless somebody reads them."""
        if not live.readers and not live.pins and live.job.id not in self.jobs:
            live.close()

    def _forget(self, live: LiveJob) -> None:
        self.jobs.pop(live.job.id, None)
        if live.key is not None:
            self.by_key.pop(live.key, None)
        for timer in (live.lease_timer, live.expiry):
            if timer is not None:
                timer.cancel()
        live.lease_timer = live.expiry = None

    def _freed(self, live: LiveJob) -> None:
        for job in self.admission.finished(live.job.id, self.loop.time()):
            next_live = self.jobs.get(job)
            if next_live is not None:
                self._wanting_shim.append(next_live)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        waiting = self._wanting_shim
        while waiting:
            live = waiting[0]
            if live.job.state is not JobState.QUEUED or live.job.id not in self.jobs:
                waiting.popleft()
                continue
            shim = self._take_idle()
            if shim is None:
                self.crew.want(len(waiting))
                return
            waiting.popleft()
            self.adopt_shim(live, shim)
            self.step(live, SlotFreed(shim.id))

    def _take_idle(self) -> Shim | None:
        return self.crew.take_idle()

    def adopt_shim(self, live: LiveJob, shim: Shim | None) -> None:
        live.shim = shim
        if shim is not None:
            shim.job = live

    # --- what shims and keeper say -----------------------------------------------------------------------------------

    def shim_ready(self, shim: Shim, state: messages.State) -> None:
        """A shim is connected. Idle: somebody may be waiting for it. Busy: its job is known from the journal."""
        live = self.jobs.get(JobId(state.job)) if state.stage != messages.IDLE else None
        if live is not None:
            self._tended_by(live, shim, state)
            return
        if state.stage != messages.IDLE and not self._release_again(shim, state):
            self.log(f"shim {shim.id} tends job {state.job}, which the journal does not know as unfinished")
            return
        stranded = next((live for live in self.jobs.values() if live.job.shim == shim.id), None)
        if stranded is not None:  # its order was lost with the agent that gave it
            self.settle_orphan(stranded, shim.id)
        self._serve_waiting()

    def _tended_by(self, live: LiveJob, shim: Shim, state: messages.State) -> None:
        """A supervisor that we were not connected to: it is told what was missed, and asked for what we have missed."""
        self.adopt_shim(live, shim)
        live.spawned = True
        shim.send(messages.Pause() if self.paused else messages.Resume())
        self.reopen(live)
        self.set_lengths(live, state.out_bytes, state.err_bytes)
        live.room.clear()
        for number in live.out:
            self.make_room(live, number)
        if live.job.state is JobState.STARTING and state.main_pid:
            started = self._slots(shim.id).started
            wall_s = started.wall_ns / 1e9 if isinstance(started, control.Started) else self.unix_s()
            self.step(live, Spawned(state.main_pid, 0, wall_s))
        untold, live.untold = live.untold, []
        for message in untold:
            shim.send(message)
        if live.stdin is not None and live.stdin.spool is not None:
            shim.send(messages.Stdin(live.stdin.committed, live.stdin.ended))
        self.on_growth(live)

    def _release_again(self, shim: Shim, state: messages.State) -> bool:
        """The last agent recorded the end of this shim's job and did not live to say so."""
        row = self.journal.job(JobId(state.job)) if state.stage == messages.DONE else None
        if row is None or row.state is not JobState.DONE:
            return False
        taken = sum(flag for number, flag in TAKEN_FLAGS.items() if row.is_spooled(number))
        self.crew.release(shim, state.job, state.attempt, taken=taken)
        return True

    def shim_said(self, shim: Shim, message: messages.FromShim) -> None:
        """Turn a shim's message into a stimulus for its job."""
        live = shim.job
        if not isinstance(live, LiveJob):
            return
        if isinstance(message, messages.Grew):
            live.armed = None
            self.set_lengths(live, message.out_bytes, message.err_bytes)
            self.on_growth(live)
        elif isinstance(message, messages.Exited):
            self._ended(live, shim, message)
        elif isinstance(message, messages.Started):
            if message.job == live.job.id and live.job.allows(Spawned):
                self.step(live, Spawned(message.pid, 0, message.wall_ns / 1e9))
        elif isinstance(message, messages.Stuck):
            self.log(f"job {live.job.id}: {message.number} processes do not die: {', '.join(map(str, message.pids))}")
        elif isinstance(message, messages.Rejected):
            self.log(f"job {live.job.id}: its shim refused message {message.type}: {message.reason}")
            if message.type == _RUN_TYPE and live.job.state is JobState.STARTING:
                shim.job = live.shim = None
                self.step(live, NothingInherited())

    def shim_closed(self, shim: Shim) -> None:
        """Its socket closed. With a keeper, its word decides; without one, nobody can tell any more."""
        live = shim.job
        if isinstance(live, LiveJob) and live.shim is shim:
            live.shim = None
            for number, channel in live.out.items():  # whoever reads reads on; an adopter writes to the same file
                spool = shim.give_up_spool(number)
                if spool is not None and not channel.keep(spool):
                    spool.close()
            live.armed = None
            if shim.keeperless or live.job.adopted:
                self._join_adopter(live, shim.id)
        elif shim.keeperless or (shim.state is not None and shim.state.supervisor == control.BY_KEEPER):
            self.discard(shim.id)  # nobody else does, and no job needs it any more

    def shim_died(self, shim_id: ShimId, *, adopted: bool) -> None:
        """The keeper's word about a shim's end."""
        if self.on_keeper_word is not None:  # recovery is under way, and decides with this word
            self.on_keeper_word(shim_id, adopted=adopted)
            return
        self.counters["shims_died"] += 1
        live = next((live for live in self.jobs.values() if live.job.shim == shim_id), None)
        if live is None:
            if not adopted:
                self.discard(shim_id)
            self._serve_waiting()  # the shim may have been on its way to somebody
            return
        if adopted:
            if live.job.allows(Adopted):
                self.step(live, Adopted())
            self._join_adopter(live, shim_id)
            return
        self.settle_orphan(live, shim_id)

    def keeper_closed(self) -> None:
        """The keeper is gone; the app gets another one."""
        self.counters["keepers_lost"] += 1
        self.on_keeper_closed()

    def _join_adopter(self, live: LiveJob, shim_id: ShimId) -> None:
        """A keeper has adopted this job, or will: look until it serves us, there is an EXIT record, or no such keeper.

        A short job may be over, and its adopter's socket closed, before we are there. An earlier keeper adopts and
        serves the same socket, but it does not speak to us.
        """
        if live.shim is not None or live.job.shim != shim_id or live.job.state is JobState.DONE:
            return
        try:
            slots, is_tended = tended(self.state_dir, shim_id)
        except OSError:
            slots, is_tended = control.Slots(), False
        if isinstance(slots.exit, control.Exit) or (slots.claim is None and not is_tended):
            self.settle_orphan(live, shim_id)
        elif is_tended and self.crew.connect(shim_id, keeperless=not self.crew.keeps(shim_id)):
            return
        elif is_tended or keeper_lives(shim_id):
            self.loop.call_later(LOOK_AGAIN_S, self._join_adopter, live, shim_id)
        else:
            self.settle_orphan(live, shim_id)

    def keeper_came(self) -> None:
        """There is a keeper again: whoever waits for a shim gets one."""
        self._serve_waiting()

    def settle_orphan(self, live: LiveJob, shim_id: ShimId) -> None:
        """Nobody tends this job: take its recorded end, start it again if it provably never ran, or call it lost."""
        job = live.job
        if job.shim != shim_id or job.state in (JobState.QUEUED, JobState.DONE) or live.ending is not None:
            return
        known = self.crew.shims.get(shim_id)
        if known is not None and not known.idle:  # connected again meanwhile
            return
        slots = orphans.about(self._slots(shim_id), job.id)
        says: KeeperSays = "nothing_inherited" if self.crew.keeps(shim_id) else "gone"
        action = decide(orphans.finding(job, slots, says))
        if action in STARTS:
            self.step(live, NothingInherited())
        elif action is Action.LOST_SUPERVISOR:
            self.lose(live, shim_id, slots, "supervisor")
        else:
            self.take_end(live, shim_id, slots)

    def take_end(self, live: LiveJob, shim_id: ShimId, slots: control.Slots) -> None:
        """The end of a job that nobody tends, from what is recorded: EXIT, MAIN, or that the records are broken."""
        if isinstance(slots.exit, control.Exit):
            self.finish(live, slots.exit, shim_id)
            return
        self._with_output(live, shim_id, slots, partial(orphans.end_of, slots))

    def lose(self, live: LiveJob, shim_id: ShimId, slots: control.Slots, reason: str) -> None:
        """Nobody can tell the end of this job any more; its output is kept as far as it is there."""
        self._with_output(live, shim_id, slots, partial(Lost, reason))

    def _with_output(
        self,
        live: LiveJob,
        shim_id: ShimId,
        slots: control.Slots,
        end: Callable[[TakenOutput, TakenOutput], Stimulus],
    ) -> None:
        """End a job without a supervisor: first its output, and when all of it has a digest, the stimulus."""
        if live.job.state is JobState.DONE:
            return
        try:
            _, _, live.taken = take_output(self.files, None, self.shim_directory(shim_id), live, found_ends(slots))
        except StorageError as error:
            self._take_later(live, error, partial(self._with_output, live, shim_id, slots, end))
            return
        self._when_digested(live, end)

    def _take_later(self, live: LiveJob, error: StorageError, again: Callable[[], None]) -> None:
        self.log(f"job {live.job.id}: its output waits where it is: {error}")
        self.loop.call_later(TAKE_AGAIN_S, again)

    def shim_directory(self, shim_id: ShimId) -> str:
        """Where a shim's files are."""
        return os.path.join(self.state_dir, "shims", shim_id)

    def _slots(self, shim_id: ShimId) -> control.Slots:
        try:
            return control.read_path(os.path.join(self.shim_directory(shim_id), "ctl"))
        except OSError:
            return control.Slots()

    # --- output ------------------------------------------------------------------------------------------------------

    def reopen(self, live: LiveJob) -> None:
        """Another supervisor tends the job: read through its shim's descriptors from now on."""
        for number, channel in live.out.items():
            if channel.source is not None:
                self.open_spool(live, number)

    def set_lengths(self, live: LiveJob, out_bytes: int, err_bytes: int) -> None:
        """The committed lengths, as the shim has told them."""
        for number, length in ((STDOUT, out_bytes), (STDERR, err_bytes)):
            channel = live.out[number]
            if length > channel.length:
                channel.length = length
            if channel.length and channel.source is None:
                self.open_spool(live, number)

    def open_spool(self, live: LiveJob, number: int) -> None:
        """Make a live channel readable."""
        shim = live.shim
        if shim is None:
            return
        refresh = None
        if live.job.spec.retention.rule == "keep-tail":
            refresh = partial(self._oldest_kept, shim.id, live.job.id, number)
        try:
            live.out[number].use(shim.spool(number), owned=False, refresh_first=refresh)
        except StorageError as error:
            self.log(f"job {live.job.id}: {error}")

    def _oldest_kept(self, shim_id: ShimId, job: JobId, number: int) -> int:
        note = self._slots(shim_id).note
        if not isinstance(note, control.Note) or note.job != job:
            return 0
        return note.out_first if number == STDOUT else note.err_first

    def refresh(self, live: LiveJob, number: int) -> bool:
        """Ask the file itself how long the channel is now; True if there is more than was known."""
        channel = live.out[number]
        if channel.final or live.shim is None or live.job.state in (JobState.QUEUED, JobState.STARTING):
            return False
        try:
            length = live.shim.spool(number).length()
        except StorageError:
            return False
        if length <= channel.length:
            return False
        channel.length = length
        if channel.source is None:
            self.open_spool(live, number)
        return True

    def make_room(self, live: LiveJob, number: int) -> None:
        """With ``block`` and a bound, the job writes on as its readers deliver; what all of them have is dropped.

        A reader's window comes on top of the bound: what is under way to a client may be needed again after a cut.
        """
        bound = live.job.spec.retention.limit_bytes if live.job.spec.retention.rule == "block" else 0
        if not bound or live.shim is None or not live.spawned or live.ending is not None:
            return
        delivered = [r.delivered[number] for _, r in live.readers if r.follow and number in r.delivered]
        if not delivered:
            return
        channel, floor = live.out[number], max(0, min(delivered))
        if floor >= channel.first + ROOM_STEP_BYTES:
            channel.first = floor
            live.shim.send(messages.DropBelow(number, floor))
        limit = floor + bound + WINDOW_BYTES
        if limit >= live.room.get(number, 0) + ROOM_STEP_BYTES:
            live.room[number] = limit
            live.shim.send(messages.Limit(number, limit))

    def watch_of(self, live: LiveJob) -> messages.Watch | None:
        """What to ask the shim so that no reader waits in vain; None if that is asked already, or nobody waits."""
        wanted = [messages.NO_LIMIT, messages.NO_LIMIT]
        for _, reader in live.readers:
            if reader.follow:
                for number in reader.open:
                    channel = live.out[number]
                    if reader.positions.get(number, 0) >= channel.length:
                        wanted[number - 1] = channel.length
        watch = (wanted[0], wanted[1])
        if watch == (messages.NO_LIMIT, messages.NO_LIMIT) or watch == live.armed:
            return None
        live.armed = watch
        return messages.Watch(*watch)

    def arm(self, live: LiveJob) -> None:
        """Have the shim tell when there is more for those who wait."""
        if live.spawned and live.shim is not None and live.ending is None:
            watch = self.watch_of(live)
            if watch is not None:
                live.shim.send(watch)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _ended(self, live: LiveJob, shim: Shim, message: messages.Exited) -> None:
        try:
            record = message.record
        except ValueError as error:
            self.log(f"job {live.job.id}: {error}")
            return
        if record.job == live.job.id:
            self.finish(live, record, shim.id)

    def finish(self, live: LiveJob, record: control.Exit, shim_id: ShimId) -> None:
        """The end of a job is recorded: take over its output, then let its machine draw up the receipt."""
        if live.ending is not None or live.job.state is JobState.DONE:
            return
        live.ending = record
        self._take_recorded(live, record, shim_id)

    def _take_recorded(self, live: LiveJob, record: control.Exit, shim_id: ShimId) -> None:
        slots = control.Slots() if not record.left_count else self._slots(shim_id)
        directory, ends = self.shim_directory(shim_id), recorded_ends(record)
        try:
            _, _, live.taken = take_output(self.files, live.shim, directory, live, ends)
        except StorageError as error:
            self._take_later(live, error, partial(self._take_recorded, live, record, shim_id))
            return
        self._when_digested(live, partial(Exited, exit_record(record, slots)))

    def _when_digested(self, live: LiveJob, end: Callable[[TakenOutput, TakenOutput], Stimulus]) -> None:
        big = [channel for channel in live.out.values() if channel.digest is None and channel.source is not None]
        if not big:
            self.step(live, end(live.out[STDOUT].as_taken(), live.out[STDERR].as_taken()))
            return
        waiting = [self.loop.run_in_executor(None, channel.rest_of_digest()) for channel in big]
        asyncio.gather(*waiting, return_exceptions=True).add_done_callback(
            lambda done: self._digested(live, end, big, done.result())
        )

    def _digested(
        self,
        live: LiveJob,
        end: Callable[[TakenOutput, TakenOutput], Stimulus],
        channels: list[OutputChannel],
        digests: list[str | BaseException],
    ) -> None:
        for channel, digest in zip(channels, digests, strict=True):
            if isinstance(digest, str):
                channel.digest = digest
            else:
                self.log(f"job {live.job.id}: {digest}")
        self.step(live, end(live.out[STDOUT].as_taken(), live.out[STDERR].as_taken()))

    def discard(self, shim_id: ShimId) -> None:
        """Remove what a dead shim without a job has left."""
        directory = self.shim_directory(shim_id)
        for name in ("ctl", "out", "err", "in", "sock"):
            try:
                os.unlink(os.path.join(directory, name))
            except OSError:
                continue
        try:
            os.rmdir(directory)
        except OSError:
            return

    def close(self) -> None:
        """Write what was held back, and let go of everything."""
        for waiting in (self._lazy_timer, self._unrecorded_timer):
            if waiting is not None:
                waiting.cancel()
        self.flush_lazy()
        for live in list(self.jobs.values()):
            for timer in (live.lease_timer, live.expiry):
                if timer is not None:
                    timer.cancel()
        self.crew.close()


def _clipped(by: str) -> str:
    """A name as it fits into a slot: whole characters, ``control.BY_BYTES`` of UTF-8."""
    return by.encode()[: control.BY_BYTES].decode("utf-8", "ignore")
