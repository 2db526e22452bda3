"""What is observed of producers and consumers."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Shop(msgspec.Struct, frozen=True):
    """Buns that take as long to bake as to eat, one way of doing it."""

    way: str
    seconds: float
    most_waiting: int
    """How many lay on the counter, at the most."""
    wait_s: float
    """How long the baker stood at a full counter, in all."""


class Death(msgspec.Struct, frozen=True):
    """A guest that is killed with a bun in its hands."""

    queue: str
    buns: int
    eaten: int
    """How many were eaten by somebody in the end."""


class Colour(msgspec.Struct, frozen=True):
    """What the escape sequences of a program do to a terminal."""

    lines: int
    coloured: int
    """Lines that begin with a colour."""
    put_off: int
    """Lines after which the terminal writes plainly again."""
    stray: int
    """Lines with a piece of an escape sequence that is printed as text."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    program: Ran
    repaired: Ran
    buns: int
    step_s: float
    shops: tuple[Shop, ...]
    guests: int
    guests_left: int
    """Of so many guests these still waited after one None had been put."""
    colour: Colour
    colour_repaired: Colour
    deaths: tuple[Death, ...]
