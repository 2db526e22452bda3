"""Keeping the memory of keeper and shims shared.

A fork shares every page until one side writes to it. Two things write to objects that nobody changes: the cyclic
collector, and the counting of references, which happens wherever an object is merely looked at. The keeper's objects
live as long as their process, so there is nothing to collect and nothing to count.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from types import CodeType

_IMMORTAL = 0xFFFF_FFFF
"""The low half of the reference count of an immortal object on 64-bit CPython 3.12 and 3.13 (PEP 683, object.h)."""


def share_all() -> int:
    """Makes all that exists now immortal, and invisible to the collector; how many objects were made immortal.

    None were on an interpreter whose immortal objects do not look as those of 3.12 and 3.13 do (3.11 has none): then
    counting goes on, and each shim has some 0.6 MiB for itself that it could share.
    """
    gc.collect()
    count = _immortalise() if _count_of(None).value == _IMMORTAL else 0
    gc.freeze()
    return count


def share_rest() -> None:
    """For a shim, once it is set up: no collection any more. What it does for a job makes no cycles."""
    gc.freeze()
    gc.disable()


def _immortalise() -> int:
    """All that the collector knows, and all that is reachable from there.

    What is immortal is never freed, so containers that are still changed are harmless: what they hold later is counted.
    """
    found: dict[int, object] = {}
    new: list[object] = [sys.modules, *gc.get_objects()]
    while new:
        found.update((id(one), one) for one in new)
        parts = gc.get_referents(*new)
        for one in new:
            if isinstance(one, CodeType):  # unknown to the collector, and so are its parts
                parts += (one.co_consts, one.co_names, one.co_name, one.co_qualname, one.co_filename,
                          one.co_linetable, one.co_exceptiontable)  # fmt: skip
        new = list({id(one): one for one in parts if id(one) not in found}.values())
    for one in found.values():
        _count_of(one).value = _IMMORTAL
    return len(found)


def _count_of(one: object) -> ctypes.c_uint32:
    return ctypes.c_uint32.from_address(id(one))
