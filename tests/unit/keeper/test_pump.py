"""Pumps and feeders on real pipes and files: nothing is lost or doubled, and limits hold."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.keeper import pump
from holdfast.store import control


class Rig:
    """A pipe, a spool and a pump between them."""

    def __init__(self, path: Path) -> None:
        self.read, self.write = os.pipe()
        self.null = os.open("/dev/null", os.O_WRONLY)
        self.spool = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.path = path
        self.pump = pump.Pump(self.read, self.spool, self.null)

    def close_writer(self) -> None:
        if self.write >= 0:
            os.close(self.write)
            self.write = -1

    def close(self) -> None:
        self.close_writer()
        for fd in (self.read, self.null, self.spool):
            os.close(fd)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path / "out")
    yield rig
    rig.close()


def test_moves_what_is_there(rig: Rig) -> None:
    assert rig.pump.turn(0) == pump.EMPTY
    os.write(rig.write, b"one")
    assert rig.pump.turn(0) == pump.EMPTY
    os.write(rig.write, b"two")
    rig.close_writer()
    assert rig.pump.turn(0) == pump.ENDED
    assert (rig.path.read_bytes(), rig.pump.length, rig.pump.ended) == (b"onetwo", 6, True)


def test_goes_on_at_the_spools_length(rig: Rig) -> None:
    os.write(rig.write, b"one")
    rig.pump.turn(0)
    heir = pump.Pump(rig.read, rig.spool, rig.null)
    os.write(rig.write, b"two")
    heir.turn(0)
    assert (rig.path.read_bytes(), heir.length) == (b"onetwo", 6)


def test_a_pipe_can_have_writers_again(rig: Rig) -> None:
    os.write(rig.write, b"one")
    rig.close_writer()
    assert rig.pump.turn(0) == pump.ENDED
    rig.write = os.open(f"/proc/self/fd/{rig.read}", os.O_WRONLY)
    rig.pump.reset(control.BLOCK, 0)
    assert rig.pump.turn(0) == pump.EMPTY
    os.write(rig.write, b"two")
    rig.pump.turn(0)
    assert rig.path.read_bytes() == b"onetwo"


def test_stops_at_the_limit(rig: Rig) -> None:
    rig.pump.reset(control.BLOCK, 4)
    os.write(rig.write, b"123456")
    assert rig.pump.turn(0) == pump.HELD
    assert rig.path.read_bytes() == b"1234"
    rig.pump.limit = pump.UNLIMITED
    assert rig.pump.turn(0) == pump.EMPTY
    assert rig.path.read_bytes() == b"123456"


def test_the_kill_rule_drops_what_is_over(rig: Rig) -> None:
    rig.pump.reset(control.KILL_RULE, 4)
    os.write(rig.write, b"1234")
    rig.pump.turn(0)
    assert not rig.pump.over
    os.write(rig.write, b"56")
    assert rig.pump.turn(0) == pump.EMPTY
    assert (rig.pump.over, rig.path.read_bytes()) == (True, b"1234")


def test_keep_tail_keeps_between_once_and_twice(rig: Rig) -> None:
    keep = 2 * pump.HOLE_BYTES
    rig.pump.reset(control.KEEP_TAIL, keep)
    for n in range(64):
        os.write(rig.write, bytes([n]) * 32768)
        rig.pump.turn(0)
        kept = rig.pump.length - rig.pump.first
        assert kept <= 2 * keep
        assert kept >= min(keep, rig.pump.length)
    assert rig.pump.first % pump.HOLE_BYTES == 0
    data = rig.path.read_bytes()
    assert data[rig.pump.first :] == b"".join(bytes([n]) * 32768 for n in range(64))[rig.pump.first :]
    assert data[: rig.pump.first].count(0) == rig.pump.first


def test_drop_below_never_drops_more_than_asked(rig: Rig) -> None:
    os.write(rig.write, b"x" * 65536)
    rig.pump.turn(0)
    rig.pump.drop_below(65535)
    assert rig.pump.first == 0
    rig.pump.drop_below(1 << 40)
    assert rig.pump.first == 65536
    rig.pump.drop_below(0)
    assert rig.pump.first == 65536


def test_a_full_disk_makes_it_wait_longer_and_longer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.splice

    def full(*args: object, **kwargs: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    os.write(rig.write, b"data")
    monkeypatch.setattr(os, "splice", full)
    waits = []
    for _ in range(9):
        assert rig.pump.turn(0) == pump.REFUSED
        waits.append(rig.pump.retry_ns)
    assert waits[:3] == [20_000_000, 40_000_000, 80_000_000]
    assert waits[-1] == 1_000_000_000
    monkeypatch.setattr(os, "splice", real)
    assert rig.pump.turn(0) == pump.EMPTY
    assert (rig.path.read_bytes(), rig.pump.retry_ns) == (b"data", None)
    monkeypatch.setattr(os, "splice", full)
    rig.pump.turn(0)
    assert rig.pump.retry_ns == 20_000_000


def test_a_disk_that_fails_otherwise_is_complained_of_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object, **kwargs: object) -> int:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "splice", broken)
    assert [rig.pump.turn(0) for _ in range(3)] == [pump.REFUSED] * 3
    assert capfd.readouterr().err.count("broken") == 1


def test_discard_keeps_the_writers_flowing(rig: Rig) -> None:
    os.write(rig.write, b"kept")
    rig.pump.turn(0)
    rig.pump.discard()
    for _ in range(10):
        os.write(rig.write, bytes(60_000))
        assert rig.pump.turn(0) == pump.EMPTY
    assert rig.path.read_bytes() == b"kept"


def test_a_busy_pipe_grows_and_shrinks(rig: Rig) -> None:
    for _ in range(3):
        os.write(rig.write, bytes(65536))
        rig.pump.turn(0)
    assert fcntl.fcntl(rig.read, fcntl.F_GETPIPE_SZ) >= 256 * 1024
    rig.pump.shrink()
    assert fcntl.fcntl(rig.read, fcntl.F_GETPIPE_SZ) == 64 * 1024


def test_a_refused_growth_is_no_trouble(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> int:
        raise PermissionError

    monkeypatch.setattr(fcntl, "fcntl", refused)
    for _ in range(3):
        os.write(rig.write, bytes(65536))
        assert rig.pump.turn(0) == pump.EMPTY
    rig.pump.shrink()


def test_feeder_hands_over_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "in"
    data = os.urandom(300_000)
    path.write_bytes(data)
    file = os.open(path, os.O_RDONLY)
    read, write = os.pipe()
    seen = b""
    feeders = [pump.Feeder(os.dup(file), os.dup(write), length=len(data), ended=True)]
    while True:
        assert feeders[-1].turn()
        seen += os.read(read, 10_000)
        if feeders[-1].over:
            break
        if len(feeders) < 8:  # another process with the same open file takes over
            feeders.append(pump.Feeder(os.dup(file), os.dup(write), length=len(data), ended=True))
    for feeder in feeders:
        feeder.close()
    os.close(write)
    os.close(file)
    while piece := os.read(read, 1 << 16):
        seen += piece
    os.close(read)
    assert seen == data


def test_feeder_notices_that_nobody_reads(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"data")
    read, write = os.pipe()
    os.close(read)
    feeder = pump.Feeder(os.open(tmp_path / "in", os.O_RDONLY), write, length=4)
    assert feeder.hungry
    assert not feeder.turn()
    feeder.close()


def test_feeder_waits_for_the_end_to_be_said(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"data")
    read, write = os.pipe()
    feeder = pump.Feeder(os.open(tmp_path / "in", os.O_RDONLY), write, length=4)
    assert feeder.turn()
    assert (feeder.fed, feeder.hungry, feeder.over) == (4, False, False)
    feeder.ended = True
    assert feeder.over
    feeder.close()
    os.close(read)


def test_what_is_dropped_is_said_before_it_is_gone(rig: Rig) -> None:
    for _ in range(4):
        os.write(rig.write, b"x" * 65536)
        rig.pump.turn(0)
    seen: list[tuple[int, bytes]] = []
    rig.pump.note_first = lambda: seen.append((rig.pump.first, os.pread(rig.spool, 1, 0)))
    rig.pump.drop_below(200_000)
    assert seen == [(196_608, b"x")]
    assert os.pread(rig.spool, 1, 0) == b"\0"
