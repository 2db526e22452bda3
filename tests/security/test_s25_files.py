"""S25: a hostile command of the same user puts links, FIFOs and devices where the agent keeps its files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import HoldfastError
from tests.conftest import AgentUnderTest

ANSWER_S = 5.0
"""An agent that followed or waited would take for ever; this is what a busy machine may need."""
BIG = 200_000
"""More than the journal keeps: the channel stays a file."""


def _fifo(path: Path, _victim: Path) -> None:
    os.mkfifo(path)


def _symlink(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _hard_link_to_fifo(path: Path, victim: Path) -> None:
    other = victim.with_name("fifo")
    os.mkfifo(other)
    os.link(other, path)


def _device(path: Path, _victim: Path) -> None:
    path.symlink_to("/dev/zero")


def _directory(path: Path, _victim: Path) -> None:
    path.mkdir()


TRICKS = [_fifo, _symlink, _hard_link_to_fifo, _device, _directory]


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__.strip("_"))
def test_s25_agent_reads_no_trick_instead_of_a_spool(
    trick: Callable[[Path, Path], None], agent: AgentUnderTest, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"private\n" * 100)
    host = agent.connect()
    done = host.run(["sh", "-c", f"head -c {BIG} /dev/zero"], max_output=2 * BIG)
    (spool,) = (Path(agent.state_dir) / "jobs").glob("*/out")
    spool.unlink()
    trick(spool, victim)

    began = time.monotonic()
    with pytest.raises(HoldfastError) as caught:
        host.job(done.receipt.job).read(1, 0)
    assert time.monotonic() - began < ANSWER_S
    assert b"private" not in str(caught.value).encode()
    assert host.run(["echo", "on"]).stdout == b"on\n", "the agent serves on"
    assert victim.read_bytes() == b"private\n" * 100


HOSTILE = """
import os, sys
shims = os.path.join(sys.argv[1], "shims")
fds = f"/proc/{os.getppid()}/fd"
held = {os.path.realpath(os.path.join(fds, fd)) for fd in os.listdir(fds)}
for shim in os.listdir(shims):
    for name in ("out", "err", "ctl"):
        path = os.path.join(shims, shim, name)
        if path not in held:
            continue  # another job's shim
        os.unlink(path)
        if name == "ctl":
            os.mkfifo(path)
        else:
            os.symlink(sys.argv[2], path)
sys.stdout.write("x" * int(sys.argv[3]))
"""
"""A command that replaces the files of its own shim, and then writes."""


def test_s25_nothing_is_written_through_links_of_a_running_job(agent: AgentUnderTest, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    host = agent.connect()
    job = host.start([sys.executable, "-c", HOSTILE, agent.state_dir, str(victim), str(BIG)])
    try:
        job.wait(timeout=20)
    except HoldfastError:
        pass  # what becomes of the hostile job itself is its own affair
    assert victim.read_bytes() == b"untouched"
    with holdfast.connect(state_dir=agent.state_dir, timeout=20) as other:
        assert other.run(["echo", "on"], timeout=ANSWER_S).stdout == b"on\n"
    assert victim.read_bytes() == b"untouched"


def test_s25_a_fifo_in_place_of_a_control_file_does_not_stop_the_next_agent(
    agent: AgentUnderTest, tmp_path: Path
) -> None:
    host = agent.connect()
    job = host.start([sys.executable, "-c", HOSTILE + "\nimport time; time.sleep(30)", agent.state_dir, "/x", "1"])
    _until_fifo(Path(agent.state_dir))
    subprocess.run(["kill", "-9", str(host.status().agent["pid"])], check=True)
    with holdfast.connect(state_dir=agent.state_dir, timeout=20) as other:
        assert other.run(["echo", "on"], timeout=20).stdout == b"on\n"
        other.job(job.id).kill()


def _until_fifo(state_dir: Path) -> None:
    deadline = time.monotonic() + 10
    while not any(path.is_fifo() for path in (state_dir / "shims").glob("*/ctl")):
        assert time.monotonic() < deadline, "the hostile job has not come that far"
        time.sleep(0.01)
