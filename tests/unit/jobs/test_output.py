"""Channels by absolute offset: reading, tails, digests with any readers, and the readers' own positions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from holdfast.errors import OffsetGone, StorageError
from holdfast.jobs.output import EMPTY_DIGEST, OutputChannel, Reader
from holdfast.store.spool import InlineSpool, Spool


def digest(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    path = tmp_path / "out"
    path.touch()
    spool = Spool.open(str(path))
    yield spool
    spool.close()


def live(spool: Spool, data: bytes, **more: object) -> OutputChannel:
    Path(spool.path).write_bytes(data)
    channel = OutputChannel(length=len(data))
    channel.use(spool, owned=False)
    return channel


def test_bytes_come_from_any_offset_and_never_beyond_the_committed_length(spool: Spool) -> None:
    channel = live(spool, b"0123456789")
    channel.length = 8
    assert channel.bytes_from(3, 100) == b"34567"
    assert channel.bytes_from(3, 2) == b"34"
    assert channel.bytes_from(8, 10) == b""


def test_a_spool_that_is_shorter_than_recorded_is_an_error_and_no_end(spool: Spool) -> None:
    channel = live(spool, b"short")
    channel.length = 100
    with pytest.raises(StorageError):
        channel.bytes_from(5, 10)


def test_a_channel_without_a_source_says_so(spool: Spool) -> None:
    channel = OutputChannel(length=5)
    assert not channel.readable
    with pytest.raises(StorageError):
        channel.bytes_from(0, 5)
    assert OutputChannel().readable


def test_bytes_dropped_while_they_were_read_are_not_believed(spool: Spool) -> None:
    channel = live(spool, b"\0" * 6 + b"6789")
    channel.use(spool, owned=False, refresh_first=lambda: 6)
    with pytest.raises(OffsetGone) as gone:
        channel.bytes_from(0, 4)
    assert gone.value.first == channel.first == 6
    assert channel.bytes_from(6, 10) == b"6789"


def test_an_owned_source_is_closed_once_and_a_lent_one_never(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    mine, lent = Spool.open(str(tmp_path / "out")), Spool.open(str(tmp_path / "out"))
    channel = OutputChannel()
    channel.use(lent, owned=False)
    channel.use(mine, owned=True)
    channel.close()
    channel.close()
    assert mine.fd == -1
    assert lent.fd >= 0
    channel.use(lent, owned=False)
    assert channel.keep(lent)
    channel.close()
    assert lent.fd == -1


@pytest.mark.parametrize(
    ("data", "lines", "at"),
    [
        (b"", 3, 0),
        (b"one", 1, 0),
        (b"one\n", 1, 0),
        (b"one\ntwo", 1, 4),
        (b"one\ntwo\n", 1, 4),
        (b"one\ntwo\n", 2, 0),
        (b"one\ntwo\n", 9, 0),
        (b"one\ntwo\n", 0, 8),
        (b"\n\n\n", 2, 1),
        (b"x" * 70_000 + b"\n" + b"y" * 70_000 + b"\n", 1, 70_001),
    ],
)
def test_where_the_last_lines_begin(spool: Spool, data: bytes, lines: int, at: int) -> None:
    assert live(spool, data).tail_offset(lines) == at


def test_the_last_lines_of_what_is_kept(spool: Spool) -> None:
    channel = live(spool, b"....\nkept\nlast\n")
    channel.first = 5
    assert channel.tail_offset(2) == 5
    assert channel.tail_offset(9) == 5


def test_cached_and_preloaded_bytes(spool: Spool) -> None:
    channel = live(spool, b"x" * 10_000)
    channel.preload(0, 10_000)
    assert channel.cached(0, 10_000)
    inline = OutputChannel(length=3)
    inline.use(InlineSpool(b"abc"), owned=False)
    assert inline.cached(0, 3)


# --- digests --------------------------------------------------------------------------------------------------------


def test_the_digest_of_nothing() -> None:
    assert OutputChannel().rest_of_digest()() == EMPTY_DIGEST


def test_without_readers_all_is_read_at_the_end(spool: Spool) -> None:
    channel = live(spool, b"unread" * 1000)
    assert channel.unhashed_bytes == 6000
    assert channel.rest_of_digest()() == digest(b"unread" * 1000)


def test_what_one_reader_has_read_is_not_read_again(spool: Spool) -> None:
    channel = live(spool, b"abcdefghij")
    assert channel.bytes_from(0, 4) + channel.bytes_from(4, 3) == b"abcdefg"
    assert channel.unhashed_bytes == 3
    assert channel.rest_of_digest()() == digest(b"abcdefghij")


def test_interleaved_readers_hash_each_byte_once(spool: Spool) -> None:
    data = bytes(range(200))
    channel = live(spool, data)
    for offset, size in ((0, 50), (0, 30), (30, 60), (120, 40), (90, 10), (50, 80), (130, 5)):
        assert channel.bytes_from(offset, size) == data[offset : offset + size]
    assert channel.unhashed_bytes == 200 - 135
    assert channel.rest_of_digest()() == digest(data)


def test_a_reader_that_begins_later_leaves_the_start_to_the_end(spool: Spool) -> None:
    channel = live(spool, b"0123456789")
    channel.bytes_from(5, 5)
    assert channel.unhashed_bytes == 10
    assert channel.rest_of_digest()() == digest(b"0123456789")


def test_readers_do_not_touch_a_digest_that_is_being_finished(spool: Spool) -> None:
    channel = live(spool, b"0123456789")
    channel.bytes_from(0, 4)
    finish = channel.rest_of_digest()
    channel.bytes_from(4, 6)
    channel.bytes_from(0, 10)
    assert finish() == digest(b"0123456789")


def test_the_digest_covers_what_is_kept(spool: Spool) -> None:
    channel = live(spool, b"\0" * 6 + b"6789")
    channel.bytes_from(0, 6)
    channel.first = spool.first = 6
    assert channel.rest_of_digest()() == digest(b"6789")


def test_short_outputs_are_handed_over_inline_and_long_ones_as_files(spool: Spool) -> None:
    inline = OutputChannel(length=8, first=5, digest="d")
    inline.use(InlineSpool(b"567", first=5), owned=False)
    taken = inline.as_taken()
    assert (taken.length, taken.first, taken.xxh3, taken.inline) == (8, 5, "d", b"567")
    assert live(spool, b"x").as_taken().inline is None


# --- readers --------------------------------------------------------------------------------------------------------


class Stream:
    """What a reader does to its connection."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def open_out(self, stream: int, channel: int, *, offset: int, limit: int) -> None:
        self.calls.append(("open", channel, offset, limit))

    def offer(self, stream: int, channel: int, end: int) -> None:
        self.calls.append(("offer", channel, end))

    def send_gap(self, stream: int, channel: int, offset: int) -> None:
        self.calls.append(("gap", channel, offset))


def test_a_reader_opens_its_channels_with_their_credit_and_skips_what_is_gone() -> None:
    channels = {1: OutputChannel(length=100, first=40), 2: OutputChannel(length=7)}
    reader, stream = Reader(9, None, channels, follow=True, is_run=False), Stream()
    reader.start(stream, {1: 10, 2: 7}, 1000)
    assert stream.calls == [("open", 1, 10, 1010), ("gap", 1, 40), ("open", 2, 7, 1007)]
    assert reader.positions == {1: 40, 2: 7}
    assert not reader.caught_up
    reader.positions[1] = 100
    assert reader.caught_up


def test_a_stream_that_is_open_already_is_not_opened_again() -> None:
    reader, stream = Reader(9, None, {1: OutputChannel(length=5)}, follow=True, is_run=True), Stream()
    reader.start(stream, {1: 0}, 1000, opened=True)
    reader.offer_all(stream)
    assert stream.calls == [("offer", 1, 5)]


def test_following_ends_with_the_channel_and_not_following_where_it_was() -> None:
    channel = OutputChannel(length=5)
    follows = Reader(1, None, {1: channel}, follow=True, is_run=False)
    looks = Reader(3, None, {1: channel}, follow=False, is_run=False)
    for reader in (follows, looks):
        reader.start(Stream(), {1: 0}, 10)
        reader.positions[1] = 5
    assert looks.complete(1)
    assert not follows.complete(1)
    channel.length = 9
    assert looks.end_of(1) == 5
    assert follows.end_of(1) == 9
    channel.final = True
    assert not follows.complete(1)
    follows.positions[1] = 9
    assert follows.complete(1)


def test_a_turn_moves_the_position_by_what_was_read(spool: Spool) -> None:
    reader = Reader(1, None, {1: live(spool, b"0123456789")}, follow=True, is_run=False)
    reader.start(Stream(), {1: 2}, 100)
    assert reader.read(1, 2, 5) == b"23456"
    assert reader.positions == {1: 7}
