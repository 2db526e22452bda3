"""Spools: reading by offset from files and memory, writing stdin, digests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from holdfast.errors import OffsetGone, StorageError
from holdfast.store.spool import STEP_BYTES, ByteSource, ChannelDigest, InlineSpool, Spool, StdinSpool
from holdfast.types import Offset

DATA = bytes(range(256)) * 10


@pytest.fixture(params=["file", "memory"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ByteSource]:
    """Bytes 100 to 2560 of DATA, at their places."""
    path = tmp_path / "out"
    path.write_bytes(DATA)
    spool: ByteSource
    spool = InlineSpool(DATA[100:], first=100) if request.param == "memory" else Spool.open(str(path), first=100)
    yield spool
    spool.close()


def test_reading_by_absolute_offset(source: ByteSource) -> None:
    assert source.length() == 2560
    assert source.bytes_from(Offset(100), 10) == DATA[100:110]
    assert source.bytes_from(Offset(2555), 100) == DATA[2555:]
    assert source.bytes_from(Offset(2560), 100) == b"", "nothing further yet"
    assert source.bytes_from(Offset(9999), 100) == b""


def test_what_was_dropped_is_an_error_with_the_first_offset_kept(source: ByteSource) -> None:
    for offset in (0, 99):
        with pytest.raises(OffsetGone) as caught:
            source.bytes_from(Offset(offset), 1)
        assert caught.value.first == 100


def test_a_growing_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with open(path, "wb", buffering=0) as writer:
        spool = Spool.open(str(path))
        assert (spool.length(), spool.bytes_from(Offset(0), 10)) == (0, b"")
        writer.write(b"abc")
        assert (spool.length(), spool.bytes_from(Offset(1), 10)) == (3, b"bc")
        os.rename(path, tmp_path / "elsewhere")
        writer.write(b"def")
        assert spool.bytes_from(Offset(3), 10) == b"def", "its new name does not matter"
        spool.close()
        spool.close()


def test_a_closed_or_missing_spool_says_which(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        Spool.open(str(tmp_path / "none"))
    assert caught.value.path == str(tmp_path / "none")
    (tmp_path / "out").write_bytes(b"x")
    spool = Spool.open(str(tmp_path / "out"))
    spool.close()
    with pytest.raises(StorageError) as caught:
        spool.bytes_from(Offset(7), 1)
    assert caught.value.offset == 7
    with pytest.raises(StorageError):
        spool.length()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageError):
        Spool.open(str(tmp_path / "out"))
    with pytest.raises(StorageError):
        StdinSpool(str(tmp_path / "out"))


def test_stdin_is_written_once_however_often_it_is_sent(tmp_path: Path) -> None:
    stdin = StdinSpool(str(tmp_path / "in"))
    assert stdin.write(Offset(0), b"hello") == 5
    assert stdin.write(Offset(0), b"hello") == 5
    assert stdin.write(Offset(3), b"lo world", flush=True) == 11
    assert stdin.write(Offset(2), b"x") == 11
    with pytest.raises(ValueError, match="beyond the 11 bytes"):
        stdin.write(Offset(12), b"gap")
    stdin.close()
    stdin.close()
    assert (tmp_path / "in").read_bytes() == b"hello world"
    assert (tmp_path / "in").stat().st_mode & 0o777 == 0o600
    again = StdinSpool(str(tmp_path / "in"))
    assert again.committed == 11, "the file's length is the committed offset"
    again.close()


def test_no_room_for_stdin_says_how_far_it_came() -> None:
    stdin = StdinSpool("/dev/full")
    with pytest.raises(StorageError) as caught:
        stdin.write(Offset(0), b"x")
    assert caught.value.full
    assert (caught.value.offset, stdin.committed) == (0, 0)
    stdin.close()


def test_digests_are_the_same_in_any_steps(source: ByteSource) -> None:
    whole = ChannelDigest(first=100, sha256=True)
    whole.advance(source, 2560)
    assert whole.xxh3 == xxhash.xxh3_128_hexdigest(DATA[100:])
    assert whole.sha256 == hashlib.sha256(DATA[100:]).hexdigest()
    steps = ChannelDigest(first=100)
    for end in (101, 101, 2000, 2560):
        steps.advance(source, end)
    assert (steps.xxh3, steps.sha256, steps.position) == (whole.xxh3, None, 2560)


def test_long_outputs_are_digested_in_steps(tmp_path: Path) -> None:
    data = os.urandom(3 * STEP_BYTES + 17)
    (tmp_path / "out").write_bytes(data)
    spool = Spool.open(str(tmp_path / "out"))
    digest = ChannelDigest()
    digest.advance(spool, len(data))
    assert digest.xxh3 == xxhash.xxh3_128_hexdigest(data)
    with pytest.raises(StorageError, match="ends at"):
        digest.advance(spool, len(data) + 1)
    spool.close()


def test_the_digest_of_nothing_is_known() -> None:
    assert ChannelDigest().xxh3 == "99aa06d3014798d86001c324468d497f"
