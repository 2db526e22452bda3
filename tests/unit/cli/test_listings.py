"""``ps``, ``leftovers``, ``verify``, ``prune``, ``version``, ``config``: what they print."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from holdfast.cli.ps import command_text, job_table, matches, state_text
from holdfast.errors import ConnectFailed
from holdfast.types import Cause, ExitStatus, JobInfo, JobState, Receipt
from holdfast.wire.messages import Leftover, VerifyAnswer
from tests.unit.cli.conftest import Call
from tests.unit.cli.fake_host import JOB, FakeHost, FakeJob, digests, ended

RUNNING = JobInfo(
    job="aaaa", state=JobState.RUNNING, argv=("sleep", "a b"), label="lab", principal="ann",
    accepted_unix_s=1000.0, started_unix_s=1001.0, pid=7, on_disconnect=60.0, lease_left_s=12.0, cwd="/srv",
)  # fmt: skip
DONE = msgspec.structs.replace(
    RUNNING, job="bbbb", state=JobState.DONE, ended_unix_s=1011.0, label="", receipt=ended(code=3), lease_left_s=None
)


def done(cause: Cause, exit: ExitStatus | None = None) -> JobInfo:
    return msgspec.structs.replace(DONE, receipt=Receipt("bbbb", cause, exit))


@pytest.mark.parametrize(
    ("info", "text"),
    [
        (RUNNING, "running"),
        (done(Cause.EXITED, ExitStatus(code=0)), "ok"),
        (done(Cause.EXITED, ExitStatus(code=3)), "failed 3"),
        (done(Cause.SIGNALED, ExitStatus(signal=9)), "failed SIGKILL"),
        (done(Cause.TIMEOUT, ExitStatus(signal=15)), "timeout"),
        (done(Cause.CLIENT_LOST, ExitStatus(signal=15)), "client-lost"),
        (done(Cause.LOST), "lost"),
    ],
)
def test_states_in_a_word_or_two(info: JobInfo, text: str) -> None:
    assert state_text(info) == text


def test_commands_as_one_would_type_them() -> None:
    assert command_text(RUNNING) == "sleep 'a b'"
    assert command_text(JobInfo(job="x", state=JobState.DONE, argv=("a\nb",), shell=True)) == "a; b"


def test_the_job_table() -> None:
    table = job_table([RUNNING, DONE], now=1010.0, wide=False)
    assert table.rows == (
        ("aaaa", "running", "10s", "9s", "lab", "sleep 'a b'"),
        ("bbbb", "failed 3", "10s", "10s", "-", "sleep 'a b'"),
    )
    wide = job_table([RUNNING], now=1010.0, wide=True)
    assert len(wide.rows[0]) == len(wide.headings)
    assert "kill-after=60s (12s left)" in wide.rows[0]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, True),
        ({"state": "done"}, True),
        ({"state": "running"}, False),
        ({"cause": "exited", "user": "ann"}, True),
        ({"cause": "lost"}, False),
        ({"label": ""}, True),
        ({"id": "bb"}, True),
        ({"id": "b", "user": "bob"}, False),
    ],
)
def test_filters_must_all_hold(wanted: dict[str, str], found: bool) -> None:
    assert matches(DONE, wanted) is found


def test_ps(call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.infos = [RUNNING, DONE]
    assert call("ps").out.startswith(b"JOB ")
    assert call("status").out.startswith(b"JOB ")
    assert call("ps", "-q").out == b"aaaa\nbbbb\n"
    assert call("ps", "-q", "-n", "1").out == b"aaaa\n"
    assert call("ps", "-q", "--filter", "cause=exited").out == b"bbbb\n"
    assert [job["job"] for job in json.loads(call("ps", "--json").out)] == ["aaaa", "bbbb"]
    assert len(call("ps", "-o", "jsonl").out.splitlines()) == 2
    monkeypatch.setenv("HOLDFAST_OUTPUT", "name")
    assert call("ps").out == b"aaaa\nbbbb\n"
    assert call("ps", "-o", "wide").out.startswith(b"JOB ")


def test_leftovers(call: Call, host: FakeHost) -> None:
    host.left = (Leftover(pid=7, job=JOB, command=("sleep", "9"), owner="ann"),)
    outcome = call("leftovers")
    assert outcome.code == 0
    assert b"sleep 9" in outcome.out
    assert json.loads(call("leftovers", "--json").out)[0]["pid"] == 7
    outcome = call("leftovers", "--end")
    assert (outcome.code, "still there: 7" in outcome.err) == (1, True)
    host.left = (msgspec.structs.replace(host.left[0], ended=True),)
    assert call("leftovers", "--end").code == 0


def test_verify(call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    job = FakeJob([], ended(**digests(5)))
    host.known = {JOB: job}
    outcome = call("verify", JOB)
    assert outcome.code == 0
    assert outcome.out == f"job {JOB}: ok\nstdout 5 bytes, sha256 aa\nstderr 0 bytes, sha256 bb\n".encode()
    job.verify = lambda: VerifyAnswer(ended(), ("stdout differs",))  # type: ignore[method-assign]
    outcome = call("verify", "--json", JOB)
    assert outcome.code == 1
    assert outcome.err == "holdfast: stdout differs\n"
    assert json.loads(outcome.out)["ok"] is False


def test_prune(call: Call, host: FakeHost) -> None:
    assert call("prune").out == b"3 jobs forgotten, 2K freed\n"
    assert json.loads(call("prune", "--json").out) == {"schema": 1, "jobs": 3, "freed_bytes": 2048}


def test_version(call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"agent     holdfast/9.9" in call("version").out
    assert host.connected["start"] is False

    def nobody(*_: object, **__: object) -> None:
        raise ConnectFailed("none")

    monkeypatch.setitem(vars(__import__("holdfast")), "connect", nobody)
    assert b"none runs" in call("version").out
    document = json.loads(call("version", "-o", "json").out)
    assert document["agent"] is None
    assert document["protocol"] == {"lowest": 1, "highest": 1}


def test_config(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOST", "unix:///x")
    shown = call("config", "view", "--origin").out.decode()
    assert any(line.split() == ["host", "unix:///x", "HOLDFAST_HOST"] for line in shown.splitlines())
    document = json.loads(call("config", "view", "--json").out)
    assert document["settings"]["host"] == "unix:///x"
    assert document["origins"]["slots"] == "default"
    assert call("config", "path").out.decode().splitlines()[-1] == str(tmp_path / "config" / "holdfast" / "config.toml")
