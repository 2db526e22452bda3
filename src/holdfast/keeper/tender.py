"""Tending one job: its output, stdin, agent, time and end. The shim does it, and the keeper for a job it has adopted.

What is decided sits in ``supervision``; here it is done. The order of the records is the point of it all: MAIN before
the main process is reaped, EXIT when all is proved and before anyone is told.
"""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod

from holdfast.keeper import connection, linux, messages, pump, sockets, supervision, tree
from holdfast.keeper import loop as loops
from holdfast.store import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from holdfast.store.control import NamedTuple


class Place(NamedTuple):
    """The open files of a shim's directory, and its pipes' reading ends."""

    directory: int
    ctl: int
    out_pipe: int
    err_pipe: int
    out: int
    err: int
    listener: sockets.Socket


class Tender(ABC):
    """One job at a time, from the moment it has a process until its end is recorded."""

    supervisor = control.BY_SHIM

    def __init__(self, loop: loops.Loop, place: Place) -> None:
        self.loop = loop
        self.place = place
        self._null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        self.out = pump.Pump(place.out_pipe, place.out, self._null)
        self.err = pump.Pump(place.err_pipe, place.err, self._null)
        self.out.note_first = self.err.note_first = self._note_first
        self._held: set[pump.Pump] = set()
        self._paused = False
        self.claim: control.Claim | None = None
        self.main_pid = 0
        self.control: supervision.Supervision | None = None
        self.note: control.Note | None = None
        self.feeder: pump.Feeder | None = None
        self._stdin_bytes = 0
        self._watch: messages.Watch | None = None
        self._started_wall_ns = 0
        self.wait_status: int | None = None
        self._ended_wall_ns = 0
        self._usage: os.struct_rusage | None = None  # type: ignore[name-defined]
        self.exit_slot: bytes | None = None
        self.line = connection.Connection(loop, place.listener, self._greet, self.handle_message)

    # What a subclass says.

    @abstractmethod
    def _roots(self) -> list[int]:
        """Processes whose descendants, with themselves, are the job's."""

    @abstractmethod
    def _recorded(self) -> None:
        """EXIT is on the disk and told."""

    @abstractmethod
    def _parted(self) -> None:
        """What the job left running has ended, too."""

    @abstractmethod
    def _stdin_closed(self) -> None:
        """The writing end of the job's stdin was closed here; whoever else holds it must let go."""

    # The job's life.

    def tend(self, claim: control.Claim, pid: int, started_wall_ns: int, started_boot_ns: int) -> None:
        """Takes a job whose command was just spawned (or is adopted), from CLAIM's terms."""
        self.claim = claim
        self.main_pid = pid
        self._started_wall_ns = started_wall_ns
        self.control = supervision.Supervision(
            started_boot_ns,
            timeout_ms=claim.timeout_ms,
            grace_ms=claim.grace_ms,
            linger_ms=claim.linger_ms,
            leave=bool(claim.flags & control.LEAVE),
        )
        for one in (self.out, self.err):
            one.reset(claim.rule, claim.limit_bytes)
            self._watch_pump(one)
        if self.feeder is not None:
            self._watch_feeder()

    def forget(self) -> None:
        """The job is over and released; the next one may come."""
        self.claim = self.control = self.note = self.exit_slot = self._watch = None
        self.main_pid = self._stdin_bytes = self._started_wall_ns = self._ended_wall_ns = 0
        self.wait_status = self._usage = None
        self._held.clear()
        self._paused = False

    def close(self) -> None:
        """Closes all that is open here, and with the control file gives up its lock."""
        for one in (self.out, self.err):
            self.loop.unwatch(one.source)
        self.close_stdin()
        self.line.close()
        for fd in (*self.place[:6], self._null):
            os.close(fd)

    def next_deadline(self) -> int | None:
        """When ``handle_timeout`` is due (nanoseconds of CLOCK_BOOTTIME), or None."""
        deadline = None if self.control is None else self.control.next_deadline()
        for one in self._held:
            if one.retry_ns is not None and not self._paused and (deadline is None or one.retry_ns < deadline):
                deadline = one.retry_ns
        held = self.line.held_until
        return deadline if held is None or (deadline is not None and deadline < held) else held

    def handle_timeout(self, now: int) -> None:
        """Does what is due now."""
        self.line.handle_timeout(now)
        if not self._paused:
            for one in tuple(self._held):
                if one.retry_ns is not None and one.retry_ns <= now:
                    self._turn(one)
        if self.control is not None:
            self._do(self.control.handle_timeout(now, held=bool(self._held) or self._paused))

    def child_died(self, pid: int, code: int, status: int) -> None:
        """A child of ours is a zombie: records MAIN if it is the main process, then reaps it.

        Args:
            pid: The child.
            code: ``si_code`` of waitid(2): CLD_EXITED, CLD_KILLED or CLD_DUMPED.
            status: ``si_status``: exit code or signal.
        """
        if pid != self.main_pid or self.claim is None or self.wait_status is not None:
            os.waitpid(pid, 0)
            return
        self.wait_status = status << 8 if code == os.CLD_EXITED else status | (0x80 if code == os.CLD_DUMPED else 0)
        self._ended_wall_ns = time.time_ns()
        now = linux.boot_ns()
        record = control.Main(self.claim.job, self.claim.attempt, self.wait_status, self._ended_wall_ns, now)
        self._write(record)
        self._usage = os.wait4(pid, 0)[2]
        if self.control is not None:
            self._do(self.control.main_ended(now))

    def tree_gone(self) -> None:
        """The kernel says that no process of the job is left."""
        if self.control is None or self.control.tree_over:
            return
        self._do(self.control.tree_gone(linux.boot_ns()))
        if self.control is not None and not self.control.channels_over:
            for one in (self.out, self.err):  # what the pipe still holds is little: no reader's pace holds up the end
                one.limit = pump.UNLIMITED
                if one in self._held and one.retry_ns is None and not self._paused:
                    self._turn(one)

    # The agent's words.

    def stage(self) -> int:
        """The stage that STATE tells."""
        if self.control is None:
            if self.claim is None:
                return messages.IDLE
            return messages.STARTING if self.exit_slot is None else messages.DONE
        if self.control.phase == supervision.LEFT:
            return messages.LEFT
        if self.exit_slot is not None:
            return messages.DONE
        return messages.RUNNING if self.control.phase == supervision.RUNNING else messages.ENDING

    def handle_message(self, message: messages.Message) -> None:
        """Obeys one message; about a job that has ended nothing is left to obey."""
        job = self.control
        if job is None or (self.exit_slot is not None and job.phase != supervision.LEFT):
            return
        match message:
            case messages.Stop(cause, by, grace_ms):
                self._do(job.stop(cause, by, grace_ms, linux.boot_ns()))
            case messages.Signal(signum, scope):
                self._signal(signum, scope)
            case messages.Stdin(length, ended):
                self._more_stdin(length, ended)
            case messages.Watch():
                self._watch = message
                self._tell_growth()
            case messages.Limit(channel, offset):
                one = self._pump(channel)
                one.limit = offset
                if one in self._held and not self._paused:
                    self._turn(one)
            case messages.DropBelow(channel, offset):
                self._drop_below(self._pump(channel), offset)
            case messages.Pause():
                self._paused = True
                for one in (self.out, self.err):
                    self.loop.unwatch(one.source)
            case messages.Resume():
                self._paused = False
                for one in (self.out, self.err):
                    if not one.ended:
                        self._watch_pump(one)
            case _:
                self.line.send(messages.Rejected(messages.number(message), "not while a job is here"))

    def _greet(self) -> None:
        claim = self.claim
        self._watch = None
        self.line.send(
            messages.State(
                os.getpid(), self.stage(), claim.job if claim else "", claim.attempt if claim else 0, self.main_pid,
                self.out.length if claim else 0, self.err.length if claim else 0,
                self.feeder.fed if self.feeder else self._stdin_bytes, self.supervisor,
            )
        )  # fmt: skip
        if self.exit_slot is not None:
            self.line.send(messages.Exited(self.exit_slot))

    def _signal(self, signum: int, scope: int) -> None:
        if not 0 < signum < signal.NSIG:
            raise ValueError(f"signal {signum}")
        if scope == messages.MAIN:
            if self.main_pid and self.wait_status is None:  # not reaped, so the id is still its own
                try:
                    os.kill(self.main_pid, signum)
                except OSError as exc:
                    loops.complain(f"signal {signum} to {self.main_pid}: {exc}")
        else:
            tree.signal_all(self._roots(), signum, group=self.main_pid if scope == messages.GROUP else None)

    # Output and stdin.

    def _pump(self, channel: int) -> pump.Pump:
        if channel not in (1, 2):
            raise ValueError(f"channel {channel} (1 or 2)")
        return self.out if channel == 1 else self.err

    def _watch_pump(self, one: pump.Pump) -> None:
        self._held.discard(one)
        if not self._paused:
            self.loop.watch(one.source, loops.READABLE, self._on_out if one is self.out else self._on_err)

    def _on_out(self, events: int) -> None:
        self._turn(self.out, events)

    def _on_err(self, events: int) -> None:
        self._turn(self.err, events)

    def _turn(self, one: pump.Pump, events: int = loops.READABLE) -> None:
        job = self.control
        if job is None or one.ended:
            return
        if events & loops.READABLE:
            outcome = one.turn(linux.boot_ns())
        else:  # hung up and nothing to read
            one.ended = True
            outcome = pump.ENDED
        if outcome in (pump.HELD, pump.REFUSED):
            self._held.add(one)
            self.loop.unwatch(one.source)
        elif outcome == pump.ENDED:
            self._held.discard(one)
            self.loop.unwatch(one.source)
        elif one in self._held:
            self._watch_pump(one)
        if self._watch is not None:
            self._tell_growth()
        if one.over and job.phase == supervision.RUNNING:
            self._do(job.stop(control.OUTPUT_LIMIT, "", job.grace_ms, linux.boot_ns()))
        if self.out.ended and self.err.ended:
            self._do(job.channels_ended(linux.boot_ns()))

    def _tell_growth(self) -> None:
        watch = self._watch
        if watch is not None and (self.out.length > watch.out_bytes or self.err.length > watch.err_bytes):
            self._watch = None
            self.line.send(messages.Grew(self.out.length, self.err.length))

    def _drop_below(self, one: pump.Pump, offset: int) -> None:
        try:
            one.drop_below(offset)
        except OSError as exc:
            loops.complain(f"cannot give disk space back: {exc}")

    def _note_first(self) -> None:
        self._change_note(out_first=self.out.first, err_first=self.err.first)

    def _more_stdin(self, length: int, ended: bool) -> None:
        if self.feeder is None:
            return
        self.feeder.length = max(self.feeder.length, length)
        self.feeder.ended = self.feeder.ended or ended
        self._change_note(stdin_bytes=self.feeder.length, stdin_ended=self.feeder.ended)
        self._feed(loops.WRITABLE)

    def _watch_feeder(self) -> None:
        if self.feeder is not None:  # without events poll still reports that the reader is gone (POLLERR)
            self.loop.watch(self.feeder.pipe, loops.WRITABLE if self.feeder.hungry else 0, self._feed)

    def _feed(self, events: int) -> None:
        feeder = self.feeder
        if feeder is None:
            return
        try:
            read = not events & loops.BROKEN and feeder.turn()
        except OSError as exc:
            loops.complain(f"stdin cannot be fed: {exc}")
            read = False
        if not read or feeder.over:
            self.close_stdin()
        else:
            self._watch_feeder()

    def close_stdin(self) -> None:
        """Feeds no more; the command sees end of file when the other holder has closed, too."""
        if self.feeder is not None:
            self.loop.unwatch(self.feeder.pipe)
            self._stdin_bytes = self.feeder.fed
            self.feeder.close()
            self.feeder = None
            self._stdin_closed()

    # Steps and records.

    def _do(self, steps: supervision.Steps) -> None:
        for step in steps:
            job = self.control
            if job is None:
                return
            if step == supervision.RECORD:
                self._record_exit(job)
            elif step == supervision.PART:
                self._parted()
            elif step == supervision.TERM_TREE:
                tree.terminate(self._roots())
            elif step == supervision.KILL_TREE:
                tree.kill(self._roots())
            elif step == supervision.NOTE_STOP:
                self._change_note(cause=job.cause, by=job.by, kill_boot_ns=job.kill_at)
            else:
                self._tell_stuck()

    def _tell_stuck(self) -> None:
        pids = tuple(process.pid for process in tree.descendants(self._roots()))
        self._change_note(pid_count=len(pids), pids=pids[: control.NOTE_PIDS])
        if self.claim is not None:
            self.line.send(messages.Stuck(self.claim.job, self.claim.attempt, len(pids), pids))

    def _record_exit(self, job: supervision.Supervision) -> None:
        self.close_stdin()
        left = 0
        if job.tree == control.TREE_LEFT:
            pids = tuple(process.pid for process in tree.descendants(self._roots()))
            left = len(pids)
            self._change_note(pid_count=left, pids=pids[: control.NOTE_PIDS])
        cause = job.cause
        if not cause and self.wait_status is not None:
            cause = control.SIGNALED if self.wait_status & 0x7F else control.EXITED
        self.record_exit(cause, by=job.by, tree_state=job.tree, left=left)

    def record_exit(
        self,
        cause: int,
        *,
        by: str = "",
        errno: int = 0,
        stage: int = control.NO_STAGE,
        tree_state: int = control.TREE_GONE,
        left: int = 0,
    ) -> None:
        """Writes EXIT, then tells it."""
        claim, usage = self.claim, self._usage
        if claim is None:
            raise RuntimeError("an exit without a claim")
        record = control.Exit(
            claim.job, claim.attempt, self.wait_status, cause, by, errno, stage,
            self.out.length, self.err.length, self.out.first, self.err.first, self._stdin_bytes,
            int(usage.ru_utime * 1e6) if usage else 0, int(usage.ru_stime * 1e6) if usage else 0,
            usage.ru_maxrss if usage else 0, self._started_wall_ns, self._ended_wall_ns or time.time_ns(),
            tree_state, left, self.supervisor,
        )  # fmt: skip
        self.exit_slot = self._write(record)
        self.line.send(messages.Exited(self.exit_slot))
        self._recorded()

    def _change_note(self, **changes: object) -> None:
        if self.claim is None:
            return
        note = self.note or control.Note(self.claim.job, self.claim.attempt)
        self.note = note._replace(**changes)  # type: ignore[arg-type]
        self._write(self.note)

    def _write(self, record: control.Record) -> bytes:
        """Writes a record. If the disk refuses even that, the job goes on: it is worth more than its record."""
        power = self.claim is not None and bool(self.claim.flags & control.POWER)
        try:
            return control.write(self.place.ctl, record, flush=power)
        except OSError as exc:
            loops.complain(f"cannot record {type(record).__name__} of job {record.job}: {exc}")
            return control.encode(record)
