"""``holdfast stdio``: standard input and output joined to the user's own agent. ssh starts it at the far end of ssh://.

Rules of this module:

* Nothing is ever written to standard output but what the agent sent. Our words go to standard error, where ssh
  carries them to the other side.
* Each direction has a thread and blocks on its own, so neither can hold the other up; nothing is switched to
  non-blocking, since the descriptors may be shared with whoever started us (open(2), "open file description").
* The end of our input is passed on as a half-close, and then the agent's last words are waited for. The end of the
  agent, or of whoever reads our output, ends all.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from typing import Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.options import DURATION
from holdfast.cli.out import CannotWrite, ReaderGone, write_all
from holdfast.cli.session import NoLocalAgent
from holdfast.config import load
from holdfast.errors import ConnectFailed

STDIN_FD: Final = 0
STDOUT_FD: Final = 1
CHUNK_BYTES: Final = 256 << 10
"""A frame of output is as large, so a full one passes in one piece."""


@click.command(name="stdio", hidden=True, short_help="Join standard input and output to the agent.")
@click.option("--state-dir", metavar="DIR", help="The agent's state directory (HOLDFAST_STATE_DIR).")
@click.option("--connect-timeout", type=DURATION, metavar="D", help="Longest wait for the agent (default: 10s).")
def command(state_dir: str | None, connect_timeout: float | None) -> int:
    """Join standard input and output to the user's own agent, which is started if none runs.

    This is what `ssh://` addresses start on the other machine; people have no use for it.
    """
    from holdfast.client import embedded

    settings = load(overrides={"state_dir": state_dir, "connect_timeout_s": connect_timeout})
    try:
        agent = embedded.connect(settings.state_dir, start=True, timeout_s=settings.connect_timeout_s)
    except ConnectFailed as exc:
        raise NoLocalAgent(str(exc), ran="no") from exc
    with agent:
        pump(agent, STDIN_FD, STDOUT_FD)
    return exit_codes.OK


def pump(agent: socket.socket, input_fd: int, output_fd: int) -> None:
    """Pass bytes both ways until the agent has closed the connection.

    A thread that still waits for input is left behind: whatever it may read has nowhere to go any more.

    Args:
        agent: A connected stream socket, in blocking mode.
        input_fd: Descriptor to read from: a pipe, a socket, a file or a terminal.
        output_fd: Descriptor to write to.

    Raises:
        ReaderGone: whoever read our output has closed it.
        CannotWrite: our output cannot be written for another reason.
    """
    threading.Thread(target=_send, args=(input_fd, agent), name="holdfast-stdio-input", daemon=True).start()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    watch = select.poll()  # not select: descriptors may be above 1023
    watch.register(agent, select.POLLIN)
    watch.register(output_fd, 0)  # errors are always reported (poll(2)): a reader that leaves while nothing is sent
    while True:
        for fd, events in watch.poll():
            if fd == output_fd and events & select.POLLNVAL:
                raise CannotWrite(os.strerror(errno.EBADF))
            if fd == output_fd and events & (select.POLLERR | select.POLLHUP):
                raise ReaderGone
        try:
            count = agent.recv_into(buffer)
        except ConnectionResetError:
            return
        if not count:
            return
        write_all(output_fd, buffer[:count])


def _send(input_fd: int, agent: socket.socket) -> None:
    """Everything from our input to the agent; then the end of the stream."""
    try:
        while data := os.read(input_fd, CHUNK_BYTES):
            agent.sendall(data)
        agent.shutdown(socket.SHUT_WR)
    except OSError:
        # The agent has gone, which the other direction finds out; or our input cannot be read, and is at its end then.
        try:
            agent.shutdown(socket.SHUT_WR)
        except OSError:
            pass
