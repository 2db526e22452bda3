"""Bytes to standard output and standard error, untouched, through ``os.write``.

No text layer and no buffer of our own: what the command wrote is what the reader gets, as soon as it is here.
"""

from __future__ import annotations

import codecs
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

    TAB, LF, CR and BS stay, since they are layout. The rest of C0 and DEL become ``^X``. C1 controls become ``\\x9b``
    and the like, spelled in UTF-8 (C2 9B) as well as alone: some terminals obey either (CSI is U+009B).
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def feed(self, data: bytes) -> bytes:
        """The chunk with its controls made visible; a character cut by its end is held back until the rest is here."""
        return _show(self._decoder.decode(data))

    def close(self) -> bytes:
        """What is still held back."""
        return _show(self._decoder.decode(b"", final=True))


def _show(text: str) -> bytes:
    return text.translate(_SHOWN).encode("utf-8", "surrogateescape")


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


_LAYOUT: Final = frozenset(map(ord, "\t\n\r\b"))
_SHOWN: Final = {
    **{code: f"^{chr(code ^ 0x40)}" for code in (*range(32), 127) if code not in _LAYOUT},
    **{code: f"\\x{code & 0xFF:02x}" for code in (*range(0x80, 0xA0), *range(0xDC80, 0xDCA0))},
}
"""Characters and how they are shown; from DC80 stand the bytes that are no UTF-8 (PEP 383)."""
