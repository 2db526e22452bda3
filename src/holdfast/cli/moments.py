"""Points in time as people write them. Pure but for the rules of the local time zone, which the C library has."""

from __future__ import annotations

import re
from typing import Final

from holdfast.units import parse_duration

ACCEPTED: Final = "2027-01-31T03:00, the same with an offset (+01:00, Z), 03:00 or now+5m"

_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def parse_moment(text: str, now: float) -> float:
    """Unix seconds meant by an ISO 8601 moment, by ``HH:MM`` (the next time that clocks show it), or ``now+5m``.

    Without an offset it is local time. A date alone is its first moment.

    Args:
        text: As written.
        now: Unix seconds.

    Raises:
        ValueError: it is none, or is past; the message says what is accepted.
    """
    word = text.strip()
    if word.lower().startswith("now"):
        return _from_now(text, word[3:].strip(), now)
    if (clock := _CLOCK.fullmatch(word)) is not None:
        return _next_time(now, *(int(part or 0) for part in clock.groups()))
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(word).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is not a time: write {ACCEPTED}") from None
    if moment < now:
        raise ValueError(f"{text!r} is past")
    return moment


def _from_now(text: str, rest: str, now: float) -> float:
    if not rest:
        return now
    if not rest.startswith("+"):
        raise ValueError(f"{text!r} is not a time: write {ACCEPTED}")
    return now + parse_duration(rest[1:])


def _next_time(now: float, hour: int, minute: int, second: int) -> float:
    from datetime import datetime, timedelta

    today = datetime.fromtimestamp(now)
    moment = today.replace(hour=hour, minute=minute, second=second, microsecond=0, fold=0)
    # Days are added to what clocks show: in the night in which they change, a day is not 24 hours.
    while moment.timestamp() <= now:
        moment += timedelta(days=1)
    return moment.timestamp()
