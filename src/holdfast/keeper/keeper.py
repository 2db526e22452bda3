"""The keeper: forks shims, remembers their pipes, and adopts the job of a shim that dies.

Rules of this process:

* One thread, no network, no event-loop library, the standard library alone: it must be dull enough never to die.
* Sub-reaper above all shims: what a dead shim leaves behind becomes its child, and its exit status comes here.
* It believes the agent at the other end of its inherited socket and nobody else. When that end closes without BYE, the
  agent has crashed, and is started again.
* Of a directory ``shims/ID`` it removes what holds no job. One that holds a CLAIM belongs to the agent as soon as DIED
  (or, after an adoption, FINISHED) has been told.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal

from holdfast.keeper import adoption, linux, messages, rehearsal, sharing, sockets, tender, tree
from holdfast.keeper import loop as loops
from holdfast.keeper.agent_link import AgentLink
from holdfast.keeper.nursery import Child, Nursery
from holdfast.store import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_AGAIN_NS = 1_000_000
_MOST_NEWS = 1_000


class Keeper:
    """All shims of one agent, and of those that follow it under this keeper."""

    def __init__(self, state_dir: str, agent_fd: int, agent_argv: list[str]) -> None:
        self._pid = os.getpid()
        self._loop = loops.Loop()
        self._loop.on_child = self._reap
        self._boot_id = _boot_id()
        self._nursery = Nursery(state_dir, self._boot_id)
        self._children: dict[int, Child] = {}
        self._adopted: list[adoption.Adopted] = []
        self._waiting: list[tuple[Child, int, list[int]]] = []
        self._news: dict[str, list[messages.Message]] = {}
        self._leaving = self._asked_to_end = False
        self._lock = _take_lock(state_dir)
        self._agent = AgentLink(self._loop, agent_fd, agent_argv, self._boot_id, self)

    def run(self) -> None:
        """Keeps, until the agent has left and nothing is left to keep."""
        self._guard(rehearsal.rehearse, self._boot_id)
        sharing.share_all()
        while not (self._leaving and not self._children and not self._adopted and not self._waiting):
            deadline = self._next_deadline()
            self._guard(self._loop.turn, None if deadline is None else max(0, deadline - linux.boot_ns()))
            now = linux.boot_ns()
            if deadline is not None and now >= deadline:
                self._handle_timeouts(now)
            self._settle()

    def asked_to_end(self, signum: int, frame: object) -> None:
        """Handler of SIGTERM: as if the agent had said BYE, when the loop comes round."""
        self._asked_to_end = True

    def _next_deadline(self) -> int | None:
        deadlines = [one.next_deadline() for one in self._adopted]
        deadlines.append(self._agent.restart_at)
        if self._waiting:
            deadlines.append(linux.boot_ns() + _LOOK_AGAIN_NS)
        return min((one for one in deadlines if one is not None), default=None)

    def _handle_timeouts(self, now: int) -> None:
        for one in tuple(self._adopted):
            self._guard(one.handle_timeout, now)
        if self._waiting:
            self._guard(self._look_again)
            self._guard(self._check_trees)
        self._guard(self._agent.handle_timeout, now)

    def _guard(self, act: Callable[..., None], *args: object) -> None:
        """One job's trouble must not become everybody's: it is written down, and the keeper goes on."""
        try:
            act(*args)
        except Exception:
            loops.complain_of_exception()

    # The agent.

    def agent_wants(self, number: int) -> None:
        """Forks so many shims."""
        for done in range(0 if self._leaving else number):
            try:
                child = self._nursery.fork()
            except OSError as exc:
                loops.complain(f"cannot make a shim: {exc}")
                self._agent.send(messages.ForkFailed(number - done, exc.errno or errno.EIO))
                return
            self._children[child.pid] = child
            self._loop.watch(child.line.fileno(), loops.READABLE, self._listener(child))

    def agent_left(self) -> None:
        """No agent will come: idle shims end now, busy ones after their job. Clients need not wait for us any more."""
        self._leaving = True
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        for child in self._children.values():
            self._say(child, messages.Retire())

    def agent_came(self) -> None:
        """Tells a fresh agent all that lives, and all that has died and was not cleared away."""
        for child in self._children.values():
            if child.ready:
                self._agent.send(messages.Forked(child.shim, child.pid))
        self._forget_old_news()
        for news in self._news.values():
            for message in news:
                self._agent.send(message)

    def _tell(self, name: str, message: messages.Message) -> None:
        """News is kept as long as the directory is there: an agent may crash between hearing and acting."""
        self._news.setdefault(name, []).append(message)
        self._agent.send(message)
        if len(self._news) > _MOST_NEWS:
            self._forget_old_news()

    def _forget_old_news(self) -> None:
        there = self._nursery.there()
        self._news = {name: news for name, news in self._news.items() if name in there}

    # The shims.

    def _hear(self, child: Child) -> bool:
        """Takes one message of a shim; False if there is none."""
        try:
            packet, fds = sockets.receive(child.line, messages.MAX_PACKET_BYTES, sockets.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        if not packet:
            self._loop.unwatch(child.line.fileno())
            return False
        match messages.decode(packet):
            case messages.Ready():
                child.ready = True
                self._agent.send(messages.Forked(child.shim, child.pid))
                if self._leaving:
                    self._say(child, messages.Retire())
            case messages.Hold():
                child.drop_stdin()
                pipe, file = fds
                child.stdin = (pipe, file)
                self._say(child, messages.Held())
            case messages.Drop():
                child.drop_stdin()
        return True

    def _listener(self, child: Child) -> loops.Handler:
        def hear(events: int) -> None:
            self._hear(child)

        return hear

    def _say(self, child: Child, message: messages.Message) -> None:
        try:
            child.line.send(messages.encode(message), sockets.MSG_DONTWAIT)
        except OSError:
            pass  # it is dying, and its death will be seen

    # Deaths.

    def _reap(self) -> None:
        """Looks at every dead child before reaping it: a main process is recorded first, a shim's heirs are found."""
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if dead is None:
                break
            if dead.si_pid in self._children:
                self._bury(self._dead_shims())
            elif dead.si_pid == self._agent.pid:
                self._agent.died(os.waitpid(dead.si_pid, 0)[1])
            elif any(dead.si_pid in inherited for _, _, inherited in self._waiting):
                self._look_again()
            else:
                self._reap_orphan(dead.si_pid, dead.si_code, dead.si_status)
        self._check_trees()

    def _reap_orphan(self, pid: int, code: int, status: int) -> None:
        owner = next((one for one in self._adopted if pid in one.members), None)
        if owner is None:
            self._take_in()
            owner = next((one for one in self._adopted if pid in one.members), None)
        if owner is None:
            if not any(pid in inherited for _, _, inherited in self._waiting):
                os.waitpid(pid, 0)
            return
        self._guard(owner.child_died, pid, code, status)
        owner.members.discard(pid)

    def _check_trees(self) -> None:
        if self._adopted:
            self._take_in()
        for one in tuple(self._adopted):
            if not one.members:
                self._guard(one.tree_gone)

    def _take_in(self) -> None:
        """Gives each new orphan to the adopted job that it comes from.

        Listed first, dead shims second: whatever a shim leaves is our child only after its death, so what was listed
        comes from a shim that this look finds dead, or from a job adopted before.
        """
        for one in self._adopted:
            one.learn_sessions()
        orphans = self._unknown()
        dead = self._dead_shims()
        if dead:
            self._bury(dead)
            orphans = [process for process in orphans if process.pid not in self._known()]
        for process in orphans:
            owner = next((one for one in self._adopted if one.owns(process)), None)
            if owner is None and len(self._adopted) == 1:
                owner = self._adopted[0]
            if owner is not None:
                owner.members.add(process.pid)

    def _known(self) -> set[int]:
        known = {*self._children, self._agent.pid}
        for one in self._adopted:
            known |= one.members
        for _, _, inherited in self._waiting:
            known.update(inherited)
        return known

    def _unknown(self) -> list[tree.Process]:
        """Children of ours that nobody has accounted for."""
        known = self._known()
        found = (tree.process(pid) for pid in tree.children(self._pid) if pid not in known)
        return [process for process in found if process is not None]

    def _dead_shims(self) -> list[Child]:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return [child for pid, child in self._children.items() if os.waitid(os.P_PID, pid, flags) is not None]

    def _bury(self, dead: list[Child]) -> None:
        """Reaps shims, and decides about their jobs by what each has left to us.

        Who dies between the two lists would leave orphans in the second and not be in the first, and another job would
        get them: so both are made anew until nobody has.
        """
        orphans = self._unknown()
        while len(later := self._dead_shims()) > len(dead):
            dead, orphans = later, self._unknown()
        for child in dead:
            while self._hear(child):  # a HOLD may wait unread
                pass
        estates = {child.pid: self._slots(child.shim) for child in dead}
        shares: dict[int, list[int]] = {child.pid: [] for child in dead}
        claimed = {s.claim.job: pid for pid, s in estates.items() if isinstance(s.claim, control.Claim)}
        for process in orphans:
            heir: int | None = process.session
            if heir not in shares:
                heir = claimed.get(adoption.job_of(process.pid))
            if heir is None and not any(one.owns(process) for one in self._adopted):
                heir = next(iter(claimed.values()), dead[0].pid)
            if heir is not None:
                shares[heir].append(process.pid)
        for child in dead:
            status = os.waitpid(child.pid, 0)[1]
            del self._children[child.pid]
            self._loop.unwatch(child.line.fileno())
            child.line.close()
            self._decide(child, status, shares[child.pid])

    def _look_again(self) -> None:
        waiting, self._waiting = self._waiting, []
        for child, status, inherited in waiting:
            self._decide(child, status, inherited)

    def _slots(self, name: str) -> control.Slots:
        try:
            return control.read_path(f"{name}/ctl", dir_fd=self._nursery.directory)
        except OSError:  # the agent has cleared it away
            return control.Slots()

    def _decide(self, child: Child, status: int, inherited: list[int]) -> None:
        slots = self._slots(child.shim)
        heirs = [process for process in map(tree.process, inherited) if process is not None]
        verdict, main_pid = adoption.judge(slots, heirs)
        if verdict == adoption.WAIT:
            self._waiting.append((child, status, inherited))
            return
        if verdict == adoption.NOT_RUN:
            os.waitpid(main_pid, 0)
        if not child.ready:  # the agent was never told of it, and still counts on it
            self._agent.send(messages.ForkFailed(1, 0))
        if verdict in (adoption.ADOPT, adoption.DRAIN):
            try:
                self._adopt(child, slots, verdict, main_pid, heirs)
            except Exception:
                loops.complain_of_exception()
        else:
            child.close()
        if slots.claim is None:
            self._nursery.remove(child.shim)
        else:
            self._tell(child.shim, messages.Died(child.shim, child.pid, status, verdict == adoption.ADOPT))
            return
        self._agent.send(messages.Died(child.shim, child.pid, status, False))

    def _adopt(
        self, child: Child, slots: control.Slots, verdict: int, main_pid: int, heirs: list[tree.Process]
    ) -> None:
        directory = os.open(child.shim, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._nursery.directory)
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        if verdict == adoption.ADOPT:
            files = [os.open(name, flags, dir_fd=directory) for name in ("ctl", "out", "err")]
            control.lock(files[0])
        else:  # there is no record to keep, and the agent may have taken the files
            files = [os.open("/dev/null", flags) for _ in range(3)]
        ctl, out, err = files
        place = tender.Place(directory, ctl, child.out_pipe, child.err_pipe, out, err, child.listener)
        one = adoption.Adopted(self._loop, place, child.shim, child.pid, heirs)
        self._adopted.append(one)
        if verdict == adoption.ADOPT:
            one.go_on(slots, main_pid, child.stdin)
        else:
            child.drop_stdin()
            one.drain()

    def _settle(self) -> None:
        """Tells what has been recorded, and lets go of what is over."""
        if self._asked_to_end and not self._leaving:
            self._agent.leave()
        for one in tuple(self._adopted):
            if one.parted:
                self._adopted.remove(one)
                one.close()
            if one.recorded and not one.told:
                one.told = True
                self._tell(one.shim, messages.Finished(one.shim))


def main(state_dir: str, agent_fd: int, agent_argv: list[str]) -> None:
    """Becomes a keeper in the background; the calling process ends with status 0 as soon as it is forked.

    Args:
        state_dir: The state directory.
        agent_fd: Our end of the socket pair with the agent.
        agent_argv: How to start the agent again; empty: not at all.
    """
    if os.fork():
        os._exit(0)
    try:
        os.chdir("/")
        os.umask(0o077)
        for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(signum, signal.SIG_IGN)
        loops.note_children()
        linux.become_subreaper()
        linux.forbid_core_dump()
        keeper = Keeper(state_dir, agent_fd, agent_argv)
        signal.signal(signal.SIGTERM, keeper.asked_to_end)
        keeper.run()
    except BaseException:
        loops.complain_of_exception()
        os._exit(1)
    os._exit(0)


def _take_lock(state_dir: str) -> int | None:
    """The lock that tells clients to wait: this keeper starts a crashed agent again. None: another keeper has it.

    A record lock ends with the process and is not inherited by shims (fcntl(2)).
    """
    lock = os.open(os.path.join(state_dir, "keeper.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _boot_id() -> bytes:
    with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
        return bytes.fromhex(file.readall().decode().strip().replace("-", ""))
