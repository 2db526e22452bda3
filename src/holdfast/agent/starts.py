"""RUN and RETRY: keys that are asked again, admission, acceptance, and what is told when the journal says no.

An answer to RUN is sent after the commit of ACCEPTED. Each refusal says whether the command ran.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.agent import plan
from holdfast.agent.live import LiveJob
from holdfast.agent.lookup import CROCKFORD
from holdfast.agent.peer import Peer
from holdfast.errors import Refused, StorageError
from holdfast.jobs import admission, keys
from holdfast.jobs.body import Body, body_hash, pack, unpack
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Acceptance
from holdfast.jobs.spec import JobSpec
from holdfast.types import STDERR, STDOUT, JobId
from holdfast.wire.messages import (
    Accepted,
    AcceptedAnswer,
    ErrorCode,
    Failure,
    Retry,
    Run,
    Started,
)

if TYPE_CHECKING:
    from holdfast.agent.guard import Caller
    from holdfast.agent.service import Service


_START: Final = {STDOUT: 0, STDERR: 0}
"""An attached RUN reads both channels from their first byte."""


def new_job_id(random: bytes) -> JobId:
    """Twelve characters of Crockford base32 from eight random bytes."""
    value = int.from_bytes(random[:8], "big")
    return JobId("".join(CROCKFORD[value >> shift & 31] for shift in range(0, 60, 5)))


class Starts:
    """Accepts jobs, once for each key."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._board = service.board
        self.accepting: dict[JobId, list[tuple[Peer, int, Run]]] = {}
        self._random = b""

    def run(self, peer: Peer, stream: int, run: Run, data: bytes) -> None:
        """RUN: a new job, or the one that its key has started before."""
        try:
            caller = self._service.guard.caller(peer, run)
        except Refused as refused:
            refused.ran = "unknown" if self._has_been_used(peer, run) else "no"
            raise
        spec, body = plan.read_request(run, data)
        self._submit(peer, stream, run, caller, spec, body)

    def _submit(self, peer: Peer, stream: int, run: Run, caller: Caller, spec: JobSpec, body: Body) -> None:
        key = self._checked_key(run.key, user=run.user_key)
        digest = body_hash(body, spec)
        if run.incarnation is not None and run.incarnation != self._board.journal.incarnation:
            raise Refused(
                "the journal was replaced since this was first asked: whether it ran is not known here",
                code=ErrorCode.INCARNATION,
                ran="unknown",
            )
        decision = caller.start(spec, body)
        # What runs already is theirs, whatever they may start or hold now.
        ask_journal = run.user_key or not decision.allowed or run.hold is not None
        if self._known_key(peer, stream, run, key, digest, ask_journal=ask_journal):
            return
        if not decision.allowed:
            raise caller.refuse_start(decision, spec, body)
        if decision.profile is not None:
            spec, body = decision.profile.impose(spec, body)
        plan.account(spec.user, spec.groups)
        if self._service.read_only is not None:
            raise Refused(self._service.read_only, code=ErrorCode.JOURNAL_FAILED)
        if run.hold is not None:
            spec = self._service.held.claim(self._service.sharing.instance_of(peer, caller), run.hold, spec)
        job = new_job_id(self._random_bytes(8))
        place = self._board.admission.offer(job, self._board.loop.time())
        if isinstance(place, admission.Refused):
            raise _refusal(place, self._board.admission)
        caller.starts(decision, job, spec, body)
        lease = Lease(spec.on_disconnect)
        acceptance = Acceptance(
            job=job,
            principal=peer.principal,
            body=pack(body),
            body_hash=digest,
            key_hash=key.hash,
            key_kind=key.kind,
            key_born_unix_s=key.born_unix_s,
        )
        queued = isinstance(place, admission.Queued)
        self.accepting[job] = [(peer, stream, run)]
        live, instructions = self._board.accept(acceptance, spec, body, lease, queued=queued)
        live.body_hash = digest
        if run.hold is not None:
            self._service.held.hand(live, instructions, peer.instance, run.hold)
        if run.attach:
            self._service.attach(peer, stream, live)
            self._service.reading.open_reader(peer, stream, live, _START, run.credit, follow=True, is_run=True)
            if spec.stdin:
                self._service.stdin.open(peer, stream, live)
        elif isinstance(spec.on_disconnect, float | int):  # detached with a deadline: it runs until somebody attaches
            lease.never_attached(self._board.loop.time())
            self._board.touch_lease(live)
        self._board.begin(live, instructions)

    def _random_bytes(self, count: int) -> bytes:
        """Random bytes, drawn from the kernel a page at a time: a system call a job is 20 us."""
        if len(self._random) < count:
            self._random = os.urandom(4096)
        taken, self._random = self._random[:count], self._random[count:]
        return taken

    def _checked_key(self, key: str, *, user: bool) -> keys.Key:
        now = self._board.unix_s()
        verdict = keys.check(key, generated=not user, now_unix_s=now)
        if verdict == "expired":
            raise Refused(
                "this start key is older than 7 days: whether it was used is no longer known",
                code=ErrorCode.KEY_EXPIRED,
                ran="unknown",
            )
        if verdict == "ahead":
            raise Refused("this start key was born in the future: compare the clocks", code=ErrorCode.KEY_EXPIRED)
        if verdict == "invalid":
            raise Refused("a start key is 1 to 255 bytes, a generated one a UUID of version 7", code=ErrorCode.INVALID)
        return keys.remembered(key, generated=not user, now_unix_s=now)

    def _known_key(
        self,
        peer: Peer,
        stream: int,
        run: Run,
        key: keys.Key,
        digest: bytes,
        *,
        ask_journal: bool,
        opened: bool = False,
    ) -> bool:
        """Serve a repeat of a start; False if the key is new.

        Without ``ask_journal`` only live jobs are looked at: a generated key is new as a rule, and if it is not, the
        journal refuses the second job of it (``_journal_error``), which saves a look-up a job. ``opened``: an attached
        stream has its channels open already.
        """
        live = self._board.by_key.get((peer.principal, key.hash))
        if live is not None:
            if live.body_hash != digest:
                raise _other_body(live.job.id)
        elif not ask_journal:
            return False
        else:
            row = self._board.journal.key(peer.principal, key.hash)
            if row is None:
                return False
            if row.body_hash != digest:
                raise _other_body(row.job)
            if row.forgotten:
                raise Refused(
                    f"this key started job {row.job}, which was removed since; its result is not kept",
                    code=ErrorCode.EXPIRED,
                    ran="yes",
                )
            live = self._service.lookup.find(row.job, output=run.attach)
        waiting = self.accepting.get(live.job.id)
        if waiting is not None:
            waiting.append((peer, stream, run))
        else:
            self._tell_accepted(peer, stream, live, attach=run.attach, deduplicated=True)
        if run.attach:
            self._service.attach(peer, stream, live)
            self._service.reading.open_reader(
                peer, stream, live, _START, run.credit, follow=True, is_run=True, opened=opened
            )
            if live.job.spec.stdin:
                self._service.stdin.open(peer, stream, live)
        return True

    def _tell_accepted(self, peer: Peer, stream: int, live: LiveJob, *, attach: bool, deduplicated: bool) -> None:
        job = live.job
        if not attach:
            answer = AcceptedAnswer(job.id, job.state, job.boot_id, self._board.journal.incarnation, deduplicated)
            peer.link.respond(stream, answer)
            peer.flush()
            return
        peer.tell_later(stream, Accepted(job.id, job.state, job.boot_id, self._board.journal.incarnation, deduplicated))
        if deduplicated and job.started_unix_s is not None and job.pid is not None:
            peer.tell_later(stream, Started(job.id, job.pid, job.started_unix_s, job.attempt))

    def retry(self, peer: Peer, stream: int, retry: Retry, _body: bytes) -> None:
        """RETRY: a new job with the body of a finished one."""
        caller = self._service.guard.caller(peer, retry)
        live = self._service.lookup.named(caller, retry.job)
        if not live.done:
            raise Refused(f"job {live.job.id} is {live.job.state}; only a finished one can be tried again",
                          code=ErrorCode.STATE)  # fmt: skip
        packed = self._board.journal.body(live.job.id)
        if packed is None:
            raise caller.missing(retry.job)
        old = live.job.spec
        if old.hold:
            names = ", ".join(map(repr, old.hold))
            raise Refused(f"job {live.job.id} held {names}: start it anew where that is held", code=ErrorCode.STATE)
        spec = msgspec.structs.replace(
            old, retry_of=live.job.id, key=retry.key if retry.user_key else "", on_disconnect="keep",
            not_after_unix_s=None, stdin=False,
        )  # fmt: skip
        run = Run(key=retry.key, argc=1, user_key=retry.user_key, attach=False)
        self._submit(peer, stream, run, caller, spec, unpack(packed))

    def _has_been_used(self, peer: Peer, run: Run) -> bool:
        """Whether a key has started something for this principal."""
        try:
            key = self._checked_key(run.key, user=run.user_key)
        except Refused:
            return True
        known = self._board.by_key.get((peer.principal, key.hash))
        return known is not None or self._board.journal.key(peer.principal, key.hash) is not None

    def not_accepted(self, live: LiveJob, error: StorageError) -> None:
        """The journal took no write: those who asked for this job are told, or served with the job their key has."""
        asked = self.accepting.pop(live.job.id, [])
        for peer, stream, run in asked:
            self._service.end_stream(peer, stream)
            key = keys.remembered(run.key, generated=not run.user_key, now_unix_s=self._board.unix_s())
            try:
                if self._known_key(peer, stream, run, key, live.body_hash, ask_journal=True, opened=True):
                    peer.flush()
                    continue
                failure = self._write_failure(error)
            except Refused as refused:
                failure = Failure(refused.code, str(refused), refused.ran, refused.retry_after_s)
            except StorageError as second:
                failure = self._write_failure(second)
            peer.link.fail(stream, failure)
            peer.flush()
        if not asked:
            self._write_failure(error)

    def _write_failure(self, error: StorageError) -> Failure:
        """What a client is told when the journal takes no write; one that never will again makes us read-only."""
        if getattr(error, "full", False):
            return Failure(ErrorCode.DISK_FULL, f"not accepted: {error}", "no", 10.0)
        if getattr(error, "read_only", False):
            self._service.read_only = (
                f"the journal cannot be written ({error}); nothing is started until the agent restarts"
            )
        return Failure(ErrorCode.JOURNAL_FAILED, f"not accepted: {error}", "no")


def _refusal(decision: admission.Refused, rooms: admission.Admission) -> Refused:
    after = decision.retry_after_s
    if decision.reason == "queue_full":
        text = f"{rooms.running} jobs run and {rooms.waiting} wait, which are the limits; try again in {after:.1f} s"
        return Refused(text, code=ErrorCode.QUEUE_FULL, retry_after_s=after)
    if decision.reason == "disk_low":
        text = "the agent's disk has less than 5 % or 512 MiB free; make room, or see holdfast prune"
        return Refused(text, code=ErrorCode.DISK_FULL, retry_after_s=after)
    return Refused("the agent is shutting down", code=ErrorCode.SHUTTING_DOWN, retry_after_s=after)


def _other_body(job: str) -> Refused:
    return Refused(
        f"this start key belongs to job {job}, which is another command; nothing was started", code=ErrorCode.KEY_REUSED
    )
