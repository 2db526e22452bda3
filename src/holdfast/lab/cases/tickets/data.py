"""What is observed of the ticket shop."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Sale(msgspec.Struct, frozen=True):
    """One day at the shop."""

    way: str
    stock: int
    left: int
    """What the file says in the end."""
    runs: tuple[Ran, ...]
    """The programs whose processes bought: one, or two at the same time."""


class Mutex(msgspec.Struct, frozen=True):
    """What a ``multiprocessing.Lock`` does."""

    second_waits: bool
    """Whether its holder waits when it asks again."""
    other_may_release: bool
    """Whether another process can give it back."""
    rlock_again: bool
    """Whether the holder of an RLock may take it again."""
    free_after_error_with: bool
    """Whether it is free when an error has left a ``with``."""
    free_after_error_plain: bool
    """Whether it is free when an error came between acquire and release."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    buyers: int
    pace: float
    sales: tuple[Sale, ...]
    mutex: Mutex
