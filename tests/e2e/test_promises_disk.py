"""A full disk makes jobs wait, and no new ones are taken; when there is room again all goes on as if nothing was."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from tests.conftest import AgentUnderTest
from tests.e2e.harness.work import PROGRAM
from tests.e2e.harness.world import eventually

MIB = 1 << 20
SIZE_MIB = 700
"""Above the mark of 512 MiB below which no new jobs are taken."""
OUTPUT = 30 * MIB

WRITER = f"""
import os, random
generator = random.Random(21)
for _ in range({OUTPUT // MIB}):
    data = generator.randbytes({MIB})
    while data: data = data[os.write(1, data):]
os.write(2, b'end')
os._exit(9)
"""


def mount(path: Path) -> bool:
    path.mkdir()
    return not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", path], check=False
    ).returncode


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[AgentUnderTest]:
    """An agent whose state directory is a file system of its own."""
    if os.geteuid() or not mount(tmp_path / "disk"):
        pytest.skip("needs the right to mount")
    state_dir = tmp_path / "disk" / "state"
    state_dir.mkdir(mode=0o700)
    agent = AgentUnderTest(state_dir)
    try:
        yield agent
    finally:
        agent.stop()
        subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)


def fill(path: Path, leave: int) -> None:
    """Take all room but this many bytes; the agent may take some of it at the same moment."""
    with path.open("wb") as file:
        for tries_left in reversed(range(10)):
            space = os.statvfs(path)
            try:
                os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - leave)
                return
            except OSError as exc:
                if exc.errno != errno.ENOSPC or not tries_left:
                    raise
                file.truncate(0)


def test_a_job_waits_for_room_and_ends_as_it_should(small_disk: AgentUnderTest, time_limit: None) -> None:
    host = small_disk.connect()
    host.run(["true"])
    ballast = Path(small_disk.state_dir).parent / "ballast"
    job = host.start([*PROGRAM, "input()\n" + WRITER], stdin=True, on_disconnect="keep")
    fill(ballast, 8 * MIB)
    with job.stdin as stdin:
        stdin.write(b"go\n")
    eventually(lambda: host.job(job.id).refresh().stdout_bytes > 2 * MIB, "output up to the mark")

    def refused() -> bool:
        try:
            host.run(["true"])
        except holdfast.LimitExceeded as error:
            return error.ran == "no"
        return False

    eventually(refused, "the refusal of new jobs", 5.0)
    held = -1
    while held != (held := job.refresh().stdout_bytes):
        time.sleep(0.5)
    assert job.is_alive()
    assert held < OUTPUT
    assert job.read(1, 0, MIB) == random.Random(21).randbytes(MIB)
    ballast.unlink()
    begin = time.monotonic()
    digest = hashlib.sha256()
    for channel, chunk in host.job(job.id).output():
        if channel == 1:
            digest.update(chunk)
    assert job.wait(20) == 9
    print(f"held at {held} bytes; over {time.monotonic() - begin:.1f} s after there was room")
    expected, generator = hashlib.sha256(), random.Random(21)
    for _ in range(OUTPUT // MIB):
        expected.update(generator.randbytes(MIB))
    assert digest.hexdigest() == expected.hexdigest()
    assert job.verify().mismatches == ()
    eventually(lambda: not refused(), "new jobs being taken again", 5.0)


def test_a_disk_without_a_single_byte(small_disk: AgentUnderTest, tmp_path: Path, time_limit: None) -> None:
    """Not even a journal row can be written: what runs ends with its true status once there is room."""
    host = small_disk.connect()
    host.run(["true"])
    ballast = Path(small_disk.state_dir).parent / "ballast"
    go = tmp_path / "go"
    script = f"while [ ! -e {go} ]; do sleep 0.02; done; head -c 3000000 /dev/zero; exit 5"
    job = host.start(["sh", "-c", script], detach=True)
    fill(ballast, 0)
    go.touch()
    time.sleep(1.0)
    ballast.unlink()
    assert job.wait(30) == 5
    assert sum(len(chunk) for _, chunk in host.job(job.id).output()) == 3_000_000
