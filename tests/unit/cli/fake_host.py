"""A host that exists in memory: what the command line sees through ``holdfast.connect``, and nothing behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from holdfast.client.calls import Call, RunRequest, run_request
from holdfast.errors import HoldfastError, NotFound
from holdfast.types import Cause, ChannelRecord, ExitStatus, JobInfo, JobState, Receipt
from holdfast.wire.messages import (
    InviteAnswer,
    LeaseInfo,
    Leftover,
    PrincipalInfo,
    PruneAnswer,
    RevokeAnswer,
    StatusAnswer,
    VerifyAnswer,
    Welcome,
    encode,
)

R = TypeVar("R")
JOB = "0123456789ab"


def ended(cause: Cause = Cause.EXITED, *, code: int | None = 0, signum: int | None = None, **fields: Any) -> Receipt:
    """A receipt; ``code`` None and no signal: without a status."""
    status = ExitStatus(code=code) if signum is None and code is not None else None
    if signum is not None:
        status = ExitStatus(signal=signum)
    fields = {"job": JOB, "started_unix_s": 1.7e9, "ended_unix_s": 1.7e9 + 1.5, **fields}
    return Receipt(cause=cause, exit=status, **fields)


class FakeJob:
    """One job whose output and receipt are given."""

    def __init__(self, chunks: list[tuple[int, bytes]], receipt: Receipt, *, job_id: str = JOB, skip: int = 0) -> None:
        self.id = job_id
        self.key = "key"
        self.deduplicated = False
        self.pid: int | None = 4711
        self.delivered: dict[int, int] = {1: skip, 2: 0}
        self.info = JobInfo(job=job_id, state=JobState.RUNNING, argv=("sleep", "1"), on_disconnect=60.0)
        self.receipt: Receipt | None = None
        self.signals: list[tuple[int, str]] = []
        self.stops: list[float | None] = []
        self.forgotten: list[bool] = []
        self.on_output: Callable[[], None] = lambda: None
        self.output_error: HoldfastError | None = None
        self.output_options: dict[str, Any] = {}
        self.left_on_purpose = False
        self._chunks = chunks
        self._end = receipt

    def output(self, **options: Any) -> Iterator[tuple[int, bytes]]:
        self.output_options = options
        try:
            for channel, data in self._chunks:
                self.delivered[channel] += len(data)
                yield channel, data
                self.on_output()
        except BaseException:  # as the real one, which takes this for a word to the agent
            self.left_on_purpose = True
            raise
        if self.output_error is not None:
            raise self.output_error

    def wait_receipt(self, timeout: float | None = None) -> Receipt:
        self.receipt = self._end
        return self._end

    def signal(self, signum: int, scope: str = "main") -> None:
        self.signals.append((signum, scope))

    def stop(self, grace: float | None = None) -> None:
        self.stops.append(grace)

    def forget(self, *, forget_key: bool = False) -> None:
        self.forgotten.append(forget_key)

    def refresh(self) -> JobInfo:
        return self.info

    def retry(self, *, key: str | None = None) -> FakeJob:
        return FakeJob(self._chunks, self._end, job_id="retried00000")

    def verify(self) -> VerifyAnswer:
        return VerifyAnswer(self._end)


class FakeConnection:
    """What is asked without a method of ``Host``: each request is kept, and answered by the test.

    Attributes:
        asked: Requests, in order, with their bodies.
        answers: By type of the request: its answers in order, the last one again and again; or an error to raise.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, bytes]] = []
        self.answers: dict[type, list[Any]] = {}

    def call(self, call: Call[Any], timeout: float | None = None) -> Any:
        self.asked.append((call.request, call.body))
        answers = self.answers[type(call.request)]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return call.read(encode(answer))

    def requests(self, kind: type[R]) -> list[R]:
        """Those of this type."""
        return [request for request, _ in self.asked if isinstance(request, kind)]


class FakeHost:
    """A host with given jobs; remembers what it was asked."""

    def __init__(self, *jobs: FakeJob) -> None:
        self.known = {job.id: job for job in jobs}
        self.next_job = jobs[0] if jobs else FakeJob([], ended())
        self.started: list[tuple[Any, dict[str, Any]]] = []
        self.start_error: Exception | None = None
        self.connected: dict[str, Any] = {}
        self.infos: list[JobInfo] = []
        self.left: tuple[Leftover, ...] = ()
        self.welcome = Welcome(1, "agent", "incarnation", "boot", "me", host="box", software="holdfast/9.9")

        self.answer = StatusAnswer({"pid": 1}, {"pid": 2}, "/s", "/d", {"running": 1}, {})
        self.invited: list[dict[str, Any]] = []
        self.enrolled: tuple[PrincipalInfo, ...] = ()
        self.connect_error: HoldfastError | None = None
        self._connection = FakeConnection()
        self.held: list[LeaseInfo] = []

    def _run_request(self, args: Any, *, attach: bool, stdin: bool, options: dict[str, Any]) -> RunRequest:
        return run_request(args, fresh_key="fresh", encode=os.fsencode, attach=attach, stdin=stdin, **options)

    def connect(self, address: str, **options: Any) -> FakeHost:
        """Stands in for ``holdfast.connect``."""
        if self.connect_error is not None:
            raise self.connect_error
        self.connected = {"address": address, **options}
        return self

    def start(self, args: Any, **options: Any) -> FakeJob:
        if self.start_error is not None:
            raise self.start_error
        self.started.append((args, options))
        return self.next_job

    def job(self, job_id: str) -> FakeJob:
        if job_id not in self.known:
            raise NotFound("no such job", code=302)
        return self.known[job_id]

    def jobs(self, **options: Any) -> list[JobInfo]:
        return self.infos

    def status(self) -> StatusAnswer:
        return self.answer

    def invite(self, **options: Any) -> InviteAnswer:
        self.invited.append(options)
        return InviteAnswer("hf1.secret", "0011223344556677", options["role"], 1.7e9)

    def principals(self) -> tuple[PrincipalInfo, ...]:
        return self.enrolled

    def revoke(self, principal: str, *, jobs: bool = False) -> RevokeAnswer:
        if principal not in {info.name for info in self.enrolled}:
            raise NotFound(f"nobody is enrolled as {principal}", code=302)
        return RevokeAnswer(principal, 2, 3, 4 if jobs else 0)

    def prune(self, older_than: float | None = None) -> PruneAnswer:
        return PruneAnswer(3, 2048)

    def leftovers(self, *, end: bool = False) -> tuple[Leftover, ...]:
        return self.left

    def leases(self, name: str | None = None) -> tuple[LeaseInfo, ...]:
        return tuple(info for info in self.held if name in (None, info.name))

    def close(self) -> None: ...

    def __enter__(self) -> FakeHost:
        return self

    def __exit__(self, *_exc: object) -> None: ...


def digests(stdout: int, stderr: int = 0) -> dict[str, Any]:
    """Channel records of these lengths, for ``ended``."""
    return {"stdout": ChannelRecord(stdout, sha256="aa"), "stderr": ChannelRecord(stderr, sha256="bb")}
