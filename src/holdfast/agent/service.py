"""Requests become rooms: every operation of the protocol, from the typed request to its answer.

Rules of this module:

* A closed table from request type to method; no name from the wire is ever looked up on an object.
* Whoever carries a request out asks ``guard`` first; those about enrolled keys are asked about here.
* An answer to RUN is sent after the commit of ACCEPTED, the receipt after that of DONE.
* Each refusal says whether the command ran.
"""

from __future__ import annotations

import platform
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from holdfast import __version__
from holdfast.agent.board import Board
from holdfast.agent.coordination_desk import CoordinationDesk
from holdfast.agent.jobs_desk import JobsDesk
from holdfast.agent.live import LiveJob
from holdfast.agent.lookup import Lookup
from holdfast.agent.peer import Peer
from holdfast.agent.plan import WORKER
from holdfast.agent.reading import ReadingDesk
from holdfast.agent.starts import Starts
from holdfast.agent.stdin import StdinDesk
from holdfast.agent.worker_desk import WorkerDesk
from holdfast.errors import HoldfastError, Refused, StorageError
from holdfast.jobs.instructions import Notify
from holdfast.jobs.stimuli import LeftOnPurpose
from holdfast.types import JobState, Receipt
from holdfast.wire import coordination, limits, plans
from holdfast.wire.messages import (
    AnyRequest,
    Dial,
    ErrorCode,
    Failure,
    Forget,
    Get,
    Hello,
    Invite,
    Leftovers,
    List,
    Principals,
    Prune,
    Read,
    ResultAnswer,
    Retry,
    Revoke,
    Run,
    Shutdown,
    Signal,
    Started,
    Status,
    Stop,
    Verify,
    Wait,
    Welcome,
    Write,
)

if TYPE_CHECKING:
    from holdfast.agent.accept import Acceptor
    from holdfast.agent.guard import Guard
    from holdfast.agent.held import Held
    from holdfast.agent.housekeeping import Housekeeping


Operation = Callable[[Peer, int, Any, bytes], None]


class Service:
    """What an agent does for its clients."""

    def __init__(
        self,
        board: Board,
        guard: Guard,
        held: Held,
        *,
        agent_id: str,
        host: str,
        socket_path: str,
        log: Callable[[str], None],
    ) -> None:
        self.board = board
        self.guard = guard
        self.held = held
        self.journal = board.journal
        self.loop = board.loop
        self.log = log
        self.agent_id = agent_id
        self.host = host
        self.socket_path = socket_path
        self.peers: set[Peer] = set()
        self.counters = {"connections": 0, "requests": 0, "bytes_in": 0, "bytes_out": 0, "protocol_errors": 0}
        self.stdin = StdinDesk(board)
        self.lookup = Lookup(board)
        self.starts = Starts(self)
        self.reading = ReadingDesk(self)
        self.desk = JobsDesk(self)
        self.workers = WorkerDesk(self)
        self._operations: dict[type, Operation] = {
            Run: self.starts.run,
            Get: self.desk.get,
            List: self.desk.list_jobs,
            Read: self.reading.read,
            Write: self._write,
            Wait: self.desk.wait,
            Signal: self.desk.signal,
            Stop: self.desk.stop,
            Retry: self.starts.retry,
            Forget: self.desk.forget,
            Prune: self.desk.prune,
            Verify: self.desk.verify,
            Leftovers: self.desk.leftovers,
            Status: self.desk.status,
            Shutdown: self.desk.shutdown,
            Invite: self._no_keys,
            Principals: self._no_keys,
            Revoke: self._no_keys,
            coordination.Open: _not_answered,
            coordination.Drop: _not_answered,
            coordination.Acquire: _not_answered,
            coordination.Release: _not_answered,
            coordination.Await: _not_answered,
            coordination.Notify: _not_answered,
            coordination.Flag: _not_answered,
            coordination.Meet: _not_answered,
            coordination.Put: _not_answered,
            coordination.Take: _not_answered,
            coordination.Settle: _not_answered,
            coordination.Join: _not_answered,
            coordination.ShutQueue: _not_answered,
            coordination.Withdraw: _not_answered,
            coordination.Renew: _not_answered,
            coordination.ObjectState: _not_answered,
            coordination.Leases: _not_answered,
            plans.Plan: _not_answered,
            plans.Unplan: _not_answered,
            plans.Replan: _not_answered,
            plans.Plans: _not_answered,
            plans.Group: _not_answered,
            plans.Groups: _not_answered,
            Dial: self.workers.dial,
        }
        self.sharing = CoordinationDesk(self, held.shared)
        self.housekeeping: Housekeeping | None = None
        self.acceptor: Acceptor | None = None
        self.metrics_url = ""
        self.on_shutdown: Callable[[bool], None] = lambda jobs: None
        self.read_only: str | None = None
        self.started_unix_s = board.unix_s()
        self._leases: dict[tuple[Peer, int], LiveJob] = {}
        self.waits: dict[tuple[Peer, int], LiveJob] = {}
        board.on_notify = self._notified
        board.on_growth = self.reading.grew
        board.on_journal_error = self.starts.not_accepted
        board.before_accepting = guard.record_starts

    # --- connections -------------------------------------------------------------------------------------------------

    def greeted(self, peer: Peer, hello: Hello) -> None:
        """A client's HELLO: who it is was decided when it connected."""
        peer.instance = hello.instance
        peer.link.welcome(
            Welcome(
                protocol=min(hello.highest, limits.PROTOCOL_HIGHEST),
                agent=self.agent_id,
                incarnation=self.journal.incarnation,
                boot_id=self.board.boot_id,
                principal=peer.principal,
                host=self.host,
                software=f"holdfast/{__version__}",
                roles=(self.guard.role_of(peer),),
                unix_s=self.board.unix_s(),
                python=platform.python_version(),
                worker=WORKER,
            )
        )
        self.guard.connected(peer)

    def peer_gone(self, peer: Peer) -> None:
        """A connection ended: its readers and waiters go, its leases begin to run out."""
        self.peers.discard(peer)
        for stream in list(peer.readers):
            self.reading.reader_gone(peer, stream)
        for owner, stream in [key for key in self.waits if key[0] is peer]:
            self._drop_wait(owner, stream)
        for owner, stream in [key for key in self._leases if key[0] is peer]:
            self.detach(owner, stream)
        self.stdin.peer_gone(peer)
        self.workers.peer_gone(peer)
        self.sharing.peer_gone(peer)
        self.guard.disconnected(peer)

    def stream_gone(self, peer: Peer, stream: int) -> None:
        """The client gave a stream up on purpose: that is no lost client, so what it held as attached is kept."""
        live = self._leases.get((peer, stream))
        if live is not None and live.lease.clients == 1:
            live.lease.policy = "keep"
            self.board.step(live, LeftOnPurpose())
        self.end_stream(peer, stream)

    def end_stream(self, peer: Peer, stream: int) -> None:
        """Forget all that a stream was."""
        self.reading.reader_gone(peer, stream)
        self._drop_wait(peer, stream)
        self.detach(peer, stream)
        self.stdin.stream_gone(peer, stream)
        self.workers.stream_gone(peer, stream)
        self.sharing.stream_gone(peer, stream)

    def attach(self, peer: Peer, stream: int, live: LiveJob) -> None:
        """This stream holds the lease of a job that is not done."""
        if live.job.state is not JobState.DONE and (peer, stream) not in self._leases:
            self._leases[peer, stream] = live
            live.lease.attach(peer.instance.encode())
            self.board.touch_lease(live)

    def detach(self, peer: Peer, stream: int) -> None:
        """This stream holds no lease any more."""
        live = self._leases.pop((peer, stream), None)
        if live is not None:
            live.lease.detach(peer.instance.encode(), self.loop.time())
            self.board.touch_lease(live)

    def _drop_wait(self, peer: Peer, stream: int) -> None:
        live = self.waits.pop((peer, stream), None)
        if live is not None and (peer, stream) in live.waiters:
            live.waiters.remove((peer, stream))

    # --- dispatch ----------------------------------------------------------------------------------------------------

    @property
    def listeners(self) -> list[str]:
        """Where this agent listens beside its own socket; for status."""
        addresses = [] if self.acceptor is None else self.acceptor.addresses
        return [*addresses, *([self.metrics_url] if self.metrics_url else [])]

    def offer(self, operations: Mapping[type, Operation]) -> None:
        """Let another room answer these."""
        assert operations.keys() <= self._operations.keys()
        self._operations.update(operations)

    def requested(self, peer: Peer, stream: int, request: AnyRequest, body: bytes) -> None:
        """One request; every failure is an ERR, never a lost connection."""
        self.counters["requests"] += 1
        if isinstance(request, (Invite, Principals, Revoke)):
            self._carry_out(self._ask_about_keys, peer, stream, request, body)
        else:
            self._carry_out(self._operations[type(request)], peer, stream, request, body)

    def _ask_about_keys(self, peer: Peer, stream: int, request: Invite | Principals | Revoke, body: bytes) -> None:
        """What is about enrolled keys takes an admin; a change waits until its record is on the disk."""
        caller = self.guard.caller(peer, request)
        caller.administers(_resource(request))
        operation = self._operations[type(request)]
        if isinstance(request, Principals):
            operation(peer, stream, request, body)
            return

        def flushed(error: OSError | None) -> None:
            if error is None or caller.is_local:
                self._carry_out(operation, peer, stream, request, body)
            else:
                text = f"not done, since its record cannot be flushed: {error.strerror}"
                peer.link.fail(stream, Failure(ErrorCode.DISK_FULL, text, "no", 10.0))
            peer.flush()

        self.guard.flushed(flushed)

    def _carry_out(self, operation: Operation, peer: Peer, stream: int, request: AnyRequest, body: bytes) -> None:
        try:
            operation(peer, stream, request, body)
        except Refused as error:
            peer.link.fail(stream, Failure(error.code, str(error), error.ran, error.retry_after_s))
        except StorageError as error:
            peer.link.fail(stream, Failure(ErrorCode.JOURNAL_FAILED, f"{error} ({error.path})", "unknown"))
        except HoldfastError as error:
            code = getattr(error, "code", ErrorCode.INVALID)
            peer.link.fail(stream, Failure(code, str(error), "no"))
        except Exception as error:
            self._our_mistake(peer, stream, error)

    def stdin_data(self, peer: Peer, stream: int, offset: int, data: bytes) -> None:
        """Bytes for a worker, or of a job's stdin."""
        try:
            if not self.workers.data(peer, stream, offset, data):
                self.stdin.data(peer, stream, offset, data)
        except Exception as error:
            self._our_mistake(peer, stream, error)

    def stdin_end(self, peer: Peer, stream: int, length: int) -> None:
        """The end of a job's stdin."""
        try:
            self.stdin.end(peer, stream, length)
        except Exception as error:
            self._our_mistake(peer, stream, error)

    def _our_mistake(self, peer: Peer, stream: int, error: Exception) -> None:
        """Costs this stream, not the connection: a client would come back with the same request for ever."""
        self.log("".join(traceback.format_exception(error)))
        self.end_stream(peer, stream)
        peer.link.fail(stream, Failure(ErrorCode.INTERNAL, f"a mistake of the agent: {error!r}", "unknown"))

    # --- what the board tells ----------------------------------------------------------------------------------------

    def _notified(self, live: LiveJob, notify: Notify) -> None:
        job = live.job
        if notify.kind == "accepted":
            for peer, stream, run in self.starts.accepting.pop(job.id, ()):
                self.starts._tell_accepted(peer, stream, live, attach=run.attach, deduplicated=False)
        elif notify.kind == "started":
            assert job.pid is not None
            assert job.started_unix_s is not None
            started = Started(job.id, job.pid, job.started_unix_s, job.attempt)
            for peer, reader in live.readers:
                if reader.is_run:
                    peer.tell_later(reader.stream, started)
            self.stdin.ready(live)
        elif notify.kind == "done":
            assert notify.receipt is not None
            self.held.job_done(live, notify.receipt)
            self._finished(live, notify.receipt)

    def _finished(self, live: LiveJob, receipt: Receipt) -> None:
        waiters, live.waiters = live.waiters, []
        for peer, stream in waiters:
            self.waits.pop((peer, stream), None)
            self.detach(peer, stream)
            peer.link.respond(stream, ResultAnswer(receipt))
            peer.flush()
        for peer, reader in list(live.readers):
            self.reading.serve(peer, reader)
        self.stdin.job_done(live)
        self.workers.job_done(live)
        if self.housekeeping is not None:
            self.housekeeping.job_done(live)

    def _write(self, peer: Peer, stream: int, write: Write, _body: bytes) -> None:
        caller = self.guard.caller(peer, write)
        live = self.lookup.named(caller, write.job)
        caller.changes(live.principal, live.job.id)
        self.stdin.write(peer, stream, live)

    def _no_keys(self, peer: Peer, stream: int, _request: AnyRequest, _body: bytes) -> None:
        raise Refused("this agent has no keys to enrol, list or revoke", code=ErrorCode.INVALID)


def _not_answered(_peer: Peer, _stream: int, request: AnyRequest, _body: bytes) -> None:
    raise Refused(f"this agent has no answer to {request.__struct_config__.tag}", code=ErrorCode.INVALID)


def _resource(request: Invite | Principals | Revoke) -> str:
    """What a request about keys is about, as it is recorded."""
    if isinstance(request, Revoke):
        return request.principal
    return f"role {request.role}" if isinstance(request, Invite) else ""
