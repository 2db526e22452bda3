"""``holdfast run`` over a host in memory: what is asked, what is shown, how it ends."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli import follow
from holdfast.cli.app import main
from holdfast.cli.out import CannotWrite, ReaderGone
from holdfast.cli.voice import Voice
from holdfast.errors import Conflict, LinkLost, OutcomeUnknown, OutputMismatch, SpawnFailed
from holdfast.types import Cause, JobState, Receipt, Retention
from tests.unit.cli.conftest import Call
from tests.unit.cli.fake_host import JOB, FakeHost, FakeJob, ended


def give(host: FakeHost, chunks: list[tuple[int, bytes]], receipt: Receipt | None = None, **fields: Any) -> FakeJob:
    host.next_job = FakeJob(chunks, receipt or ended(), **fields)
    return host.next_job


def test_bytes_pass_untouched_and_nothing_is_said(call: Call, host: FakeHost) -> None:
    everything = bytes(range(256)) * 3
    give(host, [(1, everything), (2, b"warn\n"), (1, b"")])
    outcome = call("run", "--", "cmd")
    assert outcome.code == 0
    assert outcome.out == everything
    assert outcome.err == "warn\n"


def test_the_command_is_never_read_by_us(call: Call, host: FakeHost) -> None:
    call("run", "--", "ls", "-d", "--", "--help", "a b", "")
    assert host.started[0][0] == ["ls", "-d", "--", "--help", "a b", ""]


def test_flags_become_what_is_asked(
    call: Call, host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAKEN", "yes")
    (tmp_path / "vars").write_text("A=file\nB=file\n")
    call(
        "run", "-e", "A=1", "-e", "TAKEN", "--env-file", "vars", "-w", "sub", "-u", "ann", "--umask", "077",
        "--rlimit", "nofile=64:128", "--timeout", "5m", "--grace", "3", "--leave", "--on-disconnect", "kill-after=10m",
        "--once", "k", "--retain", "keep-tail=64K", "-l", "lab", "--", "cmd",
    )  # fmt: skip
    options = host.started[0][1]
    assert options.pop("not_after") is None
    assert options == {
        "detach": False, "stdin": False, "shell": False,
        "env": {"A": "1", "B": "file", "TAKEN": "yes"}, "cwd": str(tmp_path / "sub"), "user": "ann", "umask": 0o077,
        "rlimits": {"nofile": (64, 128)}, "timeout": 300.0, "grace": 3.0, "leave": True, "on_disconnect": 600.0,
        "key": "k", "retention": Retention("keep-tail", 1 << 16), "label": "lab",
    }  # fmt: skip


def test_a_host_and_its_places(call: Call, host: FakeHost, tmp_path: Path) -> None:
    call("run", "unix:///x.sock", "--connect-timeout", "3", "--state-dir", str(tmp_path), "-w", "rel", "--", "cmd")
    assert host.connected["address"] == "unix:///x.sock"
    assert host.connected["timeout"] == 3.0
    assert host.connected["state_dir"] is None  # it is the local agent's
    assert host.started[0][1]["cwd"] == "rel"
    call("run", "--state-dir", str(tmp_path), "--", "cmd")
    assert host.connected["address"] == "local"
    assert host.connected["state_dir"] == str(tmp_path)


def test_a_script_goes_to_a_shell(call: Call, host: FakeHost) -> None:
    call("run", "--sh", "a && b")
    assert host.started[0][0] == "a && b"
    assert host.started[0][1]["shell"] is True


def test_not_after_is_a_point_in_time(call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    call("run", "--not-after", "1m", "--", "cmd")
    assert host.started[0][1]["not_after"] == 1060.0


def test_detached_prints_the_id_alone(call: Call, host: FakeHost) -> None:
    give(host, [(1, b"never shown")])
    outcome = call("run", "-d", "--", "cmd")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{JOB}\n".encode(), "")
    assert host.started[0][1]["detach"] is True
    assert host.started[0][1]["on_disconnect"] is None


@pytest.mark.parametrize(
    ("receipt", "code", "said"),
    [
        (ended(code=3), 3, ""),
        (ended(code=125), 125, ""),
        (ended(code=255), 255, ""),
        (ended(Cause.SIGNALED, signum=9), 137, "signal 9 (SIGKILL)"),
        (ended(Cause.TIMEOUT, signum=15, timeout_s=2.0), 124, "the time limit of 2s was reached"),
        (ended(Cause.START_FAILED, code=None, stage="executable", errno=2), 127, "cmd: command not found"),
        (ended(Cause.LOST, code=None), 255, "cannot be known"),
    ],
)
def test_the_code_and_whose_it_is(call: Call, host: FakeHost, receipt: Receipt, code: int, said: str) -> None:
    give(host, [], receipt)
    outcome = call("run", "--", "cmd")
    assert outcome.code == code
    assert said in outcome.err
    assert bool(outcome.err) is bool(said)


def test_output_that_does_not_match_is_never_0(call: Call, host: FakeHost) -> None:
    job = give(host, [(1, b"x")])
    job.output_error = OutputMismatch("stdout differs from its receipt")
    outcome = call("run", "--", "cmd")
    assert outcome.code == 255
    assert "differs" in outcome.err


def test_a_link_that_stays_away(call: Call, host: FakeHost) -> None:
    job = give(host, [(1, b"x")])
    job.output_error = OutcomeUnknown("gave up after 1h", key="k")
    assert call("run", "--", "cmd").code == 255
    job.delivered = {1: 0, 2: 0}
    assert call("run", "--transport-exit", "77", "--", "cmd").code == 77


def test_what_cannot_be_asked_is_refused_in_words(call: Call, host: FakeHost) -> None:
    host.start_error = ValueError("arguments and environment of 10485760 bytes; the limit is 2097152")
    outcome = call("run", "--", "cmd")
    assert outcome.code == 125
    assert outcome.err == (
        "holdfast: arguments and environment of 10485760 bytes; the limit is 2097152; nothing was run\n"
    )


def test_a_refused_start(call: Call, host: FakeHost) -> None:
    host.start_error = SpawnFailed("no", errno=13, stage="executable")
    assert call("run", "--", "cmd").code == 126


def test_the_current_directory_may_be_gone(
    call: Call, host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    outcome = call("run", "--", "cmd")
    assert outcome.code == 125
    assert "-w" in outcome.err
    assert call("run", "-w", "/", "--", "cmd").code == 0


def test_json_lines_end_with_the_receipt(call: Call, host: FakeHost) -> None:
    give(host, [(1, "ä".encode()), (2, b"\xff\x00"), (1, b"b")], ended(code=3))
    outcome = call("run", "--json", "--", "cmd")
    events = [json.loads(line) for line in outcome.out.splitlines()]
    assert [event["event"] for event in events] == ["accepted", "started", "output", "output", "output", "receipt"]
    assert all(event["schema"] == 1 for event in events)
    assert events[0]["job"] == JOB
    assert events[1]["pid"] == 4711
    assert events[2] == {"schema": 1, "event": "output", "channel": "stdout", "offset": 0, "data": "ä"}
    assert base64.b64decode(events[3]["data"]) == b"\xff\x00"
    assert events[3]["encoding"] == "base64"
    assert events[4]["offset"] == 2
    assert events[5]["receipt"]["exit_code"] == 3
    assert events[5]["holdfast_exit"] == outcome.code == 3


@pytest.fixture
def status_pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def test_status_fd(call: Call, host: FakeHost, status_pipe: tuple[int, int]) -> None:
    read, write = status_pipe
    give(host, [(1, b"x")], ended(Cause.SIGNALED, signum=15))
    assert call("run", "--status-fd", str(write), "--", "cmd").out == b"x"
    status = json.loads(os.read(read, 65536))
    assert status["holdfast_exit"] == 143
    assert status["receipt"]["signal_name"] == "SIGTERM"
    host.start_error = LinkLost("gone")
    assert call("run", "--status-fd", str(write), "--", "cmd").code == 255
    status = json.loads(os.read(read, 65536))
    assert status["receipt"] is None
    assert status["holdfast_exit"] == 255
    assert "gone" in status["error"]


def test_ctrl_c_goes_to_the_job_and_a_second_one_detaches(call: Call, host: FakeHost) -> None:
    job = give(host, [(1, b"a"), (1, b"b"), (1, b"c")])
    sent = threading.Event()
    pressed = iter([True, True])

    def forward(signum: int, scope: str = "main") -> None:
        job.signals.append((signum, scope))
        sent.set()

    def press() -> None:
        if next(pressed, False):
            signal.raise_signal(signal.SIGINT)
            assert sent.wait(5)

    job.signal = forward  # type: ignore[method-assign]
    job.on_output = press
    outcome = call("run", "--", "cmd")
    assert outcome.code == 130
    assert job.signals == [(signal.SIGINT, "group")]
    assert job.left_on_purpose
    assert outcome.out == b"ab"
    assert f"job {JOB} goes on: holdfast attach {JOB}" in outcome.err


def test_a_ctrl_c_that_cannot_be_sent_yet_is_not_met_with_silence(
    call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the link is down it waits for the next connection."""
    job = give(host, [(1, b"a"), (1, b"b")])
    said, sent = threading.Event(), threading.Event()
    say = Voice.say
    monkeypatch.setattr(follow, "SILENCE_S", 0.0)

    def say_and_tell(voice: Voice, text: str) -> None:
        say(voice, text)
        said.set()

    monkeypatch.setattr(Voice, "say", say_and_tell)

    def forward(signum: int, scope: str = "main") -> None:
        assert said.wait(5)
        sent.set()

    def press() -> None:
        if not sent.is_set():
            signal.raise_signal(signal.SIGINT)
            assert sent.wait(5)

    job.signal = forward  # type: ignore[method-assign]
    job.on_output = press
    outcome = call("run", "--", "cmd")
    assert outcome.code == 0
    assert outcome.err == (
        f"holdfast: job {JOB} cannot be reached now; SIGINT is sent as soon as it can. Ctrl-C twice leaves it alone\n"
    )


def test_leaving_in_the_middle_of_writing_is_told_to_the_agent_too(
    call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_twice(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    job = give(host, [(1, b"a"), (1, b"b")])
    left: list[bool] = []
    monkeypatch.setattr(FakeHost, "__exit__", lambda *_: left.append(job.left_on_purpose))
    monkeypatch.setattr("holdfast.cli.sinks.write_all", press_twice)
    assert call("run", "--", "cmd").code == 130
    assert left == [True]


class Gone(BaseException):
    """The process has ended."""


def end_process(code: int) -> None:
    raise Gone(code)


@pytest.mark.parametrize(
    ("policy", "fate"),
    [
        ("keep", f"job {JOB} goes on: holdfast attach {JOB}"),
        ("kill", f"job {JOB} is being ended (--on-disconnect kill)"),
        ("kill-after=5m", f"job {JOB} goes on and is ended in 300s unless somebody attaches: holdfast attach {JOB}"),
    ],
)
def test_a_hung_up_client_leaves_at_once(
    host: FakeHost, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, policy: str, fate: str
) -> None:
    monkeypatch.setattr(os, "_exit", end_process)
    job = give(host, [(1, b"a"), (1, b"b")])
    job.on_output = lambda: signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Gone) as gone:
        main(["run", "--on-disconnect", policy, "--", "cmd"])
    assert gone.value.args == (143,)
    assert capfd.readouterr() == ("a", f"holdfast: ended by SIGTERM; {fate}\n")


@pytest.mark.parametrize(("error", "code"), [(ReaderGone(), 141), (CannotWrite("No space left on device"), 125)])
def test_output_that_cannot_be_written_loses_the_client_and_not_the_job(
    call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise error

    job = give(host, [(1, b"a"), (1, b"b")])
    left: list[bool] = []
    monkeypatch.setattr(FakeHost, "__exit__", lambda *_: left.append(job.left_on_purpose))
    monkeypatch.setattr("holdfast.cli.sinks.write_all", refuse)
    outcome = call("run", "--", "cmd")
    assert outcome.code == code
    assert f"is ended in 60s unless somebody attaches: holdfast attach {JOB}" in outcome.err
    assert left == [False], "the agent was told that the job was left on purpose"


def test_ctrl_c_on_a_waiting_job_cancels_it(call: Call, host: FakeHost) -> None:
    job = give(host, [(1, b"")], ended(Cause.CANCELLED, code=None))
    job.info = type(job.info)(job=JOB, state=JobState.QUEUED)
    stopped = threading.Event()

    def refuse(signum: int, scope: str = "main") -> None:
        raise Conflict("it is queued", code=310)

    job.signal = refuse  # type: ignore[method-assign]
    job.stop = lambda grace=None: stopped.set()  # type: ignore[method-assign]

    def press() -> None:
        signal.raise_signal(signal.SIGINT)
        assert stopped.wait(5)

    job.on_output = press
    outcome = call("run", "--", "cmd")
    assert outcome.code == 130
    assert "did not run" in outcome.err


def test_missing_output_is_told_where_it_is_missing(call: Call, host: FakeHost) -> None:
    give(host, [(1, b"tail")], skip=100)
    outcome = call("run", "--retain", "keep-tail=4", "--", "cmd")
    assert outcome.out == b"tail"
    assert "100 bytes of stdout are gone" in outcome.err


def test_stuck_processes_are_named(call: Call, host: FakeHost) -> None:
    give(host, [], ended(tree="stuck", left=(7, 8)))
    assert "still there: 7 8" in call("run", "--", "cmd").err
