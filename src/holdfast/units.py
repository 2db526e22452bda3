"""Durations and sizes as people write them: ``10s 5m 2h 1d`` and ``64K 10M 2G``. Pure; shared by settings and flags."""

from __future__ import annotations

from typing import Final

DURATION_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
"""A bare number counts seconds."""
SIZE_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
"""Powers of 1024; ``KiB``, ``KB`` and lower case are taken to mean the same."""

MOST_SECONDS: Final = 315_360_000.0
"""Ten years: the protocol's own bound for a duration."""
MOST_BYTES: Final = 1 << 62


def parse_duration(text: str) -> float:
    """Seconds meant by ``"10s"``, ``"5m"``, ``"1h30m"``, ``"250ms"`` or a bare number.

    Raises:
        ValueError: not a duration, negative, or more than ten years; the message says what is accepted.
    """
    rest = text.strip().lower()
    total, parts = 0.0, 0
    while rest:
        number = _leading_number(rest)
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("abcdefghijklmnopqrstuvwxyz"))]
        rest = rest[len(unit) :]
        if not number or (not unit and (parts or rest)) or (unit and unit not in DURATION_UNITS_S):
            parts = 0
            break
        total += float(number) * DURATION_UNITS_S[unit or "s"]
        parts += 1
    if not parts:
        raise ValueError(f"{text!r} is not a duration: write 10s, 5m, 2h, 1d or a number of seconds")
    if total > MOST_SECONDS:
        raise ValueError(f"{text!r} is longer than ten years")
    return total


def parse_size(text: str) -> int:
    """Bytes meant by ``"64K"``, ``"10M"``, ``"1.5G"``, ``"10MiB"`` or a bare number; units are powers of 1024.

    Raises:
        ValueError: not a size, negative, a fraction of a byte, or 2**62 and more; the message says what is accepted.
    """
    rest = text.strip().upper()
    number = _leading_number(rest)
    unit = rest[len(number) :].strip()
    for ending in ("IB", "B"):
        if unit.endswith(ending):
            unit = unit[: -len(ending)]
            break
    if not number or unit not in SIZE_UNITS:
        raise ValueError(f"{text!r} is not a size: write 512, 64K, 10M or 2G")
    size = float(number) * SIZE_UNITS[unit] if "." in number else int(number) * SIZE_UNITS[unit]
    if size != int(size) or size >= MOST_BYTES:
        raise ValueError(f"{text!r} is not a whole number of bytes below 2**62")
    return int(size)


def format_duration(seconds: float) -> str:
    """Short text for people, at most two units: ``"850ms"``, ``"12.3s"``, ``"5m03s"``, ``"2h10m"``, ``"3d4h"``."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + "s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s" if whole % 60 else f"{whole // 60}m"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m" if whole % 3600 >= 60 else f"{whole // 3600}h"
    days, hours = whole // 86_400, whole % 86_400 // 3600
    return f"{days}d{hours}h" if hours else f"{days}d"


def format_size(size: int) -> str:
    """Short text for people with three figures at most: ``"0"``, ``"999"``, ``"1.2K"``, ``"640M"``, ``"2G"``."""
    value, unit = float(size), ""
    for unit in SIZE_UNITS:
        if value < 1000:
            break
        if unit != "T":
            value /= 1024
    text = f"{value:.1f}" if value < 10 and unit else f"{value:.0f}"
    return (text[:-2] if text.endswith(".0") else text) + unit


def _leading_number(text: str) -> str:
    size = len(text) - len(text.lstrip("0123456789."))
    number = text[:size]
    return number if number.isascii() and number.count(".") <= 1 and number != "." else ""
