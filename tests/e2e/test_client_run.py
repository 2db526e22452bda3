"""Jobs of the real agent through the blocking API: status, output, input, limits, ends."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from pathlib import Path

import pytest

import holdfast
from holdfast.types import Cause, JobState

PATTERN = "import sys; sys.stdout.buffer.write(bytes(range(256)) * {count})"


def running(job: holdfast.Job) -> holdfast.Job:
    """The job, once its command runs: before that, ending it means that it never starts."""
    deadline = time.monotonic() + 15
    while job.refresh().state is not JobState.RUNNING:
        assert time.monotonic() < deadline, job.info
        time.sleep(0.01)
    return job


def test_a_run_gives_output_and_code_of_both_channels(host: holdfast.Host) -> None:
    done = host.run(["sh", "-c", "printf out; printf err >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out", b"err")
    assert done.receipt.cause is Cause.EXITED
    assert isinstance(done, subprocess.CompletedProcess)


def test_a_signal_is_a_negative_code(host: holdfast.Host) -> None:
    assert host.run(["sh", "-c", "kill -9 $$"]).returncode == -signal.SIGKILL


def test_the_callers_directory_and_environment_hold_for_the_local_agent(host: holdfast.Host, tmp_path: Path) -> None:
    done = host.run(["sh", "-c", "pwd; echo $COLOUR"], cwd=str(tmp_path), env={"COLOUR": "grün"}, text=True)
    assert done.stdout.splitlines() == [str(tmp_path), "grün"]


def test_input_reaches_the_command_whole(host: holdfast.Host) -> None:
    data = bytes(range(256)) * 8000
    done = host.run(["sha256sum"], input=data, text=None)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert done.receipt.stdin_bytes == len(data)


def test_input_is_each_jobs_own_whatever_ran_before(host: holdfast.Host) -> None:
    for size in [300_000, 10, 0, 2_000_000, 1] * 5:
        done = host.run(["wc", "-c"], input=bytes(size))
        assert int(done.stdout) == size


def test_check_raises_the_standard_error(host: holdfast.Host) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        host.run(["sh", "-c", "echo why >&2; exit 7"], check=True)
    assert (caught.value.returncode, caught.value.stderr) == (7, b"why\n")


def test_a_missing_program_has_not_run(host: holdfast.Host) -> None:
    with pytest.raises(holdfast.SpawnFailed) as caught:
        host.run(["/no/such/program"])
    assert (caught.value.ran, caught.value.errno) == ("no", 2)
    assert caught.value.stage == "executable"


def test_a_time_limit_ends_the_job_and_keeps_its_output(host: holdfast.Host) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        host.run(["sh", "-c", "echo before; sleep 60"], timeout=0.3)
    assert caught.value.output == b"before\n"
    assert isinstance(caught.value, holdfast.TimeoutExpired)


def test_too_much_output_stops_the_job(host: holdfast.Host) -> None:
    with pytest.raises(holdfast.OutputTooLarge):
        host.run(["sh", "-c", "head -c 100000 /dev/zero; sleep 60"], max_output=4096, label="big", grace=1.0)
    deadline = time.monotonic() + 15
    while (info := host.jobs(all=True, label="big")[0]).state is not JobState.DONE:
        assert time.monotonic() < deadline, info
        time.sleep(0.02)
    assert info.receipt is not None
    assert info.receipt.cause is Cause.STOPPED


def test_output_comes_in_order_and_is_read_again_from_anywhere(host: holdfast.Host) -> None:
    job = host.start(["python3", "-c", PATTERN.format(count=20_000)])
    got = b"".join(chunk for channel, chunk in job.output() if channel == 1)
    assert got == bytes(range(256)) * 20_000
    assert job.wait() == 0
    assert job.delivered == {1: len(got), 2: 0}
    assert job.read(1, 1_000_001, 512) == got[1_000_001:1_000_513]
    again = host.job(job.id)
    assert b"".join(chunk for _, chunk in again.output()) == got
    assert b"".join(chunk for _, chunk in again.output(offsets={1: 5_000_000})) == got[5_000_000:]


def test_the_last_lines_of_a_running_job_and_what_follows(host: holdfast.Host, tmp_path: Path) -> None:
    go = tmp_path / "go"
    job = host.start(["sh", "-c", f"seq 100; while [ ! -e {go} ]; do sleep 0.02; done; echo end"])
    deadline = time.monotonic() + 10
    while job.refresh().stdout_bytes < 292:
        assert time.monotonic() < deadline
    seen = b""
    for _, chunk in host.job(job.id).output(tail_lines=2):
        seen += chunk
        go.touch()
    assert seen == b"99\n100\nend\n"


def test_a_job_that_is_not_read_can_be_waited_for(host: holdfast.Host) -> None:
    job = host.start(["head", "-c", "5000000", "/dev/zero"])
    assert job.wait(timeout=20) == 0
    assert sum(len(chunk) for _, chunk in job.output()) == 5_000_000


def test_waiting_has_a_limit_that_leaves_the_job_alone(host: holdfast.Host) -> None:
    job = running(host.start(["sleep", "60"]))
    with pytest.raises(TimeoutError):
        job.wait(timeout=0.05)
    assert job.is_alive()
    assert job.returncode is None
    job.kill()
    assert job.wait(timeout=20) == -signal.SIGKILL
    assert not job.is_alive()


def test_signals_and_stop(host: holdfast.Host) -> None:
    job = host.start(["sh", "-c", "trap 'echo caught; exit 5' USR1; echo ready; while :; do sleep 0.02; done"])
    output = job.output()
    assert next(output) == (1, b"ready\n")
    job.signal(signal.SIGUSR1)
    assert next(output) == (1, b"caught\n")
    assert list(output) == []
    assert job.wait(timeout=20) == 5
    sleeper = running(host.start(["sleep", "60"]))
    sleeper.stop()
    assert sleeper.wait(timeout=20) == -signal.SIGTERM
    assert sleeper.receipt is not None
    assert sleeper.receipt.cause is Cause.STOPPED


def test_a_start_key_starts_one_command(host: holdfast.Host, tmp_path: Path) -> None:
    command = ["sh", "-c", f"echo x >> {tmp_path}/starts; echo done"]
    first = host.run(command, key="once")
    second = host.run(command, key="once")
    assert first.receipt.job == second.receipt.job
    assert second.stdout == b"done\n"
    assert (tmp_path / "starts").read_text() == "x\n"
    with pytest.raises(holdfast.Conflict) as caught:
        host.run(["echo", "other"], key="once")
    assert caught.value.ran == "no"


def test_a_detached_job_is_found_again_by_its_id(host: holdfast.Host) -> None:
    job = host.start(["sh", "-c", "echo hello"], detach=True)
    again = host.job(job.id)
    assert again.wait(timeout=20) == 0
    assert [chunk for _, chunk in again.output()] == [b"hello\n"]
    assert job.id in [info.job for info in host.jobs(all=True)]
    again.forget()
    with pytest.raises(holdfast.NotFound):
        host.job(job.id)


def test_retry_is_a_new_job(host: holdfast.Host) -> None:
    done = host.run(["sh", "-c", "echo again; exit 1"])
    job = host.job(done.job_id).retry()
    assert job.id != done.job_id
    assert job.wait(timeout=20) == 1
    assert job.receipt is not None
    assert job.receipt.retry_of == done.job_id


def test_verify_finds_nothing_to_complain_of(host: holdfast.Host) -> None:
    done = host.run(["head", "-c", "300000", "/dev/zero"])
    answer = host.job(done.job_id).verify()
    assert answer.mismatches == ()
    assert answer.receipt.stdout.sha256 == hashlib.sha256(bytes(300_000)).hexdigest()


def test_stdin_is_written_in_pieces_and_ended(host: holdfast.Host) -> None:
    job = host.start(["sh", "-c", "read a; read b; echo $b $a"], stdin=True)
    with job.stdin as stdin:
        stdin.write(b"one\n")
        stdin.write(b"two\n")
    assert b"".join(chunk for _, chunk in job.output()) == b"two one\n"


def test_leaving_the_output_early_keeps_the_job(host: holdfast.Host) -> None:
    job = host.start(["sh", "-c", "echo first; sleep 0.2; echo second; exit 6"], on_disconnect="kill")
    for _, chunk in job.output():
        assert chunk == b"first\n"
        break
    assert job.wait(timeout=20) == 6
    assert job.read() == b"first\nsecond\n"
