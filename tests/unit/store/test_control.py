"""Slots of the control file: what is written comes back, damage is seen, and locks tell who lives."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.store import control

U32 = st.integers(0, (1 << 32) - 1)
U64 = st.integers(0, (1 << 64) - 1)
U8 = st.integers(0, 255)
I32 = st.integers(-(1 << 31), (1 << 31) - 1)
JOB = st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=1, max_size=12)
BY = st.text(max_size=16).filter(lambda text: "\0" not in text)

RECORDS = st.one_of(
    st.builds(control.Claim, JOB, U32, U32, st.binary(min_size=16, max_size=16), U64, U64, U32, U64, U32, U32, U8, U64),
    st.builds(control.Started, JOB, U32, U32, U64, U64),
    st.builds(control.Main, JOB, U32, I32, U64, U64),
    st.builds(control.Exit, JOB, U32, st.none() | I32, U8, BY, I32, U8, U64, U64, U64, U64, U64, U64, U64, U64, U64,
              U64, U8, U32, U8),
    st.builds(control.Note, JOB, U32, U64, st.booleans(), U8, BY, U64, U64, U64, U32,
              st.lists(U32, max_size=control.NOTE_PIDS).map(tuple)),
)  # fmt: skip

EXAMPLES: tuple[control.Record, ...] = (
    control.Claim("job", 1, 2),
    control.Started("job", 1, 3),
    control.Main("job", 1, 256),
    control.Exit("job", 1, None, control.START_FAILED),
    control.Note("job", 1),
)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = control.create(str(tmp_path / "ctl"))
    yield fd
    os.close(fd)


@given(RECORDS)
def test_round_trip(record: control.Record) -> None:
    data = control.encode(record)
    assert len(data) == control.SLOT_BYTES
    assert control.decode(data, data[5]) == record


@given(RECORDS, st.integers(0, control.SLOT_BYTES * 8 - 1))
def test_every_flipped_bit_is_damage(record: control.Record, bit: int) -> None:
    data = bytearray(control.encode(record))
    kind = data[5]
    data[bit // 8] ^= 1 << bit % 8
    assert isinstance(control.decode(bytes(data), kind), control.Damaged)


@given(st.binary(max_size=600), st.integers(0, 4))
def test_any_bytes_decode_to_something(data: bytes, slot: int) -> None:
    control.decode(data, slot)


def test_a_torn_write_is_damage() -> None:
    old = control.encode(control.Exit("aaaaaaaaaaaa", 1, 0, control.EXITED))
    new = control.encode(control.Exit("bbbbbbbbbbbb", 2, 9, control.SIGNALED))
    for cut in range(1, control.SLOT_BYTES):
        torn = new[:cut] + old[cut:]
        if torn not in (old, new):
            assert isinstance(control.decode(torn, control.EXIT), control.Damaged), cut


def test_a_record_in_the_wrong_slot_or_of_another_version_is_damage() -> None:
    data = control.encode(EXAMPLES[0])
    assert control.decode(data, control.EXIT) == control.Damaged(control.EXIT, "record of kind 0")
    other = bytearray(data)
    other[4] = 9
    other[-4:] = struct.pack("!I", __import__("binascii").crc32(bytes(other[:-4])))
    assert control.decode(bytes(other), control.CLAIM) == control.Damaged(control.CLAIM, "version 9 (known: 1)")


@pytest.mark.parametrize("job", ["", "x" * 13, "jöb"])
def test_job_ids_that_do_not_fit(job: str) -> None:
    with pytest.raises(ValueError):
        control.encode(control.Started(job, 1, 1))


def test_a_name_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="66 bytes"):
        control.encode(control.Exit("job", 1, 0, 1, by="ä" * 33))


def test_a_new_file_is_empty_written_and_private(fd: int, tmp_path: Path) -> None:
    status = os.fstat(fd)
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == (control.FILE_BYTES, 0o600)
    assert status.st_blocks > 0, "an exit must be recorded on a full disk"
    assert control.read(fd) == control.Slots()
    with pytest.raises(FileExistsError):
        control.create(str(tmp_path / "ctl"))


def test_slots_do_not_touch_each_other(fd: int, tmp_path: Path) -> None:
    for n, record in enumerate(EXAMPLES):
        assert control.write(fd, record) == control.encode(record)
        assert control.read(fd) == control.Slots(*EXAMPLES[: n + 1])  # type: ignore[arg-type]
    assert control.read_path(str(tmp_path / "ctl")) == control.Slots(*EXAMPLES)  # type: ignore[arg-type]
    control.erase(fd)
    assert control.read(fd) == control.Slots()
    assert os.fstat(fd).st_size == control.FILE_BYTES


def test_a_claim_begins_with_empty_slots(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one write: a supervisor that dies in between would leave the end of one job to the claim of another."""
    for record in EXAMPLES:
        control.write(fd, record)
    claim = EXAMPLES[0]
    assert isinstance(claim, control.Claim)
    claim = claim._replace(job="next")
    writes: list[int] = []
    pwrite = os.pwrite

    def noted(fd: int, data: bytes, offset: int) -> int:
        writes.append(offset)
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", noted)
    control.begin(fd, claim)
    assert writes == [0]
    assert control.read(fd) == control.Slots(claim)


def test_flush_is_asked_for(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    control.write(fd, EXAMPLES[0])
    assert flushed == []
    control.write(fd, EXAMPLES[0], flush=True)
    control.erase(fd, flush=True)
    claim = EXAMPLES[0]
    assert isinstance(claim, control.Claim)
    control.begin(fd, claim, flush=True)
    assert flushed == [fd, fd, fd]


def test_damage_does_not_hide_the_others(fd: int) -> None:
    for record in EXAMPLES:
        control.write(fd, record)
    os.pwrite(fd, b"\xff", control.STARTED * control.SLOT_BYTES + 100)
    slots = control.read(fd)
    assert slots.damage() == (control.Damaged(control.STARTED, "checksum does not match"),)
    assert slots.exit == EXAMPLES[3]


def test_a_short_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(700))
    slots = control.read_path(str(tmp_path / "short"))
    assert slots.claim is None
    assert len(slots.damage()) == 4


def test_the_lock_tells_who_lives(fd: int, tmp_path: Path) -> None:
    assert control.lock_holder(fd) is None
    ready, told = os.pipe()
    wait, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        mine = os.open(tmp_path / "ctl", os.O_RDWR)
        os.write(told, bytes([control.lock(mine)]))
        os.close(end)
        os.read(wait, 1)
        os._exit(0)
    try:
        assert os.read(ready, 1) == b"\1"
        assert (control.lock_holder(fd), control.is_locked(fd), control.lock(fd)) == (pid, True, False)
    finally:
        for one in (ready, told, wait, end):
            os.close(one)
        os.waitpid(pid, 0)
    assert not control.is_locked(fd)
    assert control.lock(fd)
