"""What the kernel tells of real processes; the oracle is ``waitpid``."""

from __future__ import annotations

import os
import platform
import select
import time

import pytest

from holdfast.agent import kernel
from holdfast.store import control

TELLS_AFTER_REAPING = tuple(map(int, platform.release().split("-")[0].split(".")[:2])) >= (6, 15)


def ended_child(code: int) -> tuple[int, int]:
    """A zombie of ours: its pid, and a pidfd that was opened while it ran."""
    go, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(go, 1)
        os._exit(code)
    pidfd = os.pidfd_open(pid)
    os.write(ready, b"x")
    os.close(ready)
    os.close(go)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(10_000)
    return pid, pidfd


@pytest.mark.parametrize("code", [0, 7, 255])
def test_the_status_is_told_before_and_after_the_reaping(code: int) -> None:
    pid, pidfd = ended_child(code)
    try:
        assert kernel.exit_status(pidfd, pid) == code << 8
        assert os.waitpid(pid, 0)[1] == code << 8
        assert kernel.exit_status(pidfd, pid) == (code << 8 if TELLS_AFTER_REAPING else None)
    finally:
        os.close(pidfd)


def test_a_living_process_has_no_status() -> None:
    pidfd = os.pidfd_open(os.getppid())
    try:
        assert kernel.exit_status(pidfd, os.getppid()) is None
    finally:
        os.close(pidfd)


def test_a_process_is_known_again_by_when_it_started() -> None:
    claim = control.Claim("job", 1, boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    go, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(go, 1)
        os._exit(0)
    started = control.Started("job", 1, pid, boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    hour_ns = 3600 * 10**9
    try:
        assert kernel.same_process(started, claim)
        assert not kernel.same_process(started, claim._replace(boot_ns=claim.boot_ns + hour_ns))
        assert not kernel.same_process(started._replace(boot_ns=claim.boot_ns - hour_ns), claim)
        assert not kernel.same_process(started, None)
    finally:
        os.write(ready, b"x")
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(go)
    assert not kernel.same_process(started, claim)
