"""Standard input and output joined to a socket: every byte, both ways at once, half-close and every kind of end."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from holdfast.cli.app import HIDDEN, VERBS
from holdfast.cli.out import ReaderGone
from holdfast.cli.stdio import CHUNK_BYTES, pump
from tests.unit.cli.conftest import Call

MUCH = os.urandom(1 << 20) * 4
WAIT_S = 10.0


class Ends(NamedTuple):
    """What the pump is given (``agent``, ``input_fd``, ``output_fd``), and the far end of each."""

    agent: socket.socket
    input_fd: int
    output_fd: int
    far_agent: socket.socket
    writer: int
    reader: int


@pytest.fixture(params=["pipes", "one socket", "two sockets"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    agent, far_agent = socket.socketpair()
    if request.param == "pipes":
        input_fd, writer = os.pipe()
        reader, output_fd = os.pipe()
    else:
        near, far = socket.socketpair()
        input_fd, writer = near.detach(), far.detach()
        if request.param == "one socket":
            output_fd, reader = os.dup(input_fd), os.dup(writer)
        else:
            near, far = socket.socketpair()
            output_fd, reader = near.detach(), far.detach()
    given = Ends(agent, input_fd, output_fd, far_agent, writer, reader)
    yield given
    agent.close()
    far_agent.close()
    for fd in (writer, reader):
        _close(fd)  # the thread that waits for input sees its end
    for thread in threading.enumerate():
        if thread.name == "holdfast-stdio-input":
            thread.join(WAIT_S)
    for fd in (input_fd, output_fd):
        _close(fd)


def _close(fd: int) -> None:
    if _is_socket(fd):
        # A copy of it may still be held by a thread that reads from it; only this ends the connection itself.
        with socket.socket(fileno=fd) as sock, suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
    else:
        with suppress(OSError):
            os.close(fd)


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


class Pump:
    """The pump in a thread."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            pump(self._ends.agent, self._ends.input_fd, self._ends.output_fd)
        except Exception as exc:
            self._error = exc

    def end(self) -> BaseException | None:
        """What it raised, once it has ended."""
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        return self._error


def received(fd: int, size: int) -> bytes:
    """As many bytes from a descriptor."""
    found = bytearray()
    while len(found) < size and (data := os.read(fd, 1 << 16)):
        found += data
    return bytes(found)


def sent(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def end_of_input(ends: Ends) -> None:
    """Half-close where it is a socket, close where it is a pipe."""
    if _is_socket(ends.writer):
        with socket.socket(fileno=os.dup(ends.writer)) as sock:
            sock.shutdown(socket.SHUT_WR)
    else:
        os.close(ends.writer)


def test_bytes_go_both_ways_and_the_end_of_input_is_a_half_close(ends: Ends) -> None:
    running = Pump(ends)
    sent(ends.writer, b"question")
    assert ends.far_agent.recv(100) == b"question"
    end_of_input(ends)
    assert ends.far_agent.recv(100) == b""
    ends.far_agent.sendall(b"an answer after the end of the input")
    ends.far_agent.close()
    assert running.end() is None
    assert received(ends.reader, 36) == b"an answer after the end of the input"


def test_the_end_of_the_agent_ends_it_while_the_input_is_open(ends: Ends) -> None:
    running = Pump(ends)
    ends.far_agent.close()
    assert running.end() is None


def test_neither_direction_holds_up_the_other(ends: Ends) -> None:
    """The agent writes everything before it reads anything, and whoever started us does the same."""
    running = Pump(ends)
    asking = threading.Thread(target=sent, args=(ends.writer, MUCH))
    answering = threading.Thread(target=ends.far_agent.sendall, args=(MUCH,))
    asking.start()
    answering.start()
    assert received(ends.reader, len(MUCH)) == MUCH
    answering.join(WAIT_S)
    assert received(ends.far_agent.fileno(), len(MUCH)) == MUCH
    asking.join(WAIT_S)
    ends.far_agent.close()
    assert running.end() is None


def test_a_reader_that_leaves_ends_it_although_nothing_is_sent(ends: Ends) -> None:
    running = Pump(ends)
    os.close(ends.reader)
    os.close(ends.writer)  # of one socket this is the other half; of pipes it is the end of the input, and no more
    assert isinstance(running.end(), ReaderGone)


def test_a_frame_passes_in_one_piece() -> None:
    assert CHUNK_BYTES == 256 << 10


def test_it_is_not_listed_and_takes_no_words(call: Call) -> None:
    assert "stdio" in HIDDEN
    assert "stdio" not in VERBS
    assert b"stdio" not in call("--help").out
    outcome = call("stdio", "web1")
    assert (outcome.code, outcome.out) == (2, b"")


def test_an_agent_that_cannot_be_had_is_one_line_on_standard_error(call: Call, tmp_path: object) -> None:
    open(f"{tmp_path}/file", "w").close()
    outcome = call("stdio", "--state-dir", f"{tmp_path}/file/below")
    assert (outcome.code, outcome.out) == (125, b"")
    assert outcome.err.startswith("holdfast: ")
    assert outcome.err.count("\n") == 1
