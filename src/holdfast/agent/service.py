"""Requests become rooms: every operation of the protocol, from the typed request to its answer.

Rules of this module:

* A closed table from request type to method; no name from the wire is ever looked up on an object.
* An answer to RUN is sent after the commit of ACCEPTED, the receipt after that of DONE.
* Each refusal says whether the command ran.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import __version__
from holdfast.agent import plan, shelf
from holdfast.agent.board import Board
from holdfast.agent.live import LiveJob
from holdfast.agent.peer import Peer
from holdfast.agent.stdin import StdinDesk
from holdfast.errors import HoldfastError, Refused, StorageError
from holdfast.jobs import admission, keys
from holdfast.jobs.body import Body, body_hash, pack, unpack
from holdfast.jobs.instructions import Notify
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Acceptance
from holdfast.jobs.output import Reader
from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import SignalAsked, StopAsked
from holdfast.types import STDERR, STDOUT, JobId, JobState, Receipt
from holdfast.wire import limits
from holdfast.wire.messages import (
    Accepted,
    AcceptedAnswer,
    AnyRequest,
    DoneAnswer,
    End,
    ErrorCode,
    Failure,
    Forget,
    Get,
    Hello,
    JobAnswer,
    JobsAnswer,
    Leftovers,
    LeftoversAnswer,
    List,
    Opened,
    Prune,
    PruneAnswer,
    Read,
    ReadAnswer,
    ResultAnswer,
    Retry,
    Run,
    Shutdown,
    Signal,
    Started,
    Status,
    StatusAnswer,
    Stop,
    Verify,
    VerifyAnswer,
    Wait,
    Welcome,
    Write,
)

if TYPE_CHECKING:
    from holdfast.agent.housekeeping import Housekeeping

PREFIX_CHARS: Final = 4
"""Shortest part of a job id that may stand for it."""
COMMITTING_S: Final = 0.005
"""How long a request waits that needs the journal to have what was told already."""
_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def new_job_id(random: bytes) -> JobId:
    """Twelve characters of Crockford base32 from eight random bytes."""
    value = int.from_bytes(random[:8], "big")
    return JobId("".join(_CROCKFORD[value >> shift & 31] for shift in range(0, 60, 5)))


class Service:
    """What an agent does for its clients."""

    def __init__(self, board: Board, *, agent_id: str, host: str, socket_path: str, log: Callable[[str], None]) -> None:
        self.board = board
        self.journal = board.journal
        self.loop = board.loop
        self.log = log
        self.agent_id = agent_id
        self.host = host
        self.socket_path = socket_path
        self.peers: set[Peer] = set()
        self.counters = {"connections": 0, "requests": 0, "bytes_in": 0, "bytes_out": 0, "protocol_errors": 0}
        self.stdin = StdinDesk(board)
        self.housekeeping: Housekeeping | None = None
        self.on_shutdown: Callable[[bool], None] = lambda jobs: None
        self.read_only: str | None = None
        self.started_unix_s = board.unix_s()
        self._random = b""
        self._leases: dict[tuple[Peer, int], LiveJob] = {}
        self._accepting: dict[JobId, list[tuple[Peer, int, Run]]] = {}
        self._waits: dict[tuple[Peer, int], LiveJob] = {}
        board.on_notify = self._notified
        board.on_growth = self._grew
        board.on_journal_error = self._journal_error

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
                roles=("admin",),
                unix_s=self.board.unix_s(),
            )
        )

    def peer_gone(self, peer: Peer) -> None:
        """A connection ended: its readers and waiters go, its leases begin to run out."""
        self.peers.discard(peer)
        for stream in list(peer.readers):
            self.reader_gone(peer, stream)
        for owner, stream in [key for key in self._waits if key[0] is peer]:
            self._drop_wait(owner, stream)
        for owner, stream in [key for key in self._leases if key[0] is peer]:
            self._detach(owner, stream)
        self.stdin.peer_gone(peer)

    def stream_gone(self, peer: Peer, stream: int) -> None:
        """The client gave a stream up on purpose: that is no lost client, so what it held as attached is kept."""
        live = self._leases.get((peer, stream))
        if live is not None and live.lease.clients == 1:
            live.lease.policy = "keep"
        self._end_stream(peer, stream)

    def _end_stream(self, peer: Peer, stream: int) -> None:
        self.reader_gone(peer, stream)
        self._drop_wait(peer, stream)
        self._detach(peer, stream)
        self.stdin.stream_gone(peer, stream)

    def reader_gone(self, peer: Peer, stream: int) -> None:
        """A stream does not read any more."""
        reader = peer.readers.pop(stream, None)
        live = reader.job if reader is not None else None
        if isinstance(live, LiveJob):
            live.readers = [pair for pair in live.readers if pair[1] is not reader]
            self.board.close_unused(live)

    def _attach(self, peer: Peer, stream: int, live: LiveJob) -> None:
        if live.job.state is not JobState.DONE and (peer, stream) not in self._leases:
            self._leases[peer, stream] = live
            live.lease.attach(peer.instance.encode())
            self.board.touch_lease(live)

    def _detach(self, peer: Peer, stream: int) -> None:
        live = self._leases.pop((peer, stream), None)
        if live is not None:
            live.lease.detach(peer.instance.encode(), self.loop.time())
            self.board.touch_lease(live)

    def _drop_wait(self, peer: Peer, stream: int) -> None:
        live = self._waits.pop((peer, stream), None)
        if live is not None and (peer, stream) in live.waiters:
            live.waiters.remove((peer, stream))

    # --- dispatch ----------------------------------------------------------------------------------------------------

    def requested(self, peer: Peer, stream: int, request: AnyRequest, body: bytes) -> None:
        """One request; every failure is an ERR, never a lost connection."""
        self.counters["requests"] += 1
        try:
            _OPERATIONS[type(request)](self, peer, stream, request, body)
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
        """Bytes of a job's stdin."""
        try:
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
        self._end_stream(peer, stream)
        peer.link.fail(stream, Failure(ErrorCode.INTERNAL, f"a mistake of the agent: {error!r}", "unknown"))

    # --- RUN ---------------------------------------------------------------------------------------------------------

    def _run(self, peer: Peer, stream: int, run: Run, data: bytes) -> None:
        spec, body = plan.read_request(run, data)
        self._submit(peer, stream, run, spec, body, pack(body))

    def _submit(self, peer: Peer, stream: int, run: Run, spec: JobSpec, body: Body, packed: bytes) -> None:
        key = self._checked_key(run.key, user=run.user_key)
        digest = body_hash(body, spec)
        if run.incarnation is not None and run.incarnation != self.journal.incarnation:
            raise Refused(
                "the journal was replaced since this was first asked: whether it ran is not known here",
                code=ErrorCode.INCARNATION,
                ran="unknown",
            )
        if self._known_key(peer, stream, run, key, digest, ask_journal=run.user_key):
            return
        if self.read_only is not None:
            raise Refused(self.read_only, code=ErrorCode.JOURNAL_FAILED)
        job = new_job_id(self._random_bytes(8))
        decision = self.board.admission.offer(job, self.loop.time())
        if isinstance(decision, admission.Refused):
            raise _refusal(decision, self.board.admission)
        lease = Lease(spec.on_disconnect)
        acceptance = Acceptance(
            job=job,
            principal=peer.principal,
            body=packed,
            body_hash=digest,
            key_hash=key.hash,
            key_kind=key.kind,
            key_born_unix_s=key.born_unix_s,
        )
        queued = isinstance(decision, admission.Queued)
        self._accepting[job] = [(peer, stream, run)]
        live, instructions = self.board.accept(acceptance, spec, body, lease, queued=queued)
        live.body_hash = digest
        if run.attach:
            self._attach(peer, stream, live)
            self._open_reader(peer, stream, live, {STDOUT: 0, STDERR: 0}, run.credit, follow=True, is_run=True)
            if spec.stdin:
                self.stdin.open(peer, stream, live)
        self.board.begin(live, instructions)

    def _random_bytes(self, count: int) -> bytes:
        """Random bytes, drawn from the kernel a page at a time: a system call a job is 20 us."""
        if len(self._random) < count:
            self._random = os.urandom(4096)
        taken, self._random = self._random[:count], self._random[count:]
        return taken

    def _checked_key(self, key: str, *, user: bool) -> keys.Key:
        now = self.board.unix_s()
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
        live = self.board.by_key.get((peer.principal, key.hash))
        if live is not None:
            if live.body_hash != digest:
                raise _other_body(live.job.id)
        elif not ask_journal:
            return False
        else:
            row = self.journal.key(peer.principal, key.hash)
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
            live = self._find(row.job, output=run.attach)
        waiting = self._accepting.get(live.job.id)
        if waiting is not None:
            waiting.append((peer, stream, run))
        else:
            self._tell_accepted(peer, stream, live, attach=run.attach, deduplicated=True)
        if run.attach:
            self._attach(peer, stream, live)
            start = {STDOUT: 0, STDERR: 0}
            self._open_reader(peer, stream, live, start, run.credit, follow=True, is_run=True, opened=opened)
            if live.job.spec.stdin:
                self.stdin.open(peer, stream, live)
        return True

    def _tell_accepted(self, peer: Peer, stream: int, live: LiveJob, *, attach: bool, deduplicated: bool) -> None:
        job = live.job
        if not attach:
            answer = AcceptedAnswer(job.id, job.state, job.boot_id, self.journal.incarnation, deduplicated)
            peer.link.respond(stream, answer)
            peer.flush()
            return
        peer.tell_later(stream, Accepted(job.id, job.state, job.boot_id, self.journal.incarnation, deduplicated))
        if deduplicated and job.started_unix_s is not None and job.pid is not None:
            peer.tell_later(stream, Started(job.id, job.pid, job.started_unix_s, job.attempt))

    def _retry(self, peer: Peer, stream: int, retry: Retry, _body: bytes) -> None:
        live = self._find(self._job_id(retry.job))
        if not live.done:
            raise Refused(f"job {live.job.id} is {live.job.state}; only a finished one can be tried again",
                          code=ErrorCode.STATE)  # fmt: skip
        packed = self.journal.body(live.job.id)
        if packed is None:
            raise _no_such_job(retry.job)
        old = live.job.spec
        spec = msgspec.structs.replace(
            old, retry_of=live.job.id, key=retry.key if retry.user_key else "", on_disconnect="keep",
            not_after_unix_s=None, stdin=False,
        )  # fmt: skip
        run = Run(key=retry.key, argc=1, user_key=retry.user_key, attach=False)
        self._submit(peer, stream, run, spec, unpack(packed), packed)

    # --- what the board tells ----------------------------------------------------------------------------------------

    def _notified(self, live: LiveJob, notify: Notify) -> None:
        job = live.job
        if notify.kind == "accepted":
            for peer, stream, run in self._accepting.pop(job.id, ()):
                self._tell_accepted(peer, stream, live, attach=run.attach, deduplicated=False)
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
            self._finished(live, notify.receipt)

    def _finished(self, live: LiveJob, receipt: Receipt) -> None:
        waiters, live.waiters = live.waiters, []
        for peer, stream in waiters:
            self._waits.pop((peer, stream), None)
            self._detach(peer, stream)
            peer.link.respond(stream, ResultAnswer(receipt))
            peer.flush()
        for peer, reader in list(live.readers):
            self._serve(peer, reader)
        self.stdin.job_done(live)
        if self.housekeeping is not None:
            self.housekeeping.job_done(live)

    def _journal_error(self, live: LiveJob, error: StorageError) -> None:
        asked = self._accepting.pop(live.job.id, [])
        for peer, stream, run in asked:
            self._end_stream(peer, stream)
            key = keys.remembered(run.key, generated=not run.user_key, now_unix_s=self.board.unix_s())
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
            self.read_only = f"the journal cannot be written ({error}); nothing is started until the agent restarts"
        return Failure(ErrorCode.JOURNAL_FAILED, f"not accepted: {error}", "no")

    # --- output ------------------------------------------------------------------------------------------------------

    def _open_reader(
        self,
        peer: Peer,
        stream: int,
        live: LiveJob,
        offsets: dict[int, int],
        credit: int,
        *,
        follow: bool,
        is_run: bool,
        opened: bool = False,
    ) -> Reader:
        reader = Reader(stream, live, {n: live.out[n] for n in offsets}, follow=follow, is_run=is_run)
        peer.readers[stream] = reader
        live.readers.append((peer, reader))
        for number in offsets:
            if not live.out[number].readable:
                self.board.output.open_spool(live, number)
        reader.start(peer.link, offsets, credit, opened=opened)
        for number in offsets:
            self.board.output.make_room(live, number)
        self._serve(peer, reader)
        return reader

    def _serve(self, peer: Peer, reader: Reader) -> None:
        """Offer what exists, end what is complete, answer when all is; then let the connection send."""
        peer.catch_up()
        if reader.open:
            reader.offer_all(peer.link)
            for number in list(reader.open):
                self._end_if_complete(peer, reader, number)
        self._answer_if_over(peer, reader)
        peer.flush()
        live = reader.job
        assert isinstance(live, LiveJob)
        if reader.open and reader.follow:
            self.board.output.arm(live)

    def served(self, peer: Peer, reader: Reader, number: int) -> None:
        """A turn of output went out."""
        live = reader.job
        assert isinstance(live, LiveJob)
        if reader.complete(number):
            self._end_if_complete(peer, reader, number)
            self._answer_if_over(peer, reader)
        elif reader.follow:
            channel = reader.channels[number]
            if reader.positions[number] < channel.length or self.board.output.refresh(live, number):
                # More than was offered: somebody else's look at the file may have found it, so nobody else will say it.
                peer.link.offer(reader.stream, number, channel.length)
            else:
                self.board.output.arm(live)

    def credited(self, peer: Peer, stream: int, number: int, limit: int) -> None:
        """A reader wants more, so it has delivered all but its window; what all have may leave a bounded spool."""
        reader = peer.readers.get(stream)
        if reader is not None and reader.follow and isinstance(reader.job, LiveJob):
            reader.delivered[number] = limit - limits.WINDOW_BYTES
            self.board.output.make_room(reader.job, number)

    def _grew(self, live: LiveJob) -> None:
        for peer, reader in list(live.readers):
            if reader.follow:
                self._serve(peer, reader)
        if live.stdin is not None:
            self.stdin.ready(live)

    def _end_if_complete(self, peer: Peer, reader: Reader, number: int) -> None:
        if not reader.complete(number):
            return
        channel = reader.channels[number]
        if not reader.follow and not channel.final:
            end = End(partial=True)
        elif channel.final and (channel.digest is not None or self._done(reader)):
            end = End(channel.digest, channel.first)
        else:
            return
        reader.open.discard(number)
        peer.link.send_end(reader.stream, number, reader.positions[number], end)

    def _done(self, reader: Reader) -> bool:
        return isinstance(reader.job, LiveJob) and reader.job.done

    def _answer_if_over(self, peer: Peer, reader: Reader) -> None:
        live = reader.job
        assert isinstance(live, LiveJob)
        if reader.open or (reader.follow and not live.done):
            return
        if reader.stream not in peer.readers:
            return
        stream = reader.stream
        receipt = live.published
        self._end_stream(peer, stream)
        if reader.is_run:
            assert receipt is not None
            peer.link.respond(stream, ResultAnswer(receipt))
        else:
            peer.link.respond(stream, ReadAnswer(live.job.state, receipt))

    def _read(self, peer: Peer, stream: int, read: Read, _body: bytes) -> None:
        live = self._find(self._job_id(read.job), output=True)
        for number in (STDOUT, STDERR):
            self.board.output.refresh(live, number)
        try:
            offsets = self._first_offsets(live, read)
        except HoldfastError:
            self.board.close_unused(live)
            raise
        peer.link.event(
            stream,
            0,
            Opened(
                live.job.id,
                live.job.state,
                lengths={str(n): live.out[n].length for n in offsets},
                first={str(n): live.out[n].first for n in offsets},
                offsets={str(n): offset for n, offset in offsets.items()},
            ),
        )
        if read.lease:
            self._attach(peer, stream, live)
        self._open_reader(peer, stream, live, offsets, read.credit, follow=read.follow, is_run=False)

    def _first_offsets(self, live: LiveJob, read: Read) -> dict[int, int]:
        """Where a READ begins on each channel.

        Raises:
            Refused: beyond the end, or the output cannot be read.
        """
        offsets = {int(number): offset for number, offset in read.offsets.items()}
        for number, offset in offsets.items():
            channel = live.out[number]
            if not channel.readable:
                self.board.output.open_spool(live, number)
            if read.tail_lines is not None:
                try:
                    offsets[number] = channel.tail_offset(read.tail_lines)
                except StorageError as error:
                    raise Refused(str(error), code=ErrorCode.INTERNAL, ran="yes") from error
            elif offset > channel.length:
                raise Refused(
                    f"offset {offset} of channel {number} is beyond its {channel.length} bytes",
                    code=ErrorCode.OFFSET_AHEAD,
                    ran="yes",
                )
        return offsets

    def _write(self, peer: Peer, stream: int, write: Write, _body: bytes) -> None:
        self.stdin.write(peer, stream, self._find(self._job_id(write.job)))

    # --- jobs --------------------------------------------------------------------------------------------------------

    def _job_id(self, name: str) -> JobId:
        """The job that an id, or a unique beginning of one, stands for.

        Raises:
            Refused: none, or more than one.
        """
        if JobId(name) in self.board.jobs:
            return JobId(name)
        if len(name) < PREFIX_CHARS or not all(letter in _CROCKFORD for letter in name):
            raise _no_such_job(name)
        found = {job for job in self.board.jobs if job.startswith(name)}
        found.update(self.journal.find(name))
        if not found:
            raise _no_such_job(name)
        if len(found) > 1:
            raise Refused(f"{name} is the beginning of several jobs: give more of it", code=ErrorCode.NOT_FOUND)
        return found.pop()

    def _find(self, job: JobId, *, output: bool = False) -> LiveJob:
        """The job, from memory or from the journal.

        ``output``: with its files open; whoever asks for them hands them to a reader or lets go of them
        (``Board.close_unused``).

        Raises:
            Refused: no such job.
        """
        live = self.board.jobs.get(job)
        if live is not None:
            return live
        row = self.journal.job(job)
        if row is None:
            raise _no_such_job(job)
        return shelf.stored_job(self.board, row, output=output)

    def _get(self, peer: Peer, stream: int, get: Get, _body: bytes) -> None:
        live = self._find(self._job_id(get.job))
        for number in (STDOUT, STDERR):
            self.board.output.refresh(live, number)  # where nobody reads, nobody has said how far the job has come
        info = live.info(self.loop.time())
        if self.housekeeping is None or not shelf.lacks_sha256(live.published):
            peer.link.respond(stream, JobAnswer(info))
            return

        def done(receipt: Receipt | None) -> None:
            peer.link.respond(stream, JobAnswer(msgspec.structs.replace(info, receipt=receipt or info.receipt)))
            peer.flush()

        self.housekeeping.add_sha256(self._find(live.job.id, output=True), done)

    def _list(self, peer: Peer, stream: int, request: List, _body: bytes) -> None:
        infos, more = shelf.listing(self.board, request, self.loop.time())
        peer.link.respond(stream, JobsAnswer(infos, more))

    def _wait(self, peer: Peer, stream: int, wait: Wait, _body: bytes) -> None:
        live = self._find(self._job_id(wait.job))
        if live.published is not None:
            peer.link.respond(stream, ResultAnswer(live.published))
            return
        live.waiters.append((peer, stream))
        self._waits[peer, stream] = live
        if wait.lease:
            self._attach(peer, stream, live)

    def _signal(self, peer: Peer, stream: int, signal: Signal, _body: bytes) -> None:
        live = self._find(self._job_id(signal.job))
        if not live.job.allows(SignalAsked):
            state = live.job.state
            raise Refused(
                f"job {live.job.id} is {state}: there is nothing to signal", code=ErrorCode.STATE,
                ran="no" if state is JobState.QUEUED else "yes",
            )  # fmt: skip
        self.board.step(live, SignalAsked(signal.signum, signal.scope, f"person:{peer.principal}"))
        peer.link.respond(stream, DoneAnswer(live.job.state))

    def _stop(self, peer: Peer, stream: int, stop: Stop, _body: bytes) -> None:
        live = self._find(self._job_id(stop.job))
        if not live.done:
            grace_s = live.job.spec.grace_s if stop.grace_s is None else stop.grace_s
            self.board.step(live, StopAsked(f"person:{peer.principal}", grace_s))
        peer.link.respond(stream, DoneAnswer(live.job.state))

    def _forget(self, peer: Peer, stream: int, forget: Forget, body: bytes) -> None:
        live = self._find(self._job_id(forget.job))
        if not live.done:
            raise Refused(f"job {live.job.id} is {live.job.state}: stop it first", code=ErrorCode.STATE, ran="yes")
        if live.job.id in self.board.jobs:  # its end was told on the EXIT record, and is being committed
            self.loop.call_later(COMMITTING_S, self.requested, peer, stream, forget, body)
            return
        assert self.housekeeping is not None

        def gone(error: StorageError | None) -> None:
            if error is None:
                peer.link.respond(stream, DoneAnswer(JobState.DONE))
            else:
                peer.link.fail(stream, Failure(ErrorCode.JOURNAL_FAILED, str(error), "yes"))
            peer.flush()

        self.housekeeping.forget([live.job.id], forget_key=forget.forget_key, done=gone)

    def _prune(self, peer: Peer, stream: int, prune: Prune, _body: bytes) -> None:
        assert self.housekeeping is not None

        def gone(jobs: int, freed: int) -> None:
            peer.link.respond(stream, PruneAnswer(jobs, freed))
            peer.flush()

        self.housekeeping.prune(prune.older_than_s, gone)

    def _verify(self, peer: Peer, stream: int, verify: Verify, _body: bytes) -> None:
        live = self._find(self._job_id(verify.job), output=True)
        if live.published is None:
            raise Refused(
                f"job {live.job.id} is {live.job.state}: it has no receipt yet", code=ErrorCode.STATE, ran="yes"
            )
        assert self.housekeeping is not None

        def done(receipt: Receipt, mismatches: tuple[str, ...]) -> None:
            peer.link.respond(stream, VerifyAnswer(receipt, mismatches))
            peer.flush()

        self.housekeeping.verify(live, done)

    def _leftovers(self, peer: Peer, stream: int, request: Leftovers, _body: bytes) -> None:
        assert self.housekeeping is not None

        def done(answer: LeftoversAnswer | None) -> None:
            if answer is not None:
                peer.link.respond(stream, answer)
            else:
                text = "the processes of this host cannot be listed; the agent's log says why"
                peer.link.fail(stream, Failure(ErrorCode.INTERNAL, text, "yes" if request.end else "no"))
            peer.flush()

        self.housekeeping.leftovers(end=request.end, done=done)

    def _status(self, peer: Peer, stream: int, _request: Status, _body: bytes) -> None:
        board = self.board
        states = dict.fromkeys((state.value for state in JobState if state is not JobState.DONE), 0)
        for live in board.jobs.values():
            if live.job.state.value in states:
                states[live.job.state.value] += 1
        peer.link.respond(
            stream,
            StatusAnswer(
                agent={
                    "pid": os.getpid(),
                    "version": __version__,
                    "started_unix_s": self.started_unix_s,
                    "id": self.agent_id,
                    "host": self.host,
                    "read_only": self.read_only,
                },
                keeper={"pid": board.crew.keeper_pid},
                socket=self.socket_path,
                state_dir=board.state_dir,
                jobs=states,
                counters={
                    **self.counters,
                    **board.counters,
                    "clients": len(self.peers),
                    "shims": len(board.crew.shims),
                    "idle_shims": board.crew.idle_count,
                    "spool_bytes": self.journal.spool_bytes(),
                },
            ),
        )

    def _shutdown(self, peer: Peer, stream: int, shutdown: Shutdown, _body: bytes) -> None:
        peer.link.respond(stream, DoneAnswer(text="stopping"))
        peer.flush()
        self.on_shutdown(shutdown.jobs)


_Operation = Callable[[Service, Peer, int, Any, bytes], None]
_OPERATIONS: Final[dict[type, _Operation]] = {
    Run: Service._run,
    Get: Service._get,
    List: Service._list,
    Read: Service._read,
    Write: Service._write,
    Wait: Service._wait,
    Signal: Service._signal,
    Stop: Service._stop,
    Retry: Service._retry,
    Forget: Service._forget,
    Prune: Service._prune,
    Verify: Service._verify,
    Leftovers: Service._leftovers,
    Status: Service._status,
    Shutdown: Service._shutdown,
}


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


def _no_such_job(name: str) -> Refused:
    return Refused(f"no such job: {name[:64]}", code=ErrorCode.NOT_FOUND)
