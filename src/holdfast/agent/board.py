"""All live jobs of an agent: feeds stimuli to their machines and carries out what these order.

Rules of this module:

* It decides nothing about a job. ``jobs.machine`` orders; what is ordered is done in that order, and what follows a
  record waits until the journal has it.
* A shim is given to another job only after RELEASE, and RELEASE comes after the commit of DONE.
* Requests do not come here (``agent.service``). Supervisors speak in ``agent.supervisors``, ends are drawn up in
  ``agent.endings``, output of running jobs is found in ``agent.live_output``.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from holdfast.agent import plan
from holdfast.agent.endings import Endings
from holdfast.agent.live import LiveJob, Stdin
from holdfast.agent.live_output import LiveOutput
from holdfast.agent.supervisors import Supervisors
from holdfast.errors import Refused, StorageError
from holdfast.jobs.admission import Admission
from holdfast.jobs.body import Body
from holdfast.jobs.instructions import Instruction, Notify, Record, Release, Requeue, Signal, Spawn, Stop
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Acceptance, Job
from holdfast.jobs.output import EMPTY_DIGEST
from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import (
    LeaseExpired,
    NotAfterPassed,
    SlotFreed,
    SpawnFailed,
    Stimulus,
)
from holdfast.jobs.supervise import Crew, Shim
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.store.files import OutputFiles
from holdfast.store.writes import InsertJob
from holdfast.types import STDERR, STDOUT, Cause, JobId, JobState, Receipt, ShimId

if TYPE_CHECKING:
    from holdfast.store.interface import JobJournal

LAZY_S: Final = 0.5
"""How long a record that nothing waits for is held back; a job that ends sooner costs two writes instead of three."""

ALONE_JOBS: Final = 2
"""With no more live jobs than this the journal may commit on the loop: nothing else waits, and no group would form."""

RECORD_AGAIN_S: Final = 1.0
"""After the journal refused a record of an accepted job, all that wait for it are offered again so soon."""


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
        self.worker_socket = os.path.join(state_dir, plan.WORKER_SOCKET)
        self.jobs: dict[JobId, LiveJob] = {}
        self.by_key: dict[tuple[str, bytes], LiveJob] = {}
        self.output = LiveOutput(self)
        self.endings = Endings(self)
        self.supervisors = Supervisors(self)
        self.crew = Crew(loop, state_dir, self.supervisors)
        self.counters = {"accepted": 0, "started": 0, "done": 0, "lost": 0, "shims_died": 0, "keepers_lost": 0}
        self.on_notify: Callable[[LiveJob, Notify], None] = lambda live, notify: None
        self.on_growth: Callable[[LiveJob], None] = lambda live: None
        self.on_keeper_word: Callable[..., None] | None = None
        self.paused = False
        self.on_keeper_closed: Callable[[], None] = lambda: None
        self.before_spawn: Callable[[LiveJob], None] = lambda live: None
        self.before_accepting: Callable[[], dict[JobId, StorageError]] = dict
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
        self.serve_waiting()

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
            if (unrecorded := self.before_accepting().pop(live.job.id, None)) is not None:
                self._recorded(live, record, unrecorded)
                return
            done = partial(self._recorded, live, record)
            self.journal.submit(record.writes, power=record.power, at_once=True, done=done)
            return
        if not self._turn:
            self.loop.call_soon(self._submit_turn)
        self._turn.append((live, record))

    def _submit_turn(self) -> None:
        turn, self._turn = self._turn, []
        unrecorded = self.before_accepting()
        for live, record in turn:
            if unrecorded and live.job.id in unrecorded:
                self._recorded(live, record, unrecorded.pop(live.job.id))
                continue
            self.journal.submit(record.writes, power=record.power, done=partial(self._recorded, live, record))

    def _recorded(self, live: LiveJob, record: Record, error: StorageError | None) -> None:
        if live.joined is not None:
            joined, live.joined = live.joined, None
            joined(error)
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
        elif live.unattended is not None:
            live.unattended.obey(message)
        else:
            live.untold.append(message)

    def _spawn(self, live: LiveJob, spawn: Spawn) -> None:
        body, shim, job = live.body, live.shim, live.job
        assert body is not None
        if shim is None:  # it died between the order and now; its keeper's word will come
            return
        stage = "hold"
        try:
            self.before_spawn(live)
            stage = "user"
            run = plan.shim_run(
                job.id,
                spawn.attempt,
                job.spec,
                body,
                host=self.host,
                agent_id=self.agent_id,
                now_unix_s=self.unix_s(),
                worker_socket=self.worker_socket,
            )
        except Refused as error:
            self.crew.put_back(shim)
            live.shim = None
            self.step(live, SpawnFailed(None, stage, str(error)))
            return
        data = messages.frame(run)
        watch = self.output.watch_of(live)
        if watch is not None:
            data += messages.frame(watch)
        if self.paused:
            data += messages.frame(messages.Pause())
        shim.send_framed(data)
        live.spawned = True
        self.counters["started"] += 1
        for number in live.out:
            self.output.make_room(live, number)

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
                self.endings.discard(shim_id)
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
        self.serve_waiting()

    def serve_waiting(self) -> None:
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
            if live.unattended is not None:
                live.unattended.close()
        self.crew.close()


def _clipped(by: str) -> str:
    """A name as it fits into a slot: whole characters, ``control.BY_BYTES`` of UTF-8."""
    return by.encode()[: control.BY_BYTES].decode("utf-8", "ignore")
