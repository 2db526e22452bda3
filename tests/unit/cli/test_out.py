"""The command's bytes are written whole and untouched; what cannot be written is told apart."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.out import CannotWrite, ControlEscaper, ReaderGone, write_all


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    fds = list(os.pipe())
    yield fds
    for fd in fds:
        if fd >= 0:
            os.close(fd)


def read_all(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(fd, 65536)
    return data


def test_a_full_non_blocking_pipe_is_waited_for(pipe: list[int]) -> None:
    os.set_blocking(pipe[1], False)
    data = os.urandom(1 << 20)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read_all(pipe[0], len(data))))
    reader.start()
    write_all(pipe[1], data)
    reader.join()
    assert got == [data]


def test_a_reader_that_is_gone(pipe: list[int]) -> None:
    os.close(pipe[0])
    pipe[0] = -1
    with pytest.raises(ReaderGone):
        write_all(pipe[1], b"x")


def test_other_errors_are_told_apart(pipe: list[int]) -> None:
    with pytest.raises(CannotWrite, match="Bad file descriptor"):
        write_all(pipe[0], b"x")  # the reading end
    if os.path.exists("/dev/full"):
        full = os.open("/dev/full", os.O_WRONLY)
        try:
            with pytest.raises(CannotWrite, match="No space left"):
                write_all(full, b"x")
        finally:
            os.close(full)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain \xc3\xa4\n\t\r\b", b"plain \xc3\xa4\n\t\r\b"),
        (b"\x1b[31mred\x1b[0m", b"^[[31mred^[[0m"),
        (b"\x07\x00\x7f\x0b\x0c", b"^G^@^?^K^L"),
        ("\x9b31m".encode(), b"\\x9b31m"),
        (b"\xc2\xa0 stays", b"\xc2\xa0 stays"),
        (b"\xff\xfe", b"\xff\xfe"),
        (b"\x9b31m alone", b"\\x9b31m alone"),
        ("ś \U0001f41a".encode(), "ś \U0001f41a".encode()),
    ],
)
def test_controls_are_made_visible(raw: bytes, shown: bytes) -> None:
    escaper = ControlEscaper()
    assert escaper.feed(raw) + escaper.close() == shown


@given(st.binary(), st.integers(0, 50))
def test_cuts_between_chunks_do_not_show(data: bytes, at: int) -> None:
    whole, parts = ControlEscaper(), ControlEscaper()
    expected = whole.feed(data) + whole.close()
    assert parts.feed(data[:at]) + parts.feed(data[at:]) + parts.close() == expected
    assert not any((byte < 32 and byte not in b"\t\n\r\b") or byte == 127 for byte in expected)
