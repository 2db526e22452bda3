"""One job after another on a real shim: exact output, true status, stdin, and how a start can fail."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.keeper import messages
from holdfast.store import control
from tests.e2e.keeper_harness import ENV, PYTHON, KeeperHarness, ShimClient, alive, running_keeper, wait_until


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[KeeperHarness]:
    with running_keeper(tmp_path) as keeper:
        yield keeper


@pytest.fixture
def shim(keeper: KeeperHarness) -> ShimClient:
    return keeper.shim()


def test_true_leaves_nothing_behind(shim: ShimClient) -> None:
    record = shim.run("/bin/true")
    assert (record.wait_status, record.cause, record.tree) == (0, control.EXITED, control.TREE_GONE)
    assert record.supervisor == control.BY_SHIM
    assert 0 < record.started_wall_ns <= record.ended_wall_ns
    assert isinstance(shim.slots().exit, control.Exit)
    shim.release()
    assert shim.run("true", job="next").job == "next"
    shim.release()
    wait_until(lambda: shim.slots() == control.Slots(), "empty slots")
    assert sorted(os.listdir(shim.directory)) == ["ctl", "err", "out", "sock"]


@pytest.mark.parametrize("first", ["exit 3", "echo output; exit 3"])
def test_a_release_that_comes_with_the_next_run(shim: ShimClient, first: str) -> None:
    """The next job's slots and spools hold nothing of the one before."""
    shim.run("sh", "-c", first)
    assert shim.socket is not None
    release = messages.frame(messages.Release("job", 1))
    run = messages.frame(messages.Run("next", 1, (b"sleep", b"60"), ENV))
    shim.socket.sendall(release + run)
    assert shim.hear(messages.Started).job == "next"
    slots = shim.slots()
    assert isinstance(slots.claim, control.Claim)
    assert isinstance(slots.started, control.Started)
    assert (slots.claim.job, slots.started.job, slots.main, slots.exit) == ("next", "next", None, None)
    assert shim.out == b""
    shim.say(messages.Stop(control.STOPPED, "", 0))
    assert shim.exit().job == "next"


def test_a_release_alone_empties_the_slots(shim: ShimClient) -> None:
    for command in ("exit 3", "echo output"):
        shim.finish("sh", "-c", command)
        wait_until(lambda: shim.slots() == control.Slots(), "empty slots")


def test_every_exit_code(shim: ShimClient) -> None:
    for code in range(256):
        record = shim.finish("sh", "-c", f"exit {code}")
        assert (record.wait_status, record.cause) == (code << 8, control.EXITED)


def test_every_killing_signal(shim: ShimClient) -> None:
    harmless = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGSTOP, signal.SIGTSTP,
                signal.SIGTTIN, signal.SIGTTOU}  # fmt: skip
    for signum in sorted(signal.valid_signals() - harmless):
        record = shim.finish("sh", "-c", f"ulimit -c 0; kill -{signum} $$")
        assert record.wait_status is not None
        assert (record.wait_status & 0x7F, record.cause) == (signum, control.SIGNALED), signum


def test_stderr_first_and_much(shim: ShimClient) -> None:
    record = shim.run("sh", "-c", "head -c 8388608 /dev/zero >&2; echo done")
    assert (record.err_bytes, record.out_bytes) == (8 << 20, 5)
    assert shim.err == bytes(8 << 20)
    assert shim.out == b"done\n"
    shim.release()
    wait_until(lambda: shim.err == b"", "an empty spool")


def test_large_output_is_identical(shim: ShimClient) -> None:
    program = "import sys,random;r=random.Random(1);[sys.stdout.buffer.write(r.randbytes(1<<20)) for _ in range(64)]"
    record = shim.run(PYTHON, "-ISc", program)
    import random

    generator = random.Random(1)
    expected = hashlib.sha256()
    for _ in range(64):
        expected.update(generator.randbytes(1 << 20))
    assert record.out_bytes == 64 << 20
    assert hashlib.sha256(shim.out).digest() == expected.digest()


def test_single_byte_writes(shim: ShimClient) -> None:
    program = "import os\nfor i in range(20000): os.write(1+i%2, bytes([i%251]))"
    record = shim.run(PYTHON, "-ISc", program)
    assert (record.out_bytes, record.err_bytes) == (10_000, 10_000)
    assert shim.out == bytes(i % 251 for i in range(0, 20_000, 2))
    assert shim.err == bytes(i % 251 for i in range(1, 20_000, 2))


def test_closed_output_is_not_the_end(shim: ShimClient) -> None:
    shim.start("sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 9")
    assert shim.exit().wait_status == 9 << 8


def test_command_gets_three_descriptors_and_nothing_of_ours(keeper: KeeperHarness, shim: ShimClient) -> None:
    other = keeper.shim()
    other.start("sleep", "30", job="other")
    program = "import os,signal;print(sorted(map(int,os.listdir('/proc/self/fd')))[:-1]);print(os.read(0,9))"
    program += ";print([s for s in signal.valid_signals() if signal.getsignal(s) == signal.SIG_IGN])"
    program += (
        ";print(signal.pthread_sigmask(0,())); print(os.getcwd(), oct(os.umask(0)), os.environ['A'], len(os.environ))"
    )
    program += ";print(os.getpgrp()==os.getpid(), os.getsid(0))"
    shim.run(PYTHON, "-ISc", program, env=(b"A=1=2", b"LC_CTYPE=C"), umask=0o027, cwd=b"/usr")
    lines = shim.out.decode().splitlines()
    assert lines[0] == "[0, 1, 2]"
    assert lines[1] == "b''"
    assert lines[2] == f"[{signal.SIGPIPE!r}, {signal.SIGXFSZ!r}]"  # python's own doing at its start
    assert lines[3] == "set()"
    assert lines[4] == "/usr 0o27 1=2 2"
    assert lines[5] == f"True {shim.pid}"
    other.say(messages.Stop(control.STOPPED, "test", 0))
    assert other.exit().cause == control.STOPPED


def test_signals_are_as_in_a_fresh_login(shim: ShimClient) -> None:
    shim.run("cat", "/proc/self/status")
    of_the_c_library = (1 << 31) | (1 << 32)  # 32 and 33: posix_spawn itself ignores them in the child
    masks = {
        line.split(":")[0]: int(line.split()[1], 16)
        for line in shim.out.decode().splitlines()
        if line.startswith(("SigB", "SigC", "SigI"))
    }
    assert {masks["SigBlk"], masks["SigCgt"], masks["SigIgn"] & ~of_the_c_library} == {0}


def test_long_argument_and_exotic_bytes(shim: ShimClient) -> None:
    long = b"x" * 100_000
    odd = bytes(range(1, 256))
    record = shim.run("sh", "-c", b'printf %s "$1" | wc -c; printf %s "$2"; printf %s "$ODD" >&2', "sh", long, odd,
                      env=(*ENV, b"ODD=" + odd))  # fmt: skip
    assert record.wait_status == 0
    assert shim.out == b"100000\n" + odd
    assert shim.err == odd


def test_two_mebibytes_of_arguments(shim: ShimClient) -> None:
    record = shim.run("/bin/true", *(b"a" * 1000 for _ in range(1500)))
    assert record.wait_status == 0


@pytest.mark.parametrize(
    ("argv", "cwd", "number", "stage"),
    [
        (["no-such-command"], b"", errno.ENOENT, control.AT_EXECUTABLE),
        (["/no/such/command"], b"", errno.ENOENT, control.AT_EXECUTABLE),
        (["/etc/passwd"], b"", errno.EACCES, control.AT_EXECUTABLE),
        (["/tmp"], b"", errno.EACCES, control.AT_EXECUTABLE),
        (["true"], b"/no/such/dir", errno.ENOENT, control.AT_DIRECTORY),
        (["true"], b"/etc/passwd", errno.ENOTDIR, control.AT_DIRECTORY),
        ([""], b"", errno.ENOENT, control.AT_EXECUTABLE),
        (["true", b"x" * 200_000], b"", errno.E2BIG, control.AT_SPAWN),
    ],
)
@pytest.mark.parametrize("rlimits", [(), ((4, 0, 0),)], ids=["spawn", "fork"])
def test_start_failures(
    shim: ShimClient, argv: list[str | bytes], cwd: bytes, number: int, stage: int, rlimits: tuple[object, ...]
) -> None:
    record = shim.run(*argv, cwd=cwd, rlimits=rlimits)
    if number == errno.E2BIG and rlimits:
        stage = control.AT_EXECUTABLE
    assert (record.cause, record.wait_status) == (control.START_FAILED, None)
    assert (os.strerror(record.errno), record.stage) == (os.strerror(number), stage)
    assert shim.slots().started is None
    shim.release()
    assert shim.finish("true").wait_status == 0


def test_file_without_a_format_is_no_shell_script(shim: ShimClient, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo never\n")
    script.chmod(0o755)
    record = shim.finish(str(script))
    assert (record.errno, record.stage) == (errno.ENOEXEC, control.AT_EXECUTABLE)
    record = shim.finish(str(script), rlimits=((4, 0, 0),))
    assert (record.errno, record.stage) == (errno.ENOEXEC, control.AT_EXECUTABLE)


def test_path_is_the_jobs_own(shim: ShimClient, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for directory, mode in ((good, 0o755), (bad, 0o644)):
        directory.mkdir()
        (directory / "tool").write_text("#!/bin/sh\necho $0\n")
        (directory / "tool").chmod(mode)
    for rlimits in ((), ((4, 0, 0),)):
        record = shim.run("tool", env=(f"PATH=/nowhere::{bad}:{good}".encode(),), rlimits=rlimits)
        assert (record.wait_status, shim.out) == (0, f"{good}/tool\n".encode())
        shim.release()
        assert shim.finish("tool", env=(f"PATH={bad}:/nowhere".encode(),), rlimits=rlimits).errno == errno.EACCES
        assert shim.finish("tool", env=(b"PATH=:",), cwd=bytes(good), rlimits=rlimits).errno == errno.ENOENT
        assert shim.finish("true", env=(), rlimits=rlimits).wait_status == 0


def test_limits_user_and_groups(shim: ShimClient) -> None:
    limits = ((7, 33, 44), (4, 0, 0))
    program = "import os,resource;print(resource.getrlimit(7), os.getresuid(), os.getresgid(), os.getgroups())"
    program += ";print(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])"
    program += ";print(sorted(map(int,os.listdir('/proc/self/fd')))[:-1])"
    record = shim.run("/usr/bin/python3", "-ISc", program, user=(65534, 65533, (65532,)), rlimits=limits)
    assert record.wait_status == 0, shim.err
    assert shim.out.decode() == ("(33, 44) (65534, 65534, 65534) (65533, 65533, 65533) [65532]\n1\n[0, 1, 2]\n")
    shim.release()
    record = shim.finish("true", cwd=b"/root", user=(65534, 65534, ()))
    assert (record.errno, record.stage) == (errno.EACCES, control.AT_DIRECTORY)


def test_a_refused_limit_names_its_stage(shim: ShimClient) -> None:
    record = shim.finish("true", rlimits=((7, 50, 40),))
    assert (record.errno, record.stage) == (errno.EPERM, control.AT_LIMITS)


def test_stdin_with_a_true_end(shim: ShimClient) -> None:
    shim.start("cat", flags=control.STDIN)
    shim.hear(messages.Started)
    shim.write_stdin(b"one ", 4, ended=False)
    wait_until(lambda: shim.out == b"one ", "the first bytes")
    shim.write_stdin(b"two", 7, ended=False)
    wait_until(lambda: shim.out == b"one two", "the next bytes")
    shim.say(messages.Stdin(7, True))
    record = shim.exit()
    assert (record.wait_status, record.stdin_bytes, record.out_bytes) == (0, 7, 7)
    shim.release()
    wait_until(lambda: not (shim.directory / "in").exists(), "no stdin spool")
    assert shim.finish("cat").out_bytes == 0


def test_ten_mebibytes_through_cat(shim: ShimClient) -> None:
    data = os.urandom(10 << 20)
    (shim.directory / "in").write_bytes(data)
    shim.start("cat", flags=control.STDIN)
    shim.say(messages.Stdin(len(data), True))
    record = shim.exit()
    assert (record.wait_status, record.stdin_bytes) == (0, len(data))
    assert shim.out == data


def test_empty_stdin_ends_at_once(shim: ShimClient) -> None:
    shim.start("cat", flags=control.STDIN)
    shim.say(messages.Stdin(0, True))
    assert shim.exit().wait_status == 0


def test_command_that_does_not_read_its_stdin(shim: ShimClient) -> None:
    (shim.directory / "in").write_bytes(bytes(1 << 20))
    shim.start("sh", "-c", "exec <&-; sleep 0.1; echo over", flags=control.STDIN)
    shim.say(messages.Stdin(1 << 20, False))
    record = shim.exit()
    assert (record.wait_status, record.out_bytes) == (0, 5)
    assert record.stdin_bytes < 1 << 20


def test_watch_tells_once(shim: ShimClient) -> None:
    shim.start("sh", "-c", "echo 1; sleep 0.1; echo 2; sleep 30")
    shim.say(messages.Watch(0, messages.NO_LIMIT))
    assert shim.hear(messages.Grew).out_bytes == 2
    shim.say(messages.Watch(3, messages.NO_LIMIT))
    assert shim.hear(messages.Grew).out_bytes == 4
    shim.say(messages.Watch(1, messages.NO_LIMIT))
    assert shim.hear(messages.Grew).out_bytes == 4
    shim.say(messages.Stop(control.STOPPED, "x", 0))
    shim.exit()


def test_limit_holds_the_output_back(shim: ShimClient) -> None:
    shim.start("sh", "-c", "head -c 4000000 /dev/zero; echo end >&2", rule=control.BLOCK, limit_bytes=1000)
    wait_until(lambda: len(shim.out) == 1000, "output up to the limit")
    shim.say(messages.Limit(1, 500_000))
    wait_until(lambda: len(shim.out) == 500_000, "output up to the next limit")
    assert shim.err == b""
    shim.say(messages.Limit(1))
    assert shim.exit().out_bytes == 4_000_000


def test_an_end_waits_for_no_reader(shim: ShimClient) -> None:
    record = shim.run("head", "-c", "30000", "/dev/zero", rule=control.BLOCK, limit_bytes=1000)
    assert record.out_bytes == 30_000


def test_pause_and_resume(shim: ShimClient) -> None:
    shim.start("sh", "-c", "read x; echo hello", flags=control.STDIN)
    shim.hear(messages.Started)
    shim.say(messages.Pause())
    shim.write_stdin(b"\n", 1, ended=True)
    pid = shim.started()
    wait_until(lambda: not alive(pid), "the command's end")
    assert shim.out == b""
    shim.say(messages.Resume())
    assert shim.exit().out_bytes == 6


def test_keep_tail_gives_space_back(shim: ShimClient) -> None:
    record = shim.run("sh", "-c", "head -c 20000000 /dev/zero; echo end", rule=control.KEEP_TAIL, limit_bytes=1 << 20)
    assert record.out_bytes == 20_000_004
    assert 20_000_004 - (2 << 20) <= record.out_first <= 20_000_004 - (1 << 20)
    assert shim.out.endswith(b"end\n")
    assert os.stat(shim.directory / "out").st_blocks * 512 < 3 << 20


def test_kill_rule_ends_the_job(shim: ShimClient) -> None:
    record = shim.run("sh", "-c", "trap 'exit 3' TERM; while :; do echo x; done", rule=control.KILL_RULE,
                      limit_bytes=100_000, grace_ms=2_000)  # fmt: skip
    assert (record.cause, record.out_bytes) == (control.OUTPUT_LIMIT, 100_000)
    shim.release()
    record = shim.run("head", "-c", "100000", "/dev/zero", rule=control.KILL_RULE, limit_bytes=100_000)
    assert (record.cause, record.out_bytes) == (control.EXITED, 100_000)


def test_drop_below(shim: ShimClient) -> None:
    shim.start("sh", "-c", "head -c 1000000 /dev/zero; sleep 30")
    wait_until(lambda: len(shim.out) == 1_000_000, "the output")
    shim.say(messages.DropBelow(1, 500_000))
    shim.say(messages.Stop(control.STOPPED, "x", 0))
    record = shim.exit()
    assert (record.out_first, record.out_bytes) == (500_000 // 65536 * 65536, 1_000_000)


def test_taken_files_are_made_anew(shim: ShimClient) -> None:
    shim.run("sh", "-c", "echo first")
    os.rename(shim.directory / "out", shim.directory.parent.parent / "kept")
    shim.release(messages.TAKEN_OUT)
    assert shim.run("sh", "-c", "echo second").out_bytes == 7
    assert shim.out == b"second\n"
    assert (shim.directory.parent.parent / "kept").read_bytes() == b"first\n"


def test_a_newer_connection_replaces_the_older(shim: ShimClient) -> None:
    older, shim.socket = shim.socket, None
    assert older is not None
    state = shim.connect()
    assert (state.stage, state.shim_pid) == (messages.IDLE, shim.pid)
    assert older.recv(1) == b""
    older.close()
    shim.start("sh", "-c", "echo x; sleep 0.1")
    shim.hear(messages.Started)
    state = shim.connect()
    assert (state.stage, state.job) == (messages.RUNNING, "job")
    assert shim.exit().wait_status == 0
    state = shim.connect()
    assert (state.stage, state.out_bytes) == (messages.DONE, 2)
    assert shim.exit().wait_status == 0


def test_runs_on_without_an_agent(shim: ShimClient) -> None:
    shim.start("sh", "-c", "sleep 0.1; echo x; exit 4")
    shim.hear(messages.Started)
    shim.close()
    wait_until(lambda: shim.slots().exit is not None, "EXIT")
    shim.connect()
    assert shim.exit().wait_status == 4 << 8


def test_what_makes_no_sense_is_rejected(shim: ShimClient) -> None:
    shim.start("sleep", "30")
    shim.start("true", job="second")
    assert shim.hear(messages.Rejected).type == 1
    shim.say(messages.Release("job", 1))
    shim.say(messages.Stop(control.STOPPED, "me", 0))
    record = shim.exit()
    assert (record.job, record.by) == ("job", "me")


def test_broken_framing_ends_the_connection_only(shim: ShimClient) -> None:
    shim.start("sleep", "30")
    shim.hear(messages.Started)
    assert shim.socket is not None
    shim.socket.sendall(b"\xff" * 100)
    with pytest.raises((EOFError, ConnectionResetError)):
        shim.hear(messages.Exited)
    assert shim.connect().stage == messages.RUNNING
    shim.say(messages.Stop(control.STOPPED, "me", 0))
    shim.exit()


def test_shims_have_nothing_of_each_other(keeper: KeeperHarness, shim: ShimClient) -> None:
    counts = {len(os.listdir(f"/proc/{one.pid}/fd")) for one in (shim, keeper.shim(), keeper.shim())}
    assert len(counts) == 1


def test_power_flag(shim: ShimClient) -> None:
    assert shim.finish("true", flags=control.POWER).wait_status == 0


def test_modes_and_lock(shim: ShimClient) -> None:
    assert shim.directory.stat().st_mode & 0o777 == 0o700
    for name in ("ctl", "out", "err", "sock"):
        assert (shim.directory / name).stat().st_mode & 0o077 == 0, name
    with (shim.directory / "ctl").open("rb") as file:
        assert control.lock_holder(file.fileno()) == shim.pid


def test_time_of_a_trivial_job(shim: ShimClient) -> None:
    """A bound that a slow machine keeps, too; the measured figures are in the bench."""
    best = 1.0
    for _ in range(30):
        begun = time.perf_counter()
        shim.finish("/bin/true")
        best = min(best, time.perf_counter() - begun)
    assert best < 0.02
