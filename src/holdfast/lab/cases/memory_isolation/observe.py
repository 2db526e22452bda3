"""Changes memory in a child, and looks at it from both sides."""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import os
import struct
import threading
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Final

from holdfast.lab.cases.memory_isolation.data import Crossing, Data, Frames, Pages, View
from holdfast.lab.swapped import on_holdfast
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

MIB: Final = 1024 * 1024
STEPS: Final = 8
_PFN: Final = (1 << 55) - 1
"""Bits of a pagemap entry that hold the frame (Documentation/admin-guide/mm/pagemap.rst)."""

box = [100]


def observe(lab: Lab) -> Data:
    """The notes' program, both sides of a change, what a copy costs, and what is not copied."""
    size = lab.pick(quick=32, full=256) * MIB
    with lab.agent():
        there = on_holdfast(lab, "p06", "repaired")
    pages, frames = _copied(size)
    if not frames.parent:
        lab.lacks("CAP_SYS_ADMIN", Text("physical pages are not told apart by number", "看不到物理页的编号"))
    return Data(
        # 500 times this is one second.
        program=lab.program("p06", env={"LAB_PACE": "0.002"}),
        repaired=lab.program("p06", "repaired"),
        holdfast=there,
        views=tuple(_view(method) for method in ("fork", "spawn")),
        mapping_mib=size / MIB,
        pages=pages,
        frames=frames,
        crossings=_crossings(lab.folder),
    )


def _view(method: str) -> View:
    context: Any = multiprocessing.get_context(method)
    told, tell = context.Pipe(duplex=False)
    process = context.Process(target=change, args=(tell,))
    process.start()
    child_after, address = told.recv()
    process.join()
    told.close()
    tell.close()
    return View(method, child_after, box[0], address == id(box))


def change(tell: Any) -> None:
    """What the child does: it changes the number and tells what it then sees, and where."""
    box[0] = 0
    tell.send((box[0], id(box)))


def _copied(size: int) -> tuple[tuple[Pages, ...], Frames]:
    """A child writes step by step to a mapping that its parent has filled; it counts its own pages meanwhile."""
    mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        mapping.write(b"\1" * size)
        view = ctypes.c_char.from_buffer(mapping)
        address = ctypes.addressof(view)
        frame = _frame(address)
        told, tell = multiprocessing.Pipe(duplex=False)

        def write() -> None:
            before = _frame(address)
            pages = [_pages(address, 0)]
            for step in range(STEPS):
                mapping.seek(step * size // STEPS)
                mapping.write(b"\2" * (size // STEPS))
                pages.append(_pages(address, (step + 1) * size // STEPS))
            tell.send((pages, before, _frame(address)))

        process = ForkProcess(target=write)
        process.start()
        pages, before, after = told.recv()
        process.join()
        told.close()
        tell.close()
        del view
        return tuple(pages), Frames(frame, before, after)
    finally:
        mapping.close()


def _pages(address: int, written: int) -> Pages:
    """Of the mapping that holds this address, out of proc_pid_smaps(5)."""
    found: dict[str, int] = {}
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            first, _, last = name.partition("-")
            inside = int(first, 16) <= address < int(last, 16)
        elif inside and rest.endswith("kB"):
            found[name[:-1]] = int(rest.split()[0])
    shared = found["Shared_Clean"] + found["Shared_Dirty"]
    private = found["Private_Clean"] + found["Private_Dirty"]
    return Pages(written / MIB, shared / 1024, private / 1024)


def _frame(address: int) -> int:
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        file.seek(address // mmap.PAGESIZE * 8)
        return int(struct.unpack("Q", file.read(8))[0]) & _PFN


def _crossings(folder: Path) -> tuple[Crossing, ...]:
    """What a child can change for its parent, and what it cannot."""
    value = multiprocessing.Value("i", 100)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    path = folder / "offset"
    path.write_bytes(bytes(200))
    number = 100

    def change_global() -> None:
        nonlocal number
        number = 0

    def change_value() -> None:
        value.value = 0

    def change_mapping() -> None:
        shared[0] = 0

    shared[0] = 100
    with path.open("rb", buffering=0) as file, shared:
        file.seek(100)
        _in_child(change_global)
        _in_child(change_value)
        _in_child(change_mapping)
        _in_child(lambda: file.seek(0))
        found = [
            Crossing("global", number),
            Crossing("Value", value.value),
            Crossing("shared mapping", shared[0]),
            Crossing("file offset", os.lseek(file.fileno(), 0, os.SEEK_CUR)),
        ]
    thread = threading.Thread(target=change_global)
    thread.start()
    thread.join()
    return (*found, Crossing("thread", number))


def _in_child(do: Callable[[], object]) -> None:
    process = ForkProcess(target=do)
    process.start()
    process.join()
