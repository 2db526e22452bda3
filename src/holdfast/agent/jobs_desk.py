"""Requests about jobs that are there already, and about the agent itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast import __version__
from holdfast.agent import shelf
from holdfast.agent.peer import Peer
from holdfast.errors import Refused, StorageError
from holdfast.jobs.stimuli import SignalAsked, StopAsked
from holdfast.store.disk import disk_space
from holdfast.types import JobState, Receipt
from holdfast.wire.messages import (
    DoneAnswer,
    ErrorCode,
    Failure,
    Forget,
    Get,
    JobAnswer,
    JobsAnswer,
    Leftovers,
    LeftoversAnswer,
    List,
    Prune,
    PruneAnswer,
    ResultAnswer,
    Shutdown,
    Signal,
    Status,
    StatusAnswer,
    Stop,
    Verify,
    VerifyAnswer,
    Wait,
)

if TYPE_CHECKING:
    from holdfast.agent.guard import Detail
    from holdfast.agent.service import Service

COMMITTING_S: Final = 0.005
"""How long a request waits that needs the journal to have what was told already."""


class JobsDesk:
    """One method for each request; every one of them answers or raises."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._board = service.board

    def get(self, peer: Peer, stream: int, get: Get, _body: bytes) -> None:
        """One job, with its slower digests if it is done."""
        caller = self._service.guard.caller(peer, get)
        live = self._service.lookup.named(caller, get.job)
        self._board.output.measure(live)  # where nobody reads, nobody has said how far the job has come
        info = live.info(self._board.loop.time())
        if self._service.housekeeping is None or not shelf.lacks_sha256(live.published):
            peer.link.respond(stream, JobAnswer(info))
            return

        def done(receipt: Receipt | None) -> None:
            peer.link.respond(stream, JobAnswer(msgspec.structs.replace(info, receipt=receipt or info.receipt)))
            peer.flush()

        self._service.housekeeping.add_sha256(self._service.lookup.find(live.job.id, output=True), done)

    def list_jobs(self, peer: Peer, stream: int, request: List, _body: bytes) -> None:
        """A page of jobs."""
        caller = self._service.guard.caller(peer, request)
        infos, more = shelf.listing(self._board, caller, request, self._board.loop.time())
        peer.link.respond(stream, JobsAnswer(infos, more))

    def wait(self, peer: Peer, stream: int, wait: Wait, _body: bytes) -> None:
        """Answered when the job is done."""
        caller = self._service.guard.caller(peer, wait)
        live = self._service.lookup.named(caller, wait.job)
        if live.published is not None:
            peer.link.respond(stream, ResultAnswer(live.published))
            return
        live.waiters.append((peer, stream))
        self._service.waits[peer, stream] = live
        if wait.lease and caller.controls(live.principal):
            self._service.attach(peer, stream, live)

    def signal(self, peer: Peer, stream: int, signal: Signal, _body: bytes) -> None:
        """Send a signal to a running job."""
        caller = self._service.guard.caller(peer, signal)
        live = self._service.lookup.named(caller, signal.job)
        if not live.job.allows(SignalAsked):
            state = live.job.state
            raise Refused(
                f"job {live.job.id} is {state}: there is nothing to signal", code=ErrorCode.STATE,
                ran="no" if state is JobState.QUEUED else "yes",
            )  # fmt: skip
        caller.changes(live.principal, live.job.id, {"signal": signal.signum, "scope": signal.scope})
        self._board.step(live, SignalAsked(signal.signum, signal.scope, f"person:{peer.principal}"))
        peer.link.respond(stream, DoneAnswer(live.job.state))

    def stop(self, peer: Peer, stream: int, stop: Stop, _body: bytes) -> None:
        """End a job in order; answered as soon as that is ordered."""
        caller = self._service.guard.caller(peer, stop)
        live = self._service.lookup.named(caller, stop.job)
        caller.changes(live.principal, live.job.id)
        if not live.done:
            grace_s = live.job.spec.grace_s if stop.grace_s is None else stop.grace_s
            self._board.step(live, StopAsked(f"person:{peer.principal}", grace_s))
        peer.link.respond(stream, DoneAnswer(live.job.state))

    def forget(self, peer: Peer, stream: int, forget: Forget, body: bytes) -> None:
        """Drop a finished job; answered when it is gone."""
        caller = self._service.guard.caller(peer, forget)
        live = self._service.lookup.named(caller, forget.job)
        if not live.done:
            raise Refused(f"job {live.job.id} is {live.job.state}: stop it first", code=ErrorCode.STATE, ran="yes")
        if live.job.id in self._board.jobs:  # its end was told on the EXIT record, and is being committed
            self._board.loop.call_later(COMMITTING_S, self._service.requested, peer, stream, forget, body)
            return
        caller.changes(live.principal, live.job.id, {"forget_key": forget.forget_key})
        assert self._service.housekeeping is not None

        def gone(error: StorageError | None) -> None:
            if error is None:
                peer.link.respond(stream, DoneAnswer(JobState.DONE))
            else:
                peer.link.fail(stream, Failure(ErrorCode.JOURNAL_FAILED, str(error), "yes"))
            peer.flush()

        self._service.housekeeping.forget([live.job.id], forget_key=forget.forget_key, done=gone)

    def prune(self, peer: Peer, stream: int, prune: Prune, _body: bytes) -> None:
        """Drop old jobs; answered when they are gone."""
        assert self._service.housekeeping is not None
        caller = self._service.guard.caller(peer, prune)
        older: Detail = {} if prune.older_than_s is None else {"older_than_s": prune.older_than_s}
        theirs = (peer.principal,) if caller.own_only(older) else None

        def gone(jobs: int, freed: int) -> None:
            peer.link.respond(stream, PruneAnswer(jobs, freed))
            peer.flush()

        self._service.housekeeping.prune(prune.older_than_s, gone, principals=theirs)

    def verify(self, peer: Peer, stream: int, verify: Verify, _body: bytes) -> None:
        """Read a finished job's output again and compare."""
        caller = self._service.guard.caller(peer, verify)
        live = self._service.lookup.named(caller, verify.job, output=True)
        if live.published is None:
            raise Refused(
                f"job {live.job.id} is {live.job.state}: it has no receipt yet", code=ErrorCode.STATE, ran="yes"
            )
        assert self._service.housekeeping is not None

        def done(receipt: Receipt, mismatches: tuple[str, ...]) -> None:
            peer.link.respond(stream, VerifyAnswer(receipt, mismatches))
            peer.flush()

        self._service.housekeeping.verify(live, done)

    def leftovers(self, peer: Peer, stream: int, request: Leftovers, _body: bytes) -> None:
        """Processes that outlived their jobs."""
        assert self._service.housekeeping is not None
        self._service.guard.caller(peer, request).administers(detail={"end": request.end})

        def done(answer: LeftoversAnswer | None) -> None:
            if answer is not None:
                peer.link.respond(stream, answer)
            else:
                text = "the processes of this host cannot be listed; the agent's log says why"
                peer.link.fail(stream, Failure(ErrorCode.INTERNAL, text, "yes" if request.end else "no"))
            peer.flush()

        self._service.housekeeping.leftovers(end=request.end, done=done)

    def status(self, peer: Peer, stream: int, request: Status, _body: bytes) -> None:
        """What the agent is and does. Who is no admin hears of the host's state and of the jobs that they may see."""
        caller = self._service.guard.caller(peer, request)
        board, acceptor = self._board, self._service.acceptor
        states = dict.fromkeys((state.value for state in JobState if state is not JobState.DONE), 0)
        for live in board.jobs.values():
            if live.job.state.value in states and caller.finds(live.principal):
                states[live.job.state.value] += 1
        agent = {
            "pid": os.getpid(),
            "version": __version__,
            "started_unix_s": self._service.started_unix_s,
            "id": self._service.agent_id,
            "host": self._service.host,
            "read_only": self._service.read_only,
        }
        policy, disk = self._service.guard.policy_state, _disk(board.state_dir)
        if not caller.is_admin:
            answer = StatusAnswer(agent, {}, "", "", jobs=states, counters={}, disk=disk, policy=policy)
            peer.link.respond(stream, answer)
            return
        peer.link.respond(
            stream,
            StatusAnswer(
                agent=agent,
                keeper={"pid": board.crew.keeper_pid},
                socket=self._service.socket_path,
                state_dir=board.state_dir,
                jobs=states,
                counters={
                    **self._service.counters,
                    **board.counters,
                    **self._service.guard.counters,
                    **self._service.held.shared.counters,
                    **self._service.held.shared.gauges,
                    "clients": len(self._service.peers),
                    "shims": len(board.crew.shims),
                    "idle_shims": board.crew.idle_count,
                    "spool_bytes": self._board.journal.spool_bytes(),
                },
                listeners=self._service.listeners,
                network={} if acceptor is None else acceptor.facts(),
                disk=disk,
                policy=policy,
            ),
        )

    def shutdown(self, peer: Peer, stream: int, shutdown: Shutdown, _body: bytes) -> None:
        """End the agent."""
        self._service.guard.caller(peer, shutdown).administers(detail={"jobs": shutdown.jobs})
        peer.link.respond(stream, DoneAnswer(text="stopping"))
        peer.flush()
        self._service.on_shutdown(shutdown.jobs)


def _disk(path: str) -> dict[str, int]:
    """Room on the file system of the state directory; nothing where it cannot be asked."""
    try:
        free, total = disk_space(path)
    except OSError:
        return {}
    return {"free_bytes": free, "total_bytes": total}
