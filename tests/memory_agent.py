"""An agent without processes: jobs are functions, kept over connections, so that tests can cut and connect again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import xxhash

from holdfast.functions import calls, current
from holdfast.functions.setup import take_orders
from holdfast.types import Cause, ChannelRecord, ExitStatus, JobInfo, JobState, Receipt
from holdfast.wire import messages as m
from holdfast.wire.link import (
    Cancelled,
    DataReceived,
    EndReceived,
    HelloReceived,
    Link,
    LinkClosed,
    LinkEvent,
    RequestReceived,
)
from holdfast.wire.phases import Role
from tests.memory_worker import MemoryWorker

Command = Callable[[bytes], tuple[bytes, bytes, int]]
"""Standard input to stdout, stderr and code."""
WINDOW = 8192


def digest(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


@dataclass
class MemoryJob:
    """One accepted job. ``out`` holds both channels once it is done; ``starts`` must never be more than one."""

    id: str
    key: str
    body: bytes
    run: m.Run
    stdin: bytearray = field(default_factory=bytearray)
    stdin_ended: bool = False
    out: dict[int, bytes] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 0})
    receipt: Receipt | None = None
    starts: int = 0
    stopped: bool = False
    worker: MemoryWorker | None = None
    prints: bytes = b""


class Hold(Exception):
    """Raised by a function whose process is to go on."""


class MemoryAgent:
    """What survives a cut: the journal.

    Args:
        commands: By program name.
    """

    def __init__(self, commands: dict[str, Command], *, incarnation: str = "i" * 32) -> None:
        self.commands = commands
        self.incarnation = incarnation
        self.jobs: dict[str, MemoryJob] = {}
        self.by_key: dict[str, MemoryJob] = {}
        self.requests: list[m.AnyRequest] = []
        self.corrupt = False
        self.software = "holdfast/0.1.0"
        self.worker_command: tuple[str, ...] = ("python", "-m", "worker")
        self.python = ""
        self.manual_workers = False
        self.lacking_modules: set[str] = set()
        self.refuse_runs: m.Failure | None = None
        self.stillborn = 0

    def connect(self, now: float) -> AgentConnection:
        return AgentConnection(self, now)

    def find(self, name: str) -> MemoryJob | None:
        return self.jobs.get(name)

    def submit(self, run: m.Run, body: bytes) -> tuple[MemoryJob, bool]:
        known = self.by_key.get(run.key)
        if known is not None:
            return known, True
        job = MemoryJob(f"job{len(self.jobs):09d}", run.key, body, run)
        self.jobs[job.id] = self.by_key[run.key] = job
        if not run.stdin:
            self.execute(job)
        return job, False

    def execute(self, job: MemoryJob) -> None:
        argv, env, _ = m.unpack_items(job.run, job.body)
        job.starts += 1
        if argv[0] == b"sleep":
            return
        if argv[-1] == b"pool":
            self.start_worker(job, dict(item.decode().split("=", 1) for item in env))
            return
        if argv[-1] == b"call":
            self.call(job, dict(item.decode().split("=", 1) for item in env))
            return
        stdout, stderr, code = self.commands[argv[0].decode()](bytes(job.stdin))
        self.finish(job, stdout, stderr, ExitStatus(code=code), Cause.EXITED)

    def start_worker(self, job: MemoryJob, variables: dict[str, str]) -> None:
        pid = 5000 + len(self.jobs)
        job.worker = MemoryWorker(variables, pid=pid, manual=self.manual_workers, lacking=self.lacking_modules)
        if job.worker.over:
            self.finish(job, b"", b"Traceback", ExitStatus(code=1), Cause.EXITED)
        elif self.stillborn:
            self.stillborn -= 1
            self.kill(job.worker)

    def call(self, job: MemoryJob, variables: dict[str, str]) -> None:
        """The function that came along; one that prints gives it back as bytes, one that is to go on raises Hold."""
        orders = take_orders(variables)
        assert orders.call is not None
        try:
            function = calls.load_function(orders.call.function)
            args, kwargs = calls.open_arguments(orders.call.flags, orders.call.arguments)
            printed = function(*args, **kwargs)
        except Hold:
            return
        except Exception as error:
            self.finish(job, b"", f"{error}\n".encode(), ExitStatus(code=1), Cause.EXITED)
        else:
            self.finish(job, printed if isinstance(printed, bytes) else b"", b"", ExitStatus(code=0), Cause.EXITED)
        finally:
            current._current = None  # this process is none of its workers

    def workers(self) -> list[MemoryWorker]:
        """Those of jobs that are not done."""
        return [job.worker for job in self.jobs.values() if job.worker is not None and not job.worker.over]

    def kill(self, worker: MemoryWorker) -> None:
        """Its process is killed, with all that it has not sent."""
        worker.pipe.lost()
        job = next(job for job in self.jobs.values() if job.worker is worker)
        self.finish(job, b"", b"", ExitStatus(signal=9), Cause.EXITED)

    def finish(self, job: MemoryJob, stdout: bytes, stderr: bytes, status: ExitStatus, cause: Cause) -> None:
        if job.worker is not None:
            job.worker.over = True
        job.out = {1: stdout, 2: stderr}
        records = [ChannelRecord(len(data), job.first[n], digest(data[job.first[n] :])) for n, data in job.out.items()]
        job.receipt = Receipt(
            job.id, cause, status, stdout=records[0], stderr=records[1], stdin_bytes=len(job.stdin), started_unix_s=1.0
        )


class Reader:
    """A RUN or READ that is being served."""

    def __init__(self, job: MemoryJob, offsets: dict[int, int], *, is_run: bool, follow: bool) -> None:
        self.job = job
        self.open = set(offsets)
        self.is_run = is_run
        self.follow = follow


class AgentConnection:
    """One connection of a ``MemoryAgent``: bytes in, bytes out."""

    def __init__(self, agent: MemoryAgent, now: float) -> None:
        self.agent = agent
        self.link = Link(Role.AGENT, now=now)
        self.readers: dict[int, Reader] = {}
        self.writers: dict[int, MemoryJob] = {}
        self.waiters: dict[int, MemoryJob] = {}
        self.dials: dict[int, tuple[MemoryJob, MemoryWorker]] = {}
        self.said: dict[int, bytearray] = {}

    def receive(self, data: bytes, now: float) -> bytes:
        """Take what the client has sent; give what is to be sent to it."""
        self.link.receive_data(data, now=now)
        while (event := self.link.next_event()) is not None:
            self._on(event)
        return self.pump()

    def pump(self) -> bytes:
        """Everything that credit allows now."""
        for stream, job in list(self.waiters.items()):
            if job.receipt is not None:
                del self.waiters[stream]
                self.link.respond(stream, m.ResultAnswer(job.receipt))
        for stream, reader in list(self.readers.items()):
            for channel in sorted(reader.open):
                if channel in reader.job.out:
                    self.link.offer(stream, channel, len(reader.job.out[channel]))
        self._pump_dials()
        while (turn := self.link.next_turn()) is not None:
            if turn.stream in self.said:
                piece = bytes(self.said[turn.stream][turn.offset : turn.offset + turn.size])
                self.link.send_data(turn.stream, turn.channel, piece)
                continue
            data = self.readers[turn.stream].job.out[turn.channel][turn.offset : turn.offset + turn.size]
            if self.agent.corrupt:
                data = bytes(len(data))
            self.link.send_data(turn.stream, turn.channel, data)
        for stream, reader in list(self.readers.items()):
            self._end_channels(stream, reader)
        return self.link.data_to_send()

    def _pump_dials(self) -> None:
        for stream, (job, worker) in list(self.dials.items()):
            if worker.leaves() and not worker.over:
                self.agent.finish(job, job.prints, b"", ExitStatus(code=0), Cause.EXITED)
            said = self.said[stream]
            said += worker.pipe.data_to_send()
            self.link.offer(stream, 1, len(said))
            if worker.over and self.link.out_offset(stream, 1) == len(said):
                del self.dials[stream]
                self.link.respond(stream, m.DialAnswer(True, worker.started, worker.finished))

    def _dial(self, stream: int, dial: m.Dial, job: MemoryJob) -> None:
        worker = job.worker
        assert worker is not None
        if worker.over:
            self.link.respond(stream, m.DialAnswer(True, worker.started, worker.finished))
            return
        worker.pipe.lost()
        self.dials[stream] = (job, worker)
        self.said[stream] = bytearray()
        self.link.event(stream, 0, m.Opened(job.id, JobState.RUNNING))
        self.link.open_out(stream, 1, offset=0, limit=dial.credit)
        self.link.expect(stream, 0, offset=0, limit=0)
        self.link.grant(stream, 0, WINDOW)

    def _end_channels(self, stream: int, reader: Reader) -> None:
        job = reader.job
        for channel in sorted(reader.open):
            data = job.out.get(channel)
            if data is not None and self.link.out_offset(stream, channel) == len(data):
                first = job.first[channel]
                self.link.send_end(stream, channel, len(data), m.End(digest(data[first:]), first))
                reader.open.discard(channel)
            elif data is None and not reader.follow:
                self.link.send_end(stream, channel, self.link.out_offset(stream, channel) or 0, m.End(partial=True))
                reader.open.discard(channel)
        if not reader.open and (job.receipt is not None or not reader.follow):
            del self.readers[stream]
            if reader.is_run:
                assert job.receipt is not None
                self.link.respond(stream, m.ResultAnswer(job.receipt))
            else:
                state = JobState.DONE if job.receipt is not None else JobState.RUNNING
                self.link.respond(stream, m.ReadAnswer(state, job.receipt))

    def _on(self, event: LinkEvent) -> None:
        match event:
            case HelloReceived():
                self.link.welcome(
                    m.Welcome(
                        1,
                        "memory",
                        self.agent.incarnation,
                        "boot",
                        "me",
                        software=self.agent.software,
                        python=self.agent.python,
                        worker=self.agent.worker_command,
                    )
                )
            case RequestReceived(stream=stream, request=request, body=body):
                self.agent.requests.append(request)
                self._request(stream, request, body)
            case DataReceived(stream=stream) if stream in self.dials:
                self.dials[stream][1].feed(event.data)
                self.link.grant(stream, 0, event.offset + len(event.data) + WINDOW)
            case DataReceived(stream=stream):
                job = self.writers[stream]
                assert event.offset == len(job.stdin), "input out of order"
                job.stdin += event.data
                self.link.ack(stream, 0, len(job.stdin))
                self.link.grant(stream, 0, len(job.stdin) + WINDOW)
            case EndReceived(stream=stream):
                self._stdin_end(stream, event.length)
            case Cancelled(stream=stream):
                self.readers.pop(stream, None)
                self.waiters.pop(stream, None)
                self.dials.pop(stream, None)
            case LinkClosed():
                self.readers.clear()

    def _stdin_end(self, stream: int, length: int) -> None:
        job = self.writers.pop(stream)
        assert length == len(job.stdin)
        if not job.stdin_ended:
            job.stdin_ended = True
            self.agent.execute(job)
        if stream not in self.readers:
            self.link.respond(stream, m.WriteAnswer(length))

    def _request(self, stream: int, request: m.AnyRequest, body: bytes) -> None:
        if isinstance(request, m.Run):
            self._run(stream, request, body)
            return
        if isinstance(request, m.List):
            infos = [self._info(job) for job in reversed(self.agent.jobs.values())]
            start = next((n + 1 for n, info in enumerate(infos) if info.job == request.before), 0)
            page = infos[start : start + request.limit]
            self.link.respond(stream, m.JobsAnswer(tuple(page), more=start + len(page) < len(infos)))
            return
        if isinstance(request, m.Prune):
            self.link.respond(stream, m.PruneAnswer(jobs=2, freed_bytes=10))
            return
        if isinstance(request, m.Leftovers):
            self.link.respond(stream, m.LeftoversAnswer((m.Leftover(7, "job", ended=request.end),)))
            return
        if isinstance(request, m.Status):
            self.link.respond(stream, m.StatusAnswer({"pid": 1}, {"pid": 2}, "s", "d", {}, {}))
            return
        if isinstance(request, m.Shutdown):
            self.link.respond(stream, m.DoneAnswer())
            return
        if isinstance(request, m.Invite):
            self.link.respond(stream, m.InviteAnswer("hf1.x", "0" * 16, request.role, request.ttl_s))
            return
        if isinstance(request, m.Principals):
            self.link.respond(stream, m.PrincipalsAnswer(()))
            return
        if isinstance(request, m.Revoke):
            self.link.respond(stream, m.RevokeAnswer(request.principal, 1, 0, int(request.jobs)))
            return
        name = getattr(request, "job", "")
        job = self.agent.find(name)
        if job is None:
            self.link.fail(stream, m.Failure(m.ErrorCode.NOT_FOUND, f"no job {name}"))
            return
        self._about(stream, request, job)

    def _about(self, stream: int, request: m.AnyRequest, job: MemoryJob) -> None:
        match request:
            case m.Get():
                self.link.respond(stream, m.JobAnswer(self._info(job)))
            case m.Read():
                self._read(stream, request, job)
            case m.Write():
                self.link.event(stream, 0, m.Opened(job.id, JobState.RUNNING, offsets={"0": len(job.stdin)}))
                if job.stdin_ended:
                    self.link.respond(stream, m.WriteAnswer(len(job.stdin)))
                else:
                    self._take_input(stream, job)
            case m.Wait():
                self.waiters[stream] = job
            case m.Dial():
                self._dial(stream, request, job)
            case m.Signal():
                if job.receipt is None and request.signum in (9, 15) and not job.out:
                    self.agent.finish(job, b"", b"", ExitStatus(signal=request.signum), Cause.EXITED)
                self.link.respond(stream, m.DoneAnswer(JobState.RUNNING))
            case m.Stop():
                job.stopped = True
                if job.receipt is None:
                    self.agent.finish(job, b"", b"", ExitStatus(signal=15), Cause.STOPPED)
                self.link.respond(stream, m.DoneAnswer(JobState.DONE))
            case m.Retry():
                again, known = self.agent.submit(msgspec.structs.replace(job.run, key=request.key), job.body)
                self.link.respond(
                    stream, m.AcceptedAnswer(again.id, JobState.RUNNING, "boot", self.agent.incarnation, known)
                )
            case m.Forget():
                del self.agent.jobs[job.id]
                self.link.respond(stream, m.DoneAnswer(JobState.DONE))
            case m.Verify():
                assert job.receipt is not None
                self.link.respond(stream, m.VerifyAnswer(job.receipt))

    def _run(self, stream: int, run: m.Run, body: bytes) -> None:
        if self.agent.refuse_runs is not None:
            self.link.fail(stream, self.agent.refuse_runs)
            return
        known = self.agent.by_key.get(run.key)
        if known is not None and known.body != body:
            self.link.fail(stream, m.Failure(m.ErrorCode.KEY_REUSED, "another body under this key"))
            return
        job, repeated = self.agent.submit(run, body)
        if not run.attach:
            self.link.respond(
                stream, m.AcceptedAnswer(job.id, JobState.RUNNING, "boot", self.agent.incarnation, repeated)
            )
            return
        self.link.event(stream, 0, m.Accepted(job.id, JobState.RUNNING, "boot", self.agent.incarnation, repeated))
        self.link.event(stream, 1, m.Started(job.id, 4242, 1.0))
        self._open(stream, Reader(job, {1: 0, 2: 0}, is_run=True, follow=True), {1: 0, 2: 0}, run.credit)
        if run.stdin and not job.stdin_ended:
            self._take_input(stream, job)

    def _read(self, stream: int, read: m.Read, job: MemoryJob) -> None:
        offsets = {int(channel): offset for channel, offset in read.offsets.items()}
        if read.tail_lines is not None:
            offsets = {channel: self._tail(job, channel, read.tail_lines) for channel in offsets}
        self.link.event(
            stream,
            0,
            m.Opened(
                job.id,
                JobState.RUNNING,
                lengths={str(n): len(job.out.get(n, b"")) for n in offsets},
                offsets={str(n): offset for n, offset in offsets.items()},
            ),
        )
        self._open(stream, Reader(job, offsets, is_run=False, follow=read.follow), offsets, read.credit)

    def _open(self, stream: int, reader: Reader, offsets: dict[int, int], credit: int) -> None:
        self.readers[stream] = reader
        for channel, offset in offsets.items():
            self.link.open_out(stream, channel, offset=offset, limit=offset + credit)
            if offset < reader.job.first[channel]:
                self.link.send_gap(stream, channel, reader.job.first[channel])

    def _take_input(self, stream: int, job: MemoryJob) -> None:
        self.writers = {key: value for key, value in self.writers.items() if value is not job}
        self.writers[stream] = job
        self.link.expect(stream, 0, offset=len(job.stdin), limit=len(job.stdin))
        self.link.grant(stream, 0, len(job.stdin) + WINDOW)

    @staticmethod
    def _tail(job: MemoryJob, channel: int, lines: int) -> int:
        data = job.out.get(channel, b"")
        at = len(data)
        for _ in range(lines + 1):
            at = data.rfind(b"\n", 0, at)
            if at < 0:
                return 0
        return at + 1

    @staticmethod
    def _info(job: MemoryJob) -> JobInfo:
        state = JobState.DONE if job.receipt is not None else JobState.RUNNING
        return JobInfo(job.id, state, argv=("x",), pid=4242, receipt=job.receipt)
