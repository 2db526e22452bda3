"""What is observed of memory on both sides of a start."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class View(msgspec.Struct, frozen=True):
    """A list with one number, 100, that a child sets to 0."""

    method: str
    """"fork" or "spawn"."""
    child_after: int
    """What the child reads afterwards."""
    parent_after: int
    same_address: bool
    """Whether both have it at the same address."""


class Pages(msgspec.Struct, frozen=True):
    """A child's copy of a mapping that its parent had filled, in MiB."""

    written: float
    """How much of it the child has written."""
    shared: float
    private: float


class Frames(msgspec.Struct, frozen=True):
    """The physical page behind one virtual address; 0 where the kernel hides the number."""

    parent: int
    child_before: int
    """In the child, before it wrote there."""
    child_after: int


class Crossing(msgspec.Struct, frozen=True):
    """Something that holds 100, and that a child (or a thread) sets to 0."""

    what: str
    """"global", "Value", "shared mapping", "file offset" or "thread"."""
    parent_after: int


class Data(msgspec.Struct, frozen=True):
    """One run."""

    program: Ran
    repaired: Ran
    holdfast: Ran
    """The repaired program with Holdfast's ``Process``."""
    views: tuple[View, ...]
    mapping_mib: float
    pages: tuple[Pages, ...]
    frames: Frames
    crossings: tuple[Crossing, ...]
