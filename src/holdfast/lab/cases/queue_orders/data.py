"""What is observed of the orders of queues."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.lab.seen import Ran

Order = Literal["fifo", "lifo", "priority"]
Carrier = Literal["python", "holdfast"]


class Trial(msgspec.Struct, frozen=True):
    """Numbers in random order, put into a queue and then taken out."""

    carrier: Carrier
    order: Order
    put: tuple[int, ...]
    got: tuple[int, ...]


class Stay(msgspec.Struct, frozen=True):
    """An item's time in a queue, in seconds from the start of its round."""

    item: int
    put_s: float
    got_s: float


class Tie(msgspec.Struct, frozen=True):
    """Two items with the same number, put one after the other into a priority queue."""

    carrier: Carrier
    payload: Literal["dict", "text", "counted dict"]
    """What follows the number: two dicts; two texts, the greater one first; a count and then a dict."""
    error: str
    """What was raised; "" nothing."""
    arrival_order: bool | None
    """Whether the one that was put first came out first; None: none came out."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    fifo: Ran
    lifo: Ran
    priority: Ran
    trials: tuple[Trial, ...]
    stays: tuple[tuple[Order, tuple[Stay, ...]], ...]
    """The same numbers, put and taken at an even pace, by order."""
    ties: tuple[Tie, ...]
    overtaken: int
    """How many later items with smaller numbers came out before one item with a great number."""
    overtakers: int
    """How many such there were."""
