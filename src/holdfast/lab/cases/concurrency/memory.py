"""Pages of memory in two processes: which physical page is behind them, who sees what the other writes."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from pathlib import Path
from typing import Final

import msgspec

from holdfast.lab.cases.concurrency.data import Pages

SIZE: Final = 64 * mmap.PAGESIZE
_FRAME: Final = (1 << 55) - 1
"""Bits 0 to 54 of an entry; 0 for those who lack CAP_SYS_ADMIN (Documentation/admin-guide/mm/pagemap.rst)."""
_PRESENT: Final = 1 << 63


class _Seen(msgspec.Struct):
    """What a child tells of its pages, before and after it has written to them."""

    address: int
    frame: int | None
    frame_written: int | None
    shared_kib: int | None
    shared_kib_written: int | None


def forked_pages() -> Pages:
    """Fill pages, fork, look; let the child write, look again."""
    private = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # A mapping with a flag of its own stays one by itself, and is made of small pages.
    private.madvise(mmap.MADV_NOHUGEPAGE)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    private.write(b"p" * SIZE)
    shared.write(b"p" * mmap.PAGESIZE)
    cell = ctypes.c_char.from_buffer(private)
    address = ctypes.addressof(cell)
    reader, writer = os.pipe()
    go, told_to_go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.read(go, 1)
            mine = ctypes.addressof(cell)
            before = frame(mine), shared_kib(mine)
            for offset in range(0, SIZE, mmap.PAGESIZE):
                private[offset : offset + 5] = b"child"
            shared[:5] = b"child"
            after = frame(mine), shared_kib(mine)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(msgspec.json.encode(_Seen(mine, before[0], after[0], before[1], after[1])))
        finally:
            os._exit(0)
    os.close(writer)
    parent_frame = frame(address)
    os.write(told_to_go, b".")
    with os.fdopen(reader, "rb") as pipe:
        seen = msgspec.json.decode(pipe.read(), type=_Seen)
    os.waitpid(pid, 0)
    for end in (go, told_to_go):
        os.close(end)
    pages = Pages(
        same_address=seen.address == address,
        parent_frame=parent_frame,
        child_frame=seen.frame,
        child_frame_written=seen.frame_written,
        shared_kib=seen.shared_kib,
        shared_kib_written=seen.shared_kib_written,
        size_kib=SIZE // 1024,
        parent_sees=private[:5] == b"child",
        parent_sees_shared=shared[:5] == b"child",
    )
    del cell
    private.close()
    shared.close()
    return pages


def frame(address: int) -> int | None:
    """The number of the physical page behind an address of this process; None: not told."""
    try:
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
            pagemap.seek(address // mmap.PAGESIZE * 8)
            (entry,) = struct.unpack("Q", pagemap.read(8))
    except (OSError, struct.error):
        return None
    return (entry & _FRAME) or None if entry & _PRESENT else None


def shared_kib(address: int) -> int | None:
    """Of the mapping at an address, what another process has as well; None: not told."""
    try:
        lines = Path("/proc/self/smaps").read_text().splitlines()
    except OSError:
        return None
    total: int | None = None
    here = False
    for line in lines:
        first, _, rest = line.partition(" ")
        if "-" in first:
            low, high = (int(end, 16) for end in first.split("-"))
            here = low <= address < high
        elif here and first in ("Shared_Clean:", "Shared_Dirty:"):
            total = (total or 0) + int(rest.split()[0])
    return total
