"""The shim: supervisor of one job at a time, a fork of the keeper.

Session leader and sub-reaper, so that the job's whole tree is below it and ``waitpid`` saying ECHILD proves that the
tree is dead. It runs on when no agent is there, and when the keeper is gone it finishes its job and leaves.
"""

from __future__ import annotations

import errno
import os
import time

from holdfast.keeper import linux, messages, pump, sharing, sockets, spawn, supervision, tender, tree
from holdfast.keeper import loop as loops
from holdfast.store import control

_HELD_WITHIN_MS = 5_000


class Shim(tender.Tender):
    """A place for jobs: waits for RUN, tends the job, waits for RELEASE, and again."""

    def __init__(self, loop: loops.Loop, place: tender.Place, keeper: sockets.Socket, boot_id: bytes) -> None:
        super().__init__(loop, place)
        self._keeper: sockets.Socket | None = keeper
        self._boot_id = boot_id
        self._pid = os.getpid()
        self._retiring = False
        self._stale = False
        self.parted = False
        self._writers: tuple[int, int] | None = None
        self._links = self._count_links()
        loop.on_child = self.reap
        loop.watch(keeper.fileno(), loops.READABLE, self._on_keeper)
        self._arm()

    def turn(self, latest: int | None = None) -> None:
        """Waits for something to do, until ``latest`` (CLOCK_BOOTTIME) at most, and does it."""
        due = self.next_deadline()
        until = due if latest is None or (due is not None and due < latest) else latest
        self.loop.turn(None if until is None else max(0, until - linux.boot_ns()))
        if self._stale:
            self._erase()
        if due is not None:
            now = linux.boot_ns()
            if now >= due:
                self.handle_timeout(now)

    def close(self) -> None:
        """Closes all that is open here but the line to the keeper."""
        super().close()
        for fd in self._writers or ():
            os.close(fd)

    # The job's start.

    def handle_message(self, message: messages.Message) -> None:
        """Obeys one message of the agent."""
        match message:
            case messages.Run():
                if self.stage() != messages.IDLE or self._retiring:
                    self.line.send(messages.Rejected(messages.number(message), "not idle"))
                else:
                    self._run(message)
            case messages.Release(job, attempt, taken):
                self._release(job, attempt, taken)
            case messages.Retire():
                self._retire()
            case _:
                super().handle_message(message)

    def _run(self, run: messages.Run) -> None:
        self.claim = control.Claim(
            run.job, run.attempt, self._pid, self._boot_id, time.time_ns(), linux.boot_ns(), run.flags,
            run.timeout_ms, run.grace_ms, run.linger_ms, run.rule, run.limit_bytes,
        )  # fmt: skip
        flush = bool(run.flags & control.POWER)
        self._stale = False
        try:
            control.begin(self.place.ctl, self.claim, flush=flush)
        except OSError as exc:  # without a claim nothing is started
            self.record_exit(control.START_FAILED, errno=exc.errno or errno.EIO, stage=control.AT_SPAWN)
            return
        writers = self._writers or self._open_writers()
        self._writers = None
        stdin: int | None = None
        try:
            if run.flags & control.STDIN:
                stdin = self._open_stdin()
            pid = spawn.spawn(run, stdin, *writers)
        except spawn.StartFailed as exc:
            self.close_stdin()
            self.record_exit(control.START_FAILED, errno=exc.errno, stage=exc.stage)
            return
        finally:
            for fd in writers if stdin is None else (*writers, stdin):
                os.close(fd)
        wall, boot = time.time_ns(), linux.boot_ns()
        self._write(control.Started(run.job, run.attempt, pid, wall, boot))
        started = messages.Started(run.job, run.attempt, pid, wall)
        if run.flags & control.STDIN:  # somebody waits for it to write
            self.line.send(started)
        else:
            self.line.send_later(started, boot)
        self.tend(self.claim, pid, wall, boot)

    def _open_writers(self) -> tuple[int, int]:
        flags = os.O_WRONLY | os.O_CLOEXEC
        return (
            os.open(f"/proc/self/fd/{self.place.out_pipe}", flags),
            os.open(f"/proc/self/fd/{self.place.err_pipe}", flags),
        )

    def _arm(self) -> None:
        """Opens the next job's writing ends ahead of it; a pipe whose writers are gone can have new ones."""
        if self._writers is None:
            self._writers = self._open_writers()

    def _open_stdin(self) -> int:
        """The reading end of a new stdin pipe; the keeper holds the other end and the file, too, before we return."""
        try:
            file = os.open("in", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self.place.directory)
            read, write = os.pipe2(os.O_CLOEXEC)
        except OSError as exc:
            raise spawn.StartFailed(exc.errno or 0, control.AT_STDIN) from exc
        self.feeder = pump.Feeder(file, write)
        if self._keeper is not None:
            try:
                sockets.send_with_fds(self._keeper, messages.encode(messages.Hold()), (write, file))
                self._await_held()
            except OSError:
                self._keeper_gone()
        return read

    def _await_held(self) -> None:
        if self._keeper is None:
            return
        self._keeper.settimeout(_HELD_WITHIN_MS / 1000)
        try:
            while self._keeper is not None and not self._hear_keeper():
                pass
        finally:
            if self._keeper is not None:
                self._keeper.settimeout(None)

    # The keeper's words.

    def _on_keeper(self, events: int) -> None:
        self._hear_keeper()

    def _hear_keeper(self) -> bool:
        """Takes one message of the keeper; True if it was HELD."""
        if self._keeper is None:
            return False
        packet, _ = sockets.receive(self._keeper, messages.MAX_PACKET_BYTES)
        if not packet:
            self._keeper_gone()
            return False
        message = messages.decode(packet)
        if isinstance(message, messages.Retire):
            self._retire()
        return isinstance(message, messages.Held)

    def _keeper_gone(self) -> None:
        """Nobody would adopt a further job: this one is the last."""
        if self._keeper is not None:
            self.loop.unwatch(self._keeper.fileno())
            self._keeper.close()
            self._keeper = None
        self._retire()

    def _retire(self) -> None:
        self._retiring = True
        if self.stage() in (messages.IDLE, messages.DONE):
            self.parted = True

    # The job's end.

    def reap(self) -> None:
        """Looks at every dead child without reaping it, lets the job record what it must, then reaps."""
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # ECHILD: no child and so, for a sub-reaper, no descendant
                self.tree_gone()
                return
            if dead is None:
                return
            self.child_died(dead.si_pid, dead.si_code, dead.si_status)

    def _roots(self) -> list[int]:
        return tree.children(self._pid)

    def _stdin_closed(self) -> None:
        if self._keeper is not None:
            try:
                self._keeper.send(messages.encode(messages.Drop()))
            except OSError:
                self._keeper_gone()

    def _recorded(self) -> None:
        job = self.control
        if job is not None and job.phase == supervision.LEFT:
            self._retiring = True  # the leftovers have this shim for themselves
            for one in (self.out, self.err):
                if not one.ended:
                    one.discard()
                    self._watch_pump(one)
            return
        if (job is not None and job.tainted) or self._count_links() != self._links:
            self._retiring = True
        if self._retiring:
            self.parted = True
        else:
            self._arm()

    def _count_links(self) -> list[int]:
        """Names of our files: other numbers than at the start when the command has removed or linked them (2 µs).

        The next job must not suffer for that, so this shim takes none.
        """
        return [os.fstat(fd).st_nlink for fd in (self.place.ctl, self.out.spool, self.err.spool)]

    def _parted(self) -> None:
        self.parted = True

    def _release(self, job: str, attempt: int, taken: int) -> None:
        if self.claim is None or self.exit_slot is None or (self.claim.job, self.claim.attempt) != (job, attempt):
            return
        self._stale = True
        left = self.control is not None and self.control.phase == supervision.LEFT
        if left or taken or self.out.length or self.err.length or self.claim.flags:
            self._erase()  # before the files that it tells of change
        if left:
            return
        for one, name, mark in ((self.out, "out", messages.TAKEN_OUT), (self.err, "err", messages.TAKEN_ERR)):
            if taken & mark:
                os.close(one.spool)
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                one.spool = os.open(name, flags, 0o600, dir_fd=self.place.directory)
            elif one.length:
                os.ftruncate(one.spool, 0)
            one.length = one.first = 0
            one.shrink()
        if self.claim.flags & control.STDIN and not taken & messages.TAKEN_IN:
            try:
                os.unlink("in", dir_fd=self.place.directory)
            except FileNotFoundError:
                pass
        self.forget()

    def _erase(self) -> None:
        """Forgets the slots, unless the RUN that came with RELEASE has written over them."""
        self._stale = False
        control.erase(self.place.ctl, flush=self.claim is not None and bool(self.claim.flags & control.POWER))


def run(place: tender.Place, keeper: sockets.Socket, boot_id: bytes) -> None:
    """The life of a shim, in the process that the keeper has forked for it; returns when it may exit.

    The caller has made it a session leader and closed what is not its own. Signals are as the keeper has them: ignored,
    or with handlers that do nothing here.

    Raises:
        OSError: the control file is locked by another process, or something the shim lives on is broken.
    """
    linux.become_subreaper()
    if not control.lock(place.ctl):
        raise OSError(errno.EAGAIN, "the control file is locked by another process")
    shim = Shim(loops.Loop(), place, keeper, boot_id)
    keeper.send(messages.encode(messages.Ready()))
    sharing.share_rest()
    while not shim.parted:
        shim.turn()
