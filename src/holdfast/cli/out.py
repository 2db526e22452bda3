"""Bytes to standard output and standard error, untouched, through ``os.write``.

No text layer and no buffer of our own: what the command wrote is what the reader gets, as soon as it is here.
"""

from __future__ import annotations

import os
import select
from typing import Final

from holdfast.types import STDERR, STDOUT

FDS: Final = {STDOUT: 1, STDERR: 2}


class ReaderGone(Exception):
    """Whoever read our output has closed it (EPIPE)."""


class CannotWrite(Exception):
    """Our output cannot be written for another reason: a full disk, a closed descriptor."""


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte, waiting where the descriptor is non-blocking and full.

    Raises:
        ReaderGone: EPIPE.
        CannotWrite: any other error of write(2).
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            _wait_writable(fd)
        except BrokenPipeError as exc:
            raise ReaderGone from exc
        except OSError as exc:
            raise CannotWrite(exc.strerror or str(exc)) from exc


class ControlEscaper:
    """Makes control characters visible, chunk by chunk, so that stored output cannot drive the reader's terminal.

    TAB, LF, CR and BS stay, since they are layout. The rest of C0 and DEL become ``^X``; C1 controls, which UTF-8
    spells C2 80 to C2 9F and some terminals obey (CSI is U+009B), become ``\\x9b`` and the like.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The chunk with its controls made visible; a last C2 is held back until its second byte is here."""
        data = self._held + data
        self._held = b""
        if data.endswith(_C2):
            self._held, data = _C2, data[:-1]
        if _C2 in data:
            head, *rest = data.split(_C2)
            data = head + b"".join(b"\\x%02x" % part[0] + part[1:] if part[:1] in _C1 else _C2 + part for part in rest)
        if not data.translate(None, _KEEP):
            return data
        return b"".join([_CARETS[byte] for byte in data])

    def close(self) -> bytes:
        """What is still held back."""
        held, self._held = self._held, b""
        return held


def open_missing_fds() -> None:
    """Put /dev/null in the place of closed descriptors 0 to 2, so that no socket of ours can be taken for one of them.

    The substitutes of 1 and 2 are open for reading only: writing to them fails, as it would have on the closed ones.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)


def _wait_writable(fd: int) -> None:
    # poll, not select: descriptors may be above 1023
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


_C2: Final = b"\xc2"
_C1: Final = frozenset(bytes([byte]) for byte in range(0x80, 0xA0))
_KEEP: Final = bytes(byte for byte in range(256) if byte in b"\t\n\r\b" or not (byte < 32 or byte == 127))
_CARETS: Final = [bytes([byte]) if byte in _KEEP else b"^" + bytes([byte ^ 0x40]) for byte in range(256)]
