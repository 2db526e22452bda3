"""Lets the C heap keep what a stream frees, for the next of it.

Pieces of output are some 100 KiB each. glibc's malloc gives the end of its heap back to the system once 128 KiB are
free there, so that each piece costs its page faults anew: 0.15 s of processor time a GiB, a sixth of what a
client takes.
"""

from __future__ import annotations

from typing import Final

_BLOCK_BYTES: Final = 8 * 1024 * 1024

_told = False


def keep_freed_blocks() -> None:
    """Once a process: a freed block of 8 MiB tells glibc to keep up to twice as much (mallopt(3), M_MMAP_THRESHOLD).

    The block is never touched and takes no memory. Elsewhere than in glibc nothing changes, and a process that has set
    the thresholds itself, or frees large arrays anyway, has them as they are.
    """
    global _told
    if not _told:
        _told = True
        bytes(_BLOCK_BYTES)
