"""Standard input: passed on with ``-i``, and otherwise ignored, which is said once where somebody may have meant it."""

from __future__ import annotations

import os
import select
import stat
import threading
from typing import TYPE_CHECKING, Final

from holdfast.cli.voice import Voice
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast import Job

STDIN_FD: Final = 0
CHUNK_BYTES: Final = 256 * 1024


def pass_on(job: Job, voice: Voice) -> None:
    """Start the thread that reads descriptor 0 and writes it to the job, to the end of the file.

    The thread is a daemon and nobody waits for it: a command may end without reading its input, and read(2) of a
    terminal cannot be called back.
    """
    threading.Thread(target=_pump, args=(job, voice), name="holdfast-stdin", daemon=True).start()


def _pump(job: Job, voice: Voice) -> None:
    try:
        while data := _read():
            job.stdin.write(data)
        job.stdin.close()
    except HoldfastError as exc:
        voice.detail(f"standard input is no longer passed on: {exc}")


def _read() -> bytes:
    while True:
        try:
            return os.read(STDIN_FD, CHUNK_BYTES)
        except BlockingIOError:
            select.select([STDIN_FD], [], [])
        except OSError:  # EIO: a terminal that is not ours any more; EBADF, EISDIR: nothing to read here
            return b""


def ignored_input() -> bool:
    """Whether descriptor 0 holds something that the user may have meant for the command.

    True for a pipe or socket with bytes in it and for a file that is not empty and not read to its end; never for a
    terminal, /dev/null, or a pipe that merely is there, as under a service manager.
    """
    try:
        mode = os.fstat(STDIN_FD).st_mode
        if stat.S_ISREG(mode):
            return os.lseek(STDIN_FD, 0, os.SEEK_CUR) < os.fstat(STDIN_FD).st_size
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            return _has_bytes()
    except OSError:
        return False
    return False


def _has_bytes() -> bool:
    import array
    import fcntl
    import termios

    poll = select.poll()
    poll.register(STDIN_FD, select.POLLIN)
    if not poll.poll(0):
        return False
    waiting = array.array("i", [0])
    fcntl.ioctl(STDIN_FD, termios.FIONREAD, waiting)  # an end of file is readable, too, and is nothing
    return waiting[0] > 0
