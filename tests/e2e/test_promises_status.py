"""The exit status is true: what a control process is told by waitpid(2) is what a client is told, and who ended it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

import holdfast
from holdfast.types import Cause
from tests.e2e.harness.work import PROGRAM
from tests.e2e.harness.world import World, eventually

HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
HARMLESS |= {signal.SIGURG, signal.SIGWINCH}
IGNORED = int(Path("/proc/self/status").read_text().partition("SigIgn:")[2].split()[0], 16)
"""What this process was started with; nobody can take 32 and 33 (glibc's own) back from that, see sigaction(3)."""
DEADLY = [
    number
    for number in range(1, 65)
    if number not in HARMLESS and not (number in (32, 33) and IGNORED >> (number - 1) & 1)
]
"""Signals whose default action ends a process (signal(7)); 32 and 33 are the C library's own."""
DIE_OF = """
import os, signal, sys, time
number = int(sys.argv[1])
if number not in (signal.SIGKILL, 32, 33):
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
os.kill(os.getpid(), number)
time.sleep(5)
"""


def test_every_exit_code(world: World) -> None:
    host = world.warm()
    assert [host.run(["sh", "-c", f"exit {code}"]).returncode for code in range(256)] == list(range(256))


@pytest.mark.parametrize("time_limit", [110], indirect=True)
def test_every_exit_code_on_the_command_line(world: World) -> None:
    """One shell, 256 command lines."""
    world.warm()
    begin = time.monotonic()
    command = " ".join(f"'{word}'" for word in world.cli.command("run"))
    script = f'for code in $(seq 0 255); do {command} -- sh -c "exit $code"; echo $?; done'
    done = subprocess.run(["sh", "-c", script], capture_output=True, env=world.cli.env, timeout=100)
    print(f"256 command lines in {time.monotonic() - begin:.1f} s")
    assert [int(line) for line in done.stdout.split()] == list(range(256))
    assert done.stderr == b""


def test_every_signal_that_kills(world: World) -> None:
    """The control: the same command under ``subprocess``, which reads it off ``waitpid``."""
    host = world.warm()
    for number in DEADLY:
        command = [*PROGRAM, DIE_OF, str(number)]
        control = subprocess.run(command, preexec_fn=_no_core).returncode
        done = host.run(command, rlimits={"core": (0, 0)})
        assert (number, done.returncode, done.receipt.cause) == (number, control, Cause.SIGNALED)
        assert done.receipt.exit == holdfast.ExitStatus(signal=number)
        assert done.receipt.ended_by == "itself"


def _no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def test_signals_on_the_command_line(world: World) -> None:
    world.warm()
    for number in (1, 9, 15, 34, 64):
        done = world.cli("run", "--rlimit", "core=0", "--", *PROGRAM, DIE_OF, str(number))
        assert done.returncode == 128 + number
        assert b"was ended by signal" in done.stderr


def test_a_death_by_signal_is_not_an_exit_code_above_128(world: World) -> None:
    host = world.warm()
    code, died = host.run(["sh", "-c", "exit 137"]).receipt, host.run(["sh", "-c", "kill -9 $$"]).receipt
    assert (code.exit, code.cause) == (holdfast.ExitStatus(code=137), Cause.EXITED)
    assert (died.exit, died.cause) == (holdfast.ExitStatus(signal=9), Cause.SIGNALED)


@pytest.mark.parametrize("limit", [0, resource.RLIM_INFINITY])
def test_the_core_flag(world: World, limit: int) -> None:
    """As the kernel has it: a control process with the same limit in the same directory."""
    pid = os.fork()
    if not pid:
        os.chdir(world.tmp_path)
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGABRT)
    control = os.WCOREDUMP(os.waitpid(pid, 0)[1])
    done = world.warm().run(
        [*PROGRAM, DIE_OF, str(int(signal.SIGABRT))], cwd=str(world.tmp_path), rlimits={"core": (limit, limit)}
    )
    assert done.receipt.exit == holdfast.ExitStatus(signal=signal.SIGABRT, core=control)


def test_stopped_and_continued_is_neither_ended_nor_changed(world: World) -> None:
    host = world.warm()
    job = host.start(["sh", "-c", "kill -STOP $$; exit 3"])
    pid = eventually(lambda: job.refresh().pid or 0, "the start")
    eventually(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "T", "the stop")
    assert job.is_alive()
    job.signal(signal.SIGCONT)
    assert job.wait(20) == 3


# What cannot be executed.


def test_what_cannot_be_executed(world: World) -> None:
    host, place = world.warm(), world.tmp_path
    (place / "text").write_text("no program")
    (place / "text").chmod(0o755)
    (place / "closed").write_text("#!/bin/sh\n")
    (place / "closed").chmod(0o644)
    (place / "orphan").write_text("#!/no/such/interpreter\n")
    (place / "orphan").chmod(0o755)
    cases = [
        ("/no/such/program", None, errno.ENOENT, "executable", 127),
        ("no-such-program-in-the-path", None, errno.ENOENT, "executable", 127),
        (str(place / "orphan"), None, errno.ENOENT, "executable", 127),
        (str(place / "closed"), None, errno.EACCES, "executable", 126),
        (str(place), None, errno.EACCES, "executable", 126),
        (str(place / "text"), None, errno.ENOEXEC, "executable", 126),
        (str(place / "text" / "below"), None, errno.ENOTDIR, "executable", 126),
        ("true", "/no/such/directory", errno.ENOENT, "directory", 125),
        ("true", str(place / "text"), errno.ENOTDIR, "directory", 125),
    ]
    for program, cwd, number, stage, code in cases:
        with pytest.raises(holdfast.SpawnFailed) as failed:
            host.run([program], cwd=cwd)
        assert (failed.value.errno, failed.value.stage, failed.value.ran) == (number, stage, "no"), program
        flags = ["-w", cwd] if cwd else []
        done = world.cli("run", *flags, "--", program)
        assert (done.returncode, done.stdout) == (code, b""), (program, done.stderr)
        assert b"did not run" in done.stderr


def test_arguments_beyond_what_the_kernel_takes(world: World) -> None:
    """One argument of 200 KB passes our limits and not the kernel's (MAX_ARG_STRLEN, 128 KiB)."""
    with pytest.raises(holdfast.SpawnFailed) as failed:
        world.warm().run(["true", "x" * 200_000])
    assert (failed.value.errno, failed.value.ran) == (errno.E2BIG, "no")


# Who ended it.

STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.05; done"
TREE = "trap '' TERM; (trap '' TERM; setsid sh -c \"trap '' TERM; sleep 50; sleep 50\") & echo up; sleep 50; sleep 50"


@pytest.mark.parametrize("script", [STUBBORN, TREE])
def test_a_time_limit_ends_the_whole_tree(world: World, script: str) -> None:
    host = world.warm()
    begin = time.monotonic()
    with pytest.raises(holdfast.TimeoutExpired) as over:
        host.run(["sh", "-c", script], timeout=0.3, grace=0.3)
    assert 0.6 <= time.monotonic() - begin < 5
    receipt = over.value.receipt
    assert isinstance(receipt, holdfast.Receipt)
    assert (receipt.cause, receipt.ended_by, receipt.tree) == (Cause.TIMEOUT, "time-limit", "gone")
    assert receipt.exit == holdfast.ExitStatus(signal=signal.SIGKILL)
    assert over.value.output == b"up\n"
    assert world.strays() == []


def test_a_command_may_use_its_grace(world: World) -> None:
    host = world.warm()
    with pytest.raises(holdfast.TimeoutExpired) as over:
        host.run(["sh", "-c", "trap 'echo tidied; exit 9' TERM; echo up; while :; do sleep 0.02; done"], timeout=0.3)
    receipt = over.value.receipt
    assert isinstance(receipt, holdfast.Receipt)
    assert receipt.exit == holdfast.ExitStatus(code=9)
    assert over.value.output == b"up\ntidied\n"
    done = world.cli("run", "--timeout", "200ms", "--", "sleep", "60")
    assert done.returncode == 124


@pytest.mark.parametrize(
    ("verb", "signum", "cause"),
    [
        (["stop"], signal.SIGTERM, Cause.STOPPED),
        (["kill", "-s", "KILL"], signal.SIGKILL, Cause.SIGNALED),
        (["kill", "-s", "USR1"], signal.SIGUSR1, Cause.SIGNALED),
    ],
)
def test_ended_by_a_person(world: World, verb: list[str], signum: int, cause: Cause) -> None:
    host = world.warm()
    job = host.start(["sleep", "60"])
    assert world.cli(*verb, job.id).returncode == 0
    assert job.wait(20) == -signum
    assert job.receipt is not None
    assert (job.receipt.cause, job.receipt.ended_by) == (cause, "person:root")
    assert world.cli("wait", job.id).returncode == 128 + signum


@pytest.mark.parametrize(
    ("policy", "ends"), [("keep", False), ("kill", True), ("kill-after=300ms", True), ("kill-after=60s", False)]
)
def test_a_client_that_is_killed(world: World, policy: str, ends: bool) -> None:
    host = world.warm()
    with world.cli.popen("run", "--on-disconnect", policy, "--", "sh", "-c", "echo up; sleep 50") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        (info,) = host.jobs()
        client.kill()
    job = host.job(info.job)
    if ends:
        receipt = job.wait_receipt(10)
        assert (receipt.cause, receipt.ended_by) == (Cause.CLIENT_LOST, "lost-client")
    else:
        time.sleep(0.8)
        assert job.is_alive()
        job.kill()
        job.wait(20)


def test_a_lease_is_watched_across_a_killed_agent(world: World) -> None:
    host = world.warm()
    with world.cli.popen("run", "--on-disconnect", "kill-after=1s", "--", "sh", "-c", "echo up; sleep 50") as client:
        assert client.stdout is not None
        client.stdout.readline()
        (info,) = host.jobs()
        client.kill()
        world.kill(world.agent_pid())
    world.serving_again(5.0)
    receipt = host.job(info.job).wait_receipt(15)
    assert receipt.cause is Cause.CLIENT_LOST
