"""``logs``, ``attach``, ``wait``, ``stop``, ``kill``, ``retry``, ``rm``: what they ask and how they end."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from holdfast.cli.out import ReaderGone
from holdfast.errors import Conflict, DeadlineExceeded
from holdfast.types import Cause, Receipt
from tests.unit.cli.conftest import Call
from tests.unit.cli.fake_host import JOB, FakeHost, FakeJob, ended


@pytest.fixture
def job(host: FakeHost) -> FakeJob:
    """The one job that the host knows."""
    known = FakeJob([(1, b"out\x1b\n"), (2, b"err\n")], ended(code=3))
    host.known = {JOB: known}
    return known


@pytest.mark.parametrize("verb", ["logs", "attach", "wait", "stop", "kill", "retry", "rm", "verify"])
def test_no_such_job_is_1_and_says_where_to_look(call: Call, host: FakeHost, verb: str) -> None:
    outcome = call(verb, "zzzz")
    assert outcome.code == 1
    assert outcome.err == "holdfast: no such job: zzzz; `holdfast ps -a` lists them\n"


def test_logs(call: Call, job: FakeJob) -> None:
    outcome = call("logs", JOB)
    assert (outcome.code, outcome.out, outcome.err) == (0, b"out\x1b\n", "err\n")
    assert job.output_options == {"channels": (1, 2), "follow": False, "lease": False, "tail_lines": None}
    job.delivered = {1: 0, 2: 0}
    call("logs", JOB, "-f", "-n", "5", "--channel", "err")
    assert job.output_options == {"channels": (2,), "follow": True, "lease": False, "tail_lines": 5}


def test_attach_is_a_client_of_the_job_and_ends_with_its_code(call: Call, job: FakeJob) -> None:
    outcome = call("attach", JOB)
    assert (outcome.code, outcome.out) == (3, b"out\x1b\n")
    assert job.output_options == {"lease": True, "tail_lines": 10}
    job.delivered = {1: 0, 2: 0}
    call("attach", "--from-start", JOB)
    assert job.output_options["tail_lines"] is None


def test_wait_returns_the_largest_code(call: Call, host: FakeHost, job: FakeJob) -> None:
    host.known["b"] = FakeJob([], ended(Cause.SIGNALED, signum=9), job_id="b")
    outcome = call("wait", JOB, "b")
    assert outcome.code == 137
    assert outcome.err.count("\n") == 1
    receipts = [json.loads(line) for line in call("wait", "--json", JOB).out.splitlines()]
    assert receipts[0]["exit_code"] == 3
    assert call("wait", JOB, "none").code == 3


def test_wait_has_an_end_of_its_own(call: Call, job: FakeJob) -> None:
    def never(timeout: float | None = None) -> Receipt:
        assert timeout is not None
        raise DeadlineExceeded("not done")

    job.wait_receipt = never  # type: ignore[method-assign]
    outcome = call("wait", "--timeout", "10ms", JOB)
    assert outcome.code == 124
    assert "it goes on" in outcome.err


def test_stop(call: Call, host: FakeHost, job: FakeJob) -> None:
    outcome = call("stop", "--grace", "2", JOB)
    assert (outcome.code, outcome.err, job.stops) == (0, "", [2.0])
    assert job.receipt is not None
    other = FakeJob([], ended(tree="stuck", left=(9,)), job_id="b")
    host.known["b"] = other
    assert call("stop", "none", "b").code == 1
    assert other.stops == [None]
    assert "still there: 9" in call("stop", "b").err
    waited = FakeJob([], ended(), job_id="c")
    host.known["c"] = waited
    call("stop", "--no-wait", "c")
    assert (waited.stops, waited.receipt) == ([None], None)


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        ([], (15, "main")),
        (["-s", "KILL"], (9, "main")),
        (["-s", "SIGUSR1", "--tree"], (10, "tree")),
        (["-s", "2", "--group"], (2, "group")),
    ],
)
def test_kill(call: Call, job: FakeJob, args: list[str], sent: tuple[int, str]) -> None:
    assert call("kill", *args, JOB).code == 0
    assert job.signals == [sent]


def test_what_is_refused_is_told_and_the_others_are_done(call: Call, host: FakeHost, job: FakeJob) -> None:
    def refuse(**_: Any) -> None:
        raise Conflict("it is running", code=310)

    job.forget = refuse  # type: ignore[method-assign]
    other = FakeJob([], ended(), job_id="b")
    host.known["b"] = other
    outcome = call("rm", "--forget-key", JOB, "b")
    assert outcome.code == 125
    assert outcome.err == "holdfast: it is running; nothing was run\n"
    assert other.forgotten == [True]


def test_retry(call: Call, job: FakeJob) -> None:
    assert call("retry", JOB).out == b"retried00000\n"
    outcome = call("retry", "--attach", JOB)
    assert (outcome.code, outcome.out) == (3, b"out\x1b\n")


def test_the_policy_in_the_words_is_the_jobs_own(call: Call, job: FakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ReaderGone

    job.info = msgspec.structs.replace(job.info, on_disconnect="keep")
    monkeypatch.setattr("holdfast.cli.sinks.write_all", refuse)
    outcome = call("attach", JOB)
    assert outcome.code == 141
    assert outcome.err.endswith(f"job {JOB} goes on: holdfast attach {JOB}\n")
