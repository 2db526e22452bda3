"""Output is delivered whole, in order and exactly, whatever the command does with its channels."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

import holdfast
from holdfast.types import Cause
from tests.e2e.harness import procfs
from tests.e2e.harness.work import PROGRAM, Work, starts
from tests.e2e.harness.world import World, eventually

MIB = 1 << 20


def noise(seed: int, size: int) -> str:
    """A program's line that makes ``data`` of so many known bytes; ``random.Random(seed).randbytes(size)`` here."""
    return f"import os, sys, time, random\ndata = random.Random({seed}).randbytes({size})\n"


WRITE_ALL = "def put(fd, data):\n while data: data = data[os.write(fd, data):]\n"


def test_generated_writers(world: World) -> None:
    host = world.warm()
    base = world.random.randrange(1 << 30)
    for n in range(24):
        work = Work.drawn(base + n, world.starts, pieces=30, most=(1, 300, 65536, 700_000)[n % 4])
        done = host.run(work.argv)
        assert (done.stdout, done.stderr) == work.expected
        assert done.returncode == work.code
    assert starts(world.starts) == {str(base + n): 1 for n in range(24)}


def test_stderr_is_full_before_stdout_is_touched(world: World) -> None:
    script = noise(1, 8 * MIB) + WRITE_ALL + "put(2, data)\nput(1, b'done')"
    done = world.cli("run", "--", *PROGRAM, script)
    assert (done.returncode, done.stdout) == (0, b"done")
    assert done.stderr == random.Random(1).randbytes(8 * MIB)
    again = world.warm().run([*PROGRAM, script])
    assert (again.returncode, again.stdout, again.stderr) == (0, b"done", done.stderr)


READER = """
import hashlib, json, sys
import holdfast
sha, total = hashlib.sha256(), 0
with holdfast.connect(state_dir=sys.argv[1]) as host:
    job = host.start(sys.argv[2:])
    for channel, chunk in job.output():
        assert channel == 1
        sha.update(chunk)
        total += len(chunk)
    code = job.wait()
    verified = job.verify()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([code, total, sha.hexdigest(), int(status["VmHWM"].split()[0]), verified.receipt.stdout.sha256]))
"""


@pytest.mark.parametrize("time_limit", [110], indirect=True)
def test_a_gibibyte_in_bounded_memory(world: World) -> None:
    block = random.Random(3).randbytes(MIB)
    script = (
        noise(3, MIB)
        + WRITE_ALL
        + "for n in range(1024): os.write(1, n.to_bytes(8, 'big')); put(1, memoryview(data)[8:])"
    )
    expected = hashlib.sha256()
    for n in range(1024):
        expected.update(n.to_bytes(8, "big"))
        expected.update(memoryview(block)[8:])
    world.warm()
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", READER, world.agent.state_dir, *PROGRAM, script],
        capture_output=True,
        timeout=100,
        check=True,
    )
    code, total, sha, client_kib, receipt_sha = json.loads(done.stdout)
    agent_kib = procfs.status_field(world.agent_pid(), "VmHWM")
    print(f"1 GiB in {time.monotonic() - begin:.1f} s, client {client_kib} KiB, agent {agent_kib} KiB at the most")
    assert (code, total) == (0, 1024 * MIB)
    assert sha == receipt_sha == expected.hexdigest()
    assert client_kib <= 64 * 1024
    assert agent_kib <= 64 * 1024


def test_single_bytes_of_both_channels(world: World) -> None:
    script = noise(4, 20_000) + "for n in range(20000): os.write(1 + n % 2, data[n:n + 1])"
    data = random.Random(4).randbytes(20_000)
    host = world.warm()
    job = host.start([*PROGRAM, script])
    got = {1: b"", 2: b""}
    for channel, chunk in job.output():
        got[channel] += chunk
    assert (job.wait(), got[1], got[2]) == (0, data[0::2], data[1::2])


def test_bytes_that_are_no_text(world: World) -> None:
    data = b"\xff\xfe\x80\xc3(\xed\xa0\x80\0\r\n\x1b[31m"
    argument = b"import sys; sys.stdout.buffer.write(" + repr(data).encode() + b")"
    host = world.warm()
    assert host.run([*PROGRAM, argument]).stdout == data
    with pytest.raises(UnicodeDecodeError):
        host.run([*PROGRAM, argument], text=True)
    assert host.run([*PROGRAM, argument], text=True, errors="replace").stdout.startswith("\ufffd")
    job = host.start([*PROGRAM, argument], detach=True)
    job.wait(20)
    assert world.cli("logs", job.id).stdout == data


def test_a_channel_closed_early(world: World) -> None:
    script = "import os, time\nos.write(1, b'first')\nos.close(1)\ntime.sleep(.2)\nos.write(2, b'last')\nos._exit(3)"
    host = world.warm()
    done = host.run([*PROGRAM, script])
    assert (done.returncode, done.stdout, done.stderr) == (3, b"first", b"last")
    both = "import os, time\nos.close(1)\nos.close(2)\ntime.sleep(.3)\nos._exit(4)"
    begin = time.monotonic()
    assert host.run([*PROGRAM, both]).returncode == 4
    assert time.monotonic() - begin < 1.5


def test_standard_output_opened_again(world: World) -> None:
    host = world.warm()
    done = host.run(["bash", "-c", "echo one; echo two > /dev/stdout; echo three >> /proc/self/fd/1; echo four >&2"])
    assert (done.stdout, done.stderr) == (b"one\ntwo\nthree\n", b"four\n")


def test_a_background_child_may_finish_its_output(world: World) -> None:
    host = world.warm()
    done = host.run(["sh", "-c", "(sleep 0.5; echo late; echo worse >&2) & echo main; exit 5"])
    assert (done.returncode, done.stdout, done.stderr) == (5, b"main\nlate\n", b"worse\n")


@pytest.mark.parametrize(
    "child",
    [
        "sleep 60 &",
        "setsid sleep 60 & setsid -f sleep 60",
        "(setsid sh -c 'sh -c \"sleep 60; :\" & sleep 60') & (trap '' TERM; sleep 60; sleep 60) &",
    ],
)
def test_children_that_hold_the_pipe_do_not_hold_the_job(world: World, child: str) -> None:
    host = world.warm()
    begin = time.monotonic()
    done = host.run(["sh", "-c", f"{child}\necho main; sleep 0.1; exit 6"])
    assert (done.returncode, done.stdout) == (6, b"main\n")
    assert done.receipt.tree == "gone"
    assert 1.9 < time.monotonic() - begin < 7
    assert world.strays() == []


def test_what_is_left_on_purpose_is_named_and_ended(world: World) -> None:
    world.warm()
    done = world.cli("run", "--leave", "--", "sh", "-c", "sleep 71 & echo main")
    assert (done.returncode, done.stdout) == (0, b"main\n")
    (stray,) = world.strays()
    shown = world.cli("leftovers")
    assert str(stray) in shown.stdout.decode()
    assert world.cli("leftovers", "--end").returncode == 0
    eventually(lambda: not world.strays(), "the end of the process that was left")


def test_arguments_environment_and_directory_are_exact(world: World) -> None:
    place = world.tmp_path / "目录 with 'quotes'\nand a newline"
    place.mkdir()
    words = ["a b", "'\"`$(false)", "line\nbreak\t", "汉字 包子", "", "*", "--", "\\", "x" * 100_000, "\x01\x7f"]
    script = "import os, sys\nfor item in sys.argv[1:] + [os.getcwd()]: os.write(1, os.fsencode(item) + b'\\0')"
    env = {"GIVEN": "a=b 'c'\n目", "EMPTY": "", "HOME": "/elsewhere"}
    host = world.warm()
    done = host.run([*PROGRAM, script, *words], cwd=str(place), env=env)
    assert done.stdout == b"".join(os.fsencode(item) + b"\0" for item in [*words, str(place)])
    by_cli = world.cli("run", "--", *PROGRAM, script, *words, cwd=place)
    assert by_cli.stdout == done.stdout
    shown = host.run(["env", "-0"], cwd="/", env=env).stdout
    got = dict(item.split("=", 1) for item in shown.decode().rstrip("\0").split("\0"))
    ours = {name: got.pop(name) for name in list(got) if name.startswith("HOLDFAST_")}
    assert set(ours) == {"HOLDFAST_JOB_ID", "HOLDFAST_AGENT", "HOLDFAST_HOST", "HOLDFAST_ATTEMPT"}
    expected = {"USER": "root", "LOGNAME": "root", "SHELL": got["SHELL"], "PATH": os.environ["PATH"], **env}
    assert got == {"LANG": os.environ.get("LANG", "C.UTF-8"), **expected}


def test_ten_mebibytes_of_standard_input(world: World) -> None:
    data = random.Random(6).randbytes(10 * MIB)
    command = ["sh", "-c", "cat; echo end of file"]
    done = world.warm().run(command, input=data)
    assert done.stdout == data + b"end of file\n"
    assert done.receipt.stdin_bytes == len(data)
    by_cli = world.cli("run", "-i", "--", *command, input=data)
    assert hashlib.sha256(by_cli.stdout).digest() == hashlib.sha256(done.stdout).digest()


# Retention.


def test_only_the_tail_is_kept_and_the_gap_is_told(world: World) -> None:
    data = random.Random(7).randbytes(8 * MIB)
    script = noise(7, 8 * MIB) + WRITE_ALL + "put(1, data)"
    host = world.warm()
    job = host.start([*PROGRAM, script], detach=True, retention=holdfast.Retention("keep-tail", MIB))
    assert job.wait(60) == 0
    assert job.receipt is not None
    record = job.receipt.stdout
    assert record.bytes == len(data)
    assert MIB <= record.bytes - record.first < 2 * MIB
    again = host.job(job.id)
    assert b"".join(chunk for _, chunk in again.output()) == data[record.first :]
    assert again.delivered[1] == len(data)
    with pytest.raises(holdfast.OffsetGone) as gone:
        again.read(1, 0)
    assert gone.value.first == record.first
    shown = world.cli("logs", job.id)
    assert shown.stdout == data[record.first :]
    assert str(record.first) in shown.stderr.decode()
    assert again.verify().mismatches == ()


def test_a_reader_of_a_running_tail_gets_every_byte_or_a_gap(world: World) -> None:
    script = (
        noise(8, 6 * MIB) + WRITE_ALL + "for n in range(0, len(data), 65536): put(1, data[n:n+65536]); time.sleep(.003)"
    )
    data = random.Random(8).randbytes(6 * MIB)
    host = world.warm()
    job = host.start([*PROGRAM, script], retention=holdfast.Retention("keep-tail", 128 * 1024))
    seen = 0
    with suppress(holdfast.OffsetGone):  # said, and not skipped in silence
        for _, chunk in job.output():
            end = job.delivered[1]
            assert data[end - len(chunk) : end] == chunk
            seen += len(chunk)
            if seen < MIB:
                time.sleep(0.02)
    assert job.wait(30) == 0
    print(f"{seen} of {len(data)} bytes were seen")


def test_too_much_output_ends_the_job(world: World) -> None:
    host = world.warm()
    done = host.run(["yes"], retention=holdfast.Retention("kill", MIB))
    assert done.receipt.cause is Cause.OUTPUT_LIMIT
    assert done.stdout == (b"y\n" * MIB)[: len(done.stdout)]
    assert len(done.stdout) >= MIB
    assert done.receipt.ended_by == "output-limit"


def test_a_spool_quota_makes_the_job_wait_for_its_reader(world: World) -> None:
    data = random.Random(9).randbytes(6 * MIB)
    script = noise(9, 6 * MIB) + WRITE_ALL + f"put(1, data)\nopen({str(world.starts)!r}, 'w').close()"
    host = world.warm()
    job = host.start([*PROGRAM, script], detach=True, retention=holdfast.Retention("block", MIB))
    eventually(lambda: job.refresh().stdout_bytes >= MIB, "the quota's worth of output")
    time.sleep(0.5)
    assert not world.starts.exists()
    assert job.refresh().stdout_bytes <= 2 * MIB
    assert b"".join(chunk for _, chunk in host.job(job.id).output()) == data
    assert job.wait(20) == 0
    assert world.starts.exists()


# Stored output.


def test_tampered_output_is_detected(world: World) -> None:
    host = world.warm()
    done = host.run(["sh", "-c", "head -c 1000000 /dev/zero; echo short >&2"])
    good = world.cli("verify", done.job_id)
    assert (good.returncode, good.stderr) == (0, b"")
    assert hashlib.sha256(bytes(1_000_000)).hexdigest() in good.stdout.decode()
    (spool,) = [path for path in world.state_dir.rglob("*") if path.is_file() and path.stat().st_size == 1_000_000]
    with spool.open("r+b") as file:
        file.seek(123_456)
        file.write(b"\1")
    bad = world.cli("verify", done.job_id)
    assert bad.returncode == 1
    assert b"MISMATCH" in bad.stdout
    assert b"stdout" in bad.stderr
    os.truncate(spool, 500_000)
    cut = world.cli("verify", done.job_id)
    assert cut.returncode == 1
    assert re.search(rb"MISMATCH", cut.stdout)
    with pytest.raises(holdfast.HoldfastError):
        list(host.job(done.job_id).output())


def test_two_readers_at_different_offsets(world: World) -> None:
    script = (
        noise(11, 3 * MIB)
        + WRITE_ALL
        + "for n in range(0, len(data), 30000): put(1, data[n:n+30000]); time.sleep(.005)"
    )
    data = random.Random(11).randbytes(3 * MIB)
    host = world.warm()
    job = host.start([*PROGRAM, script], detach=True)
    eventually(lambda: job.refresh().stdout_bytes > 300_000, "some output")
    offsets = (0, 1000, 299_999)
    got: dict[int, bytes] = {}

    def read(offset: int) -> None:
        with holdfast.connect(state_dir=world.agent.state_dir) as other:
            got[offset] = b"".join(chunk for _, chunk in other.job(job.id).output(offsets={1: offset}, channels=(1,)))

    readers = [threading.Thread(target=read, args=(offset,)) for offset in offsets]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert job.wait(20) == 0
    assert {offset: data[offset:] == part for offset, part in got.items()} == dict.fromkeys(offsets, True)


def test_those_who_look_do_not_hold_up_the_one_who_follows(world: World) -> None:
    """The job waits until its follower has each round; whoever reads in between must not take the news away."""
    rounds, size = 60, 2_000_000
    script = (
        noise(12, size)
        + WRITE_ALL
        + f"for n in range({rounds}):\n put(1, data)\n while os.path.getsize(sys.argv[1]) <= n: time.sleep(.0005)\n"
    )
    ticks = world.tmp_path / "ticks"
    ticks.touch()
    host = world.warm()
    job = host.start([*PROGRAM, script, str(ticks)])
    over = threading.Event()

    def look() -> None:
        with holdfast.connect(state_dir=world.agent.state_dir) as other:
            seen = other.job(job.id)
            while not over.is_set():
                seen.read(1, 0, 1)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    got = 0
    try:
        with ticks.open("ab", buffering=0) as file:
            for _, chunk in job.output():
                got += len(chunk)
                if got % size == 0:
                    file.write(b".")
    finally:
        over.set()
        for looker in lookers:
            looker.join()
    assert (job.wait(20), got) == (0, rounds * size)


def test_files_of_finished_jobs_go_with_them(world: World, tmp_path: Path) -> None:
    host = world.warm()
    jobs = [host.run(["head", "-c", "200000", "/dev/zero"]).job_id for _ in range(5)]
    kept = [path for path in world.state_dir.rglob("*") if path.is_file() and path.stat().st_size == 200_000]
    assert len(kept) == 5
    assert world.cli("rm", *jobs[:2]).returncode == 0
    host.prune(0)
    assert not any(path.exists() for path in kept)
    assert host.jobs(all=True) == []
