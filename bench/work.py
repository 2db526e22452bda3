"""What the workers of ``call``, ``submit`` and ``map`` run: next to nothing."""

from __future__ import annotations


def successor(number: int) -> int:
    """The next number."""
    return number + 1
