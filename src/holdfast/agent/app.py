"""Start and stop of an agent: locks, journal, keeper, recovery, listener, signals, the end.

Order of a start: lock of the state directory, journal, keeper, recovery, and only then the socket. Order of an end:
no new connections, GOAWAY, the journal closed clean, BYE to the keeper; jobs go on under their shims.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
import time
import traceback
from typing import TYPE_CHECKING, Final

import uvloop

from holdfast import __version__
from holdfast.agent.accept import Acceptor, login
from holdfast.agent.board import Board
from holdfast.agent.gate import Gate
from holdfast.agent.guard import Guard
from holdfast.agent.held import Held
from holdfast.agent.housekeeping import Housekeeping
from holdfast.agent.keyring import Keyring
from holdfast.agent.metrics import Metrics
from holdfast.agent.network import Bound
from holdfast.agent.plan import own_account
from holdfast.agent.plan_starts import NAME
from holdfast.agent.plans_desk import PlansDesk
from holdfast.agent.principals_desk import PrincipalsDesk
from holdfast.agent.recorded import Recorded, RecordedClock
from holdfast.agent.recover import Recovery
from holdfast.agent.service import Service
from holdfast.agent.shared import Shared
from holdfast.agent.trim import keep_large_blocks_apart
from holdfast.coordination.plans import Plans
from holdfast.errors import HoldfastError, IdentityError, SettingsError, StorageError
from holdfast.jobs.admission import Admission
from holdfast.jobs.stimuli import StopAsked
from holdfast.keeper.launch import CORE_VARIABLE, HELD_BY_ANOTHER, NOFILE_VARIABLE, inherit_keeper, start_keeper
from holdfast.store.audit import Audit
from holdfast.store.interface import Finished
from holdfast.store.journal import Journal
from holdfast.transport import unix
from holdfast.types import JobState
from holdfast.wire.messages import ErrorCode

if TYPE_CHECKING:
    from holdfast.config import Settings
    from holdfast.coordination.plan_records import Order

STOP_S: Final = 8.0
"""An agent that was told to end has ended after this, whatever its jobs do."""
KEEPER_AGAIN_S: Final = 0.2
"""After the keeper's death the agent starts another one so soon; longer after each failure."""
COLLECT_AFTER: Final = 20_000
"""New containers between two looks of the garbage collector: jobs leave almost no cycles behind."""
BIND_AGAIN_S: Final = 2.0
"""After a crash an address that cannot be had is tried again so soon."""
CANNOT_SERVE: Final = 73
"""Exit status of an agent that cannot use its directory, an address or a key (EX_CANTCREAT, sysexits.h)."""
JOURNAL_TROUBLE: Final = 74
"""Exit status of an agent whose journal cannot be used (EX_IOERR, sysexits.h)."""


def run(*, state_dir: str, embedded: bool, keeper_fd: int | None, settings: Settings) -> int:
    """Be the agent of a state directory until told to stop.

    Args:
        state_dir: Absolute path; made (0700) if it is not there.
        embedded: A user's private agent: it leaves by itself after ``settings.idle_exit_s`` without work or clients.
        keeper_fd: The inherited socket of the keeper that started us again; None: a new keeper is started.
        settings: What can be set.

    Returns:
        The exit status: 0 after an orderly end, 75 if another agent holds the directory, 74 if the journal is damaged.
    """
    try:
        lock = _lock(state_dir)
    except OSError as exc:
        _say(f"cannot use the state directory {state_dir}: {exc.strerror}")
        return CANNOT_SERVE
    if lock is None:
        _say(f"another agent holds {state_dir}")
        return HELD_BY_ANOTHER
    _raise_descriptor_limit()
    _leave_no_core()
    try:
        bound = Bound(settings, embedded=embedded, log=_say, restarted=keeper_fd is not None)
    except SettingsError as exc:
        _say(f"{exc}; nothing was started")
        return CANNOT_SERVE
    return uvloop.run(_App(state_dir, embedded, settings, bound).main(keeper_fd))


def _lock(state_dir: str) -> int | None:
    """The lock that makes us the one agent of this directory; None if another one has it."""
    os.makedirs(state_dir, mode=0o700, exist_ok=True)
    mode = os.stat(state_dir).st_mode & 0o777
    if mode & 0o077:
        raise OSError(1, f"its mode is {mode:o}, others can read it (chmod 700 it)")
    fd = os.open(os.path.join(state_dir, "agent.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    os.truncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    return fd


class _App:
    def __init__(self, state_dir: str, embedded: bool, settings: Settings, bound: Bound) -> None:
        self._state_dir = os.path.abspath(state_dir)
        self._embedded = embedded
        self._settings = settings
        self._bound = bound
        self._stopping = asyncio.Event()
        self._stop_jobs = False
        self._metrics: Metrics | None = None
        self._idle_since: float | None = None
        self._keeper_wait_s = KEEPER_AGAIN_S

    async def main(self, keeper_fd: int | None) -> int:
        loop = asyncio.get_running_loop()
        self._loop = loop
        try:
            keys = self._keys = self._open_keys()
        except (IdentityError, StorageError) as exc:
            _say(f"{exc}; nothing was started")
            return CANNOT_SERVE
        self._audit = self._open_audit()
        try:
            journal = self._journal = self._open_journal(loop)
            self._clock = RecordedClock(journal)
            plans = self._recorded_plans()
            shared = self._shared = Shared(journal, loop=loop, clock=self._clock, log=_say)
            shared.restore()
        except StorageError as exc:
            _say(f"{exc} ({exc.path}); nothing was started and nothing was changed: see docs/howto/troubleshooting.md")
            if keeper_fd is not None:
                self._dismiss(keeper_fd)
            return JOURNAL_TROUBLE
        agent_id = journal.incarnation[:16]
        board = self._board = Board(
            loop,
            state_dir=self._state_dir,
            journal=journal,
            admission=Admission(slots=self._settings.slots, queue=self._settings.queue),
            host=socket.gethostname(),
            boot_id=journal.boot_id,
            agent_id=agent_id,
            now_unix_s=time.time,
            log=_say,
        )
        held = Held(board, shared)
        recovery = Recovery(board)
        board.on_keeper_word = recovery.keeper_said
        board.on_keeper_closed = self._keeper_closed
        self._get_keeper(keeper_fd)
        counts = recovery.run()
        board.on_keeper_word = None
        if counts:
            _say("recovered: " + ", ".join(f"{number} {action}" for action, number in sorted(counts.items())))
        board.crew.want(4)
        path = os.path.join(self._state_dir, "agent.sock")
        guard = self._guard = self._get_guard(loop)
        service = self._service = Service(
            board, guard, held, agent_id=agent_id, host=board.host, socket_path=path, log=_say
        )
        service.on_shutdown = self._stop
        service.housekeeping = Housekeeping(board, self._settings)
        service.housekeeping.start()
        shared.start()
        held.recover()
        self._plans = self._serve_plans(plans)
        self._clock.keep()
        gc.collect()
        gc.freeze()  # what is here now stays; the collector need not look at it again
        gc.set_threshold(COLLECT_AFTER, 20, 20)
        for live in list(board.jobs.values()):
            board.on_growth(live)
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stop, False)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        try:
            service.workers.listen()
            self._listen(path, keys)
        except OSError as exc:
            _say(f"cannot listen on {path}: {exc.strerror}")
            return CANNOT_SERVE
        except (SettingsError, StorageError) as exc:
            _say(str(exc))
            return CANNOT_SERVE
        ticker = loop.call_later(1.0, self._tick)
        self._ticker = ticker
        _say(f"agent {os.getpid()} serves {', '.join((path, *service.listeners))}")
        await self._stopping.wait()
        self._acceptor.close()
        service.workers.close()
        if self._metrics is not None:
            self._metrics.close()
        os.unlink(path)
        await self._end()
        return 0

    # --- start -------------------------------------------------------------------------------------------------------

    def _open_keys(self) -> Keyring:
        logins = {login(os.getuid()), login(0)}
        keys = Keyring(self._state_dir, time.time, logins)
        if self._bound.tls or self._bound.missing:
            keys.open()
            keep_large_blocks_apart()
        return keys

    def _listen(self, path: str, keys: Keyring) -> None:
        settings = self._settings
        gate = Gate(per_source=settings.max_strangers_per_source, strangers=settings.max_strangers)
        self._acceptor = Acceptor(
            self._service,
            gate,
            max_connections=settings.max_connections,
            max_per_principal=settings.max_connections_per_principal,
            log=_say,
        )
        self._service.acceptor = self._acceptor
        self._service.metrics_url = self._bound.metrics_url
        PrincipalsDesk(self._service, keys, self._acceptor, _say)
        self._acceptor.listen_unix(path)
        for listener in self._bound.tls:
            self._acceptor.listen_tls(listener, keys)
        if self._bound.missing:
            self._loop.call_later(BIND_AGAIN_S, self._listen_again, keys)
        if self._bound.metrics is not None:
            self._metrics = Metrics(self._loop, self._bound.metrics, self._facts)

    def _listen_again(self, keys: Keyring) -> None:
        if self._stopping.is_set():
            return
        for listener in self._bound.again():
            self._acceptor.listen_tls(listener, keys)
            _say(f"agent {os.getpid()} serves {self._acceptor.addresses[-1]}")
        if self._bound.missing:
            self._loop.call_later(BIND_AGAIN_S, self._listen_again, keys)

    def _facts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Counters and gauges for Prometheus."""
        service, board, network = self._service, self._board, self._acceptor.facts()
        now = {name: network.pop(name) for name in ("unauthenticated_now", "remote_now")}
        counters = {**service.counters, **board.counters, **service.guard.counters, **self._shared.counters}
        counters |= {f"network_{name}": number for name, number in network.items()}
        gauges = {
            "clients": len(service.peers),
            "jobs": len(board.jobs),
            **self._shared.gauges,
            "plans": self._plans.waiting,
            "shims": len(board.crew.shims),
            "spool_bytes": board.journal.spool_bytes(),
            **{f"network_{name.removesuffix('_now')}_open": number for name, number in now.items()},
        }
        return counters, gauges

    def _open_journal(self, loop: asyncio.AbstractEventLoop) -> Journal:
        def on_group(finished: list[Finished]) -> None:
            loop.call_soon_threadsafe(_finish, finished)

        with open("/proc/sys/kernel/random/boot_id") as file:
            boot_id = file.read().strip()
        return Journal.open(
            os.path.join(self._state_dir, "journal.db"),
            boot_id=boot_id,
            now_unix_s=time.time(),
            random_bytes=os.urandom,
            on_group=on_group,
            flush=self._flush,
        )

    def _recorded_plans(self) -> tuple[Plans, Recorded[Order]]:
        """The plans of the agent before, and where what happens to them is recorded."""
        machine = Plans()
        recorded = Recorded(NAME, machine, self._journal, loop=self._loop, clock=self._clock, log=_say)
        recorded.restore()
        return machine, recorded

    def _serve_plans(self, plans: tuple[Plans, Recorded[Order]]) -> PlansDesk:
        machine, self._recorded = plans
        desk = PlansDesk(self._service, machine, self._recorded, self._keys.known_as)
        self._recorded.on_effect = desk.ordered
        desk.recover()
        return desk

    def _flush(self, journal_fd: int) -> None:
        """What is to survive a power failure does so together with the record of who asked for it."""
        if self._audit is not None:
            self._audit.flush()
        os.fdatasync(journal_fd)

    def _open_audit(self) -> Audit | None:
        try:
            return Audit(os.path.join(self._state_dir, "audit"), now_unix_s=time.time)
        except StorageError as exc:
            _say(f"{exc}; nothing that is asked from outside will be carried out")
            return None

    def _get_guard(self, loop: asyncio.AbstractEventLoop) -> Guard:
        guard = Guard(
            os.path.join(self._settings.config_dir, "policy.toml"),
            self._audit,
            loop=loop,
            now_unix_s=time.time,
            own_user=own_account().name,
            log=_say,
        )
        guard.policy()  # what is wrong with it is to be said now, not when somebody calls
        guard.note("agent.started", {"version": __version__, "pid": os.getpid(), "boot": self._board.boot_id})
        return guard

    def _get_keeper(self, keeper_fd: int | None) -> None:
        if keeper_fd is not None:
            keeper = inherit_keeper(keeper_fd)
            pid = unix.peer_credentials(keeper).pid
        else:
            keeper, pid = start_keeper(
                self._state_dir, self._argv(), log_path=os.path.join(self._state_dir, "agent.log")
            )
        self._board.crew.join(keeper, pid)

    def _argv(self) -> list[str]:
        argv = [sys.executable, "-m", "holdfast", "agent", "run", "--state-dir", self._state_dir]
        return [*argv, *(["--embedded"] if self._embedded else []), *self._bound.argv()]

    def _dismiss(self, keeper_fd: int) -> None:
        """Tell a keeper that started us that there is no point in trying again."""
        from holdfast.keeper import messages

        with inherit_keeper(keeper_fd) as keeper:
            keeper.send(messages.encode(messages.Bye()))

    def _keeper_closed(self) -> None:
        if not self._stopping.is_set():
            _say("the keeper is gone; starting another one")
            self._loop.call_later(KEEPER_AGAIN_S, self._keeper_again)

    def _keeper_again(self) -> None:
        if self._stopping.is_set() or self._board.crew.keeper_pid is not None:
            return
        try:
            self._get_keeper(None)
        except (OSError, TimeoutError) as exc:
            _say(f"cannot start a keeper: {exc}")
            self._keeper_wait_s = min(30.0, self._keeper_wait_s * 2)
            self._loop.call_later(self._keeper_wait_s, self._keeper_again)
            return
        self._keeper_wait_s = KEEPER_AGAIN_S
        self._board.crew.want(4)
        self._board.supervisors.keeper_came()

    def _tick(self) -> None:
        now = self._loop.time()
        self._ticker = self._loop.call_later(1.0, self._tick)
        for peer in list(self._service.peers):
            peer.tick(now)
        if not self._embedded:
            return
        needed = self._board.jobs or self._service.peers or self._plans.waiting
        busy = bool(needed or self._bound.tls or self._bound.missing or self._bound.metrics)
        busy = busy or self._shared.is_needed
        if busy or self._idle_since is None:
            self._idle_since = None if busy else now
        elif now - self._idle_since >= self._settings.idle_exit_s:
            _say(f"nothing to do and no clients for {self._settings.idle_exit_s:g} s: leaving")
            self._stopping.set()

    # --- end ---------------------------------------------------------------------------------------------------------

    def _stop(self, jobs: bool) -> None:
        self._stop_jobs = self._stop_jobs or jobs
        self._stopping.set()

    async def _end(self) -> None:
        service, board = self._service, self._board
        board.admission.draining = True
        for peer in service.peers:
            peer.link.goaway(ErrorCode.SHUTTING_DOWN, "the agent is shutting down", retry_after_s=0.5)
            peer.flush()
        if self._stop_jobs:
            await self._end_jobs()
        board.flush_lazy()
        for peer in list(service.peers):
            peer.close(ErrorCode.SHUTTING_DOWN, "the agent has been stopped")
        self._ticker.cancel()
        await asyncio.sleep(0)
        if service.housekeeping is not None:
            service.housekeeping.close()
        board.crew.bye()
        self._plans.close()
        self._recorded.keep_snapshot()
        service.held.close()
        self._shared.close()
        self._shared.recorded.keep_snapshot()
        board.close()
        try:
            self._keys.principals.save()
        except StorageError as exc:
            _say(str(exc))
        self._journal.close(clean=True)
        self._guard.note("agent.stopped", {"pid": os.getpid()})
        self._guard.close()
        _say("stopped")

    async def _end_jobs(self) -> None:
        board = self._board
        deadline = self._loop.time() + STOP_S
        for live in list(board.jobs.values()):
            if live.job.state is not JobState.DONE:
                grace_s = min(live.job.spec.grace_s, STOP_S / 2)
                try:
                    board.step(live, StopAsked("agent", grace_s))
                except HoldfastError as exc:
                    _say(str(exc))
        while board.jobs and self._loop.time() < deadline:
            await asyncio.sleep(0.02)
        if board.jobs:
            _say(f"{len(board.jobs)} jobs have not ended yet; their shims go on ending them")


def _finish(finished: list[Finished]) -> None:
    for done, error in finished:
        try:
            done(error)
        except Exception:  # it is about one job, and the others of this commit wait for theirs
            _say(f"a record's consequence failed\n{traceback.format_exc()}")


def _raise_descriptor_limit() -> None:
    """A connection costs a descriptor: take as many as the hard limit allows (getrlimit(2)).

    Commands get the limit that we were started with. Keeper and shims give it to them, and find it in the environment;
    so does the next agent, which inherits ours.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.environ.setdefault(NOFILE_VARIABLE, str(soft))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as exc:
        _say(f"the limit of {soft} descriptors stays: {exc}")


def _leave_no_core() -> None:
    """A core of the agent would hold keys and the output of jobs. Commands get the limit that we were started with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    os.environ.setdefault(CORE_VARIABLE, str(soft))
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _say(line: str) -> None:
    """One line of the agent's log; it goes where descriptor 2 goes."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        sys.stderr.write(f"{stamp} holdfast agent: {line}\n")
        sys.stderr.flush()
    except OSError:
        return  # a full disk must not end the agent
