"""One job in the agent's memory: its machine, its output, who reads, waits and holds its lease."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from holdfast.jobs.instructions import Instruction
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Job
from holdfast.jobs.output import OutputChannel, Reader
from holdfast.store.writes import Write
from holdfast.types import STDERR, STDOUT, JobInfo, JobState, Receipt

if TYPE_CHECKING:
    import asyncio

    from holdfast.agent.peer import Peer
    from holdfast.agent.unattended import Unattended
    from holdfast.jobs.body import Body
    from holdfast.jobs.supervise import Shim
    from holdfast.keeper.messages import ToShim
    from holdfast.store.control import Exit
    from holdfast.store.interface import Done
    from holdfast.store.spool import StdinSpool


class Stdin:
    """The stdin of a job: what is committed, and who writes.

    Attributes:
        spool: The file that feeds it, once the job has a shim.
        committed: Bytes taken for good.
        granted: The writer's present credit.
        ended: Its end-of-file has been passed on.
        writer: The stream that may write now.
    """

    __slots__ = ("committed", "ended", "granted", "spool", "writer")

    def __init__(self) -> None:
        self.spool: StdinSpool | None = None
        self.committed = 0
        self.granted = 0
        self.ended = False
        self.writer: tuple[Peer, int] | None = None


class LiveJob:
    """A job that is not done, or that somebody still reads.

    Attributes:
        job: The machine; decides.
        body: Exact bytes of the command, until it has been started.
        out: Output channels by number.
        readers: (peer, reader) pairs that follow or fetch output.
        waiters: (peer, stream) pairs that wait for the end.
        todo: Instructions that wait behind a record.
        lazy: Writes that may be held back, and are dropped when a later record says it all.
        published: The receipt, once others may know it.
        untold: Orders for its supervisor while none is connected.
        unattended: The watch over a job that has neither shim nor keeper.
        pins: Threads that read its files now.
        joined: Told once whether the record of its acceptance was written: something else is written with it.
    """

    __slots__ = (
        "armed",
        "body",
        "body_hash",
        "ending",
        "expiry",
        "job",
        "joined",
        "key",
        "lazy",
        "lease",
        "lease_timer",
        "out",
        "pins",
        "principal",
        "published",
        "readers",
        "recording",
        "room",
        "shim",
        "spawned",
        "stdin",
        "taken",
        "todo",
        "unattended",
        "untold",
        "waiters",
    )

    def __init__(self, job: Job, principal: str, lease: Lease) -> None:
        self.job = job
        self.principal = principal
        self.lease = lease
        self.body: Body | None = None
        self.body_hash = b""
        self.out = {STDOUT: OutputChannel(), STDERR: OutputChannel()}
        self.readers: list[tuple[Peer, Reader]] = []
        self.waiters: list[tuple[Peer, int]] = []
        self.todo: deque[Instruction] = deque()
        self.lazy: list[Write] = []
        self.recording = False
        self.shim: Shim | None = None
        self.spawned = False
        self.room: dict[int, int] = {}
        self.stdin: Stdin | None = None
        self.armed: tuple[int, int] | None = None
        self.lease_timer: asyncio.TimerHandle | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self.ending: Exit | None = None
        self.key: tuple[str, bytes] | None = None
        self.taken = 0
        self.published: Receipt | None = None
        self.untold: list[ToShim] = []
        self.unattended: Unattended | None = None
        self.pins = 0
        self.joined: Done | None = None

    @property
    def done(self) -> bool:
        """Whether its end is public."""
        return self.published is not None

    def info(self, now: float) -> JobInfo:
        """As ``ps`` shows it; ``now`` is monotonic."""
        job, spec = self.job, self.job.spec
        return JobInfo(
            job=job.id,
            state=job.state if self.published or job.state is not JobState.DONE else JobState.ENDING,
            argv=spec.argv,
            shell=spec.shell,
            label=spec.label,
            principal=self.principal,
            accepted_unix_s=job.accepted_unix_s,
            started_unix_s=job.started_unix_s,
            ended_unix_s=self.published.ended_unix_s if self.published else None,
            pid=job.pid,
            attempt=job.attempt,
            on_disconnect=spec.on_disconnect,
            lease_left_s=self.lease.left_s(now),
            clients=self.lease.clients,
            stdout_bytes=self.out[STDOUT].length,
            stderr_bytes=self.out[STDERR].length,
            cwd=spec.cwd,
            retry_of=spec.retry_of,
            receipt=self.published,
        )

    def close(self) -> None:
        """Let go of files once nobody reads any more."""
        for channel in self.out.values():
            channel.close()
