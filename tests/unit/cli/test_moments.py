"""Points in time as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from holdfast.cli.moments import parse_moment

NOON = 1_769_857_200.0
"""2026-01-31T12:00:00 in Berlin."""


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    if time.strftime("%H", time.localtime(NOON)) != "12":
        pytest.skip("this machine has no time zones")
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-31T13:00", "2026-01-31T13:00:00+0100"),
        ("2026-01-31 13:00:05", "2026-01-31T13:00:05+0100"),
        ("2026-01-31T13:00Z", "2026-01-31T14:00:00+0100"),
        ("2026-01-31T13:00-02:00", "2026-01-31T16:00:00+0100"),
        ("2026-02-01", "2026-02-01T00:00:00+0100"),
        ("2026-07-01T03:00", "2026-07-01T03:00:00+0200"),
        ("13:30", "2026-01-31T13:30:00+0100"),
        (" 03:00 ", "2026-02-01T03:00:00+0100"),
        ("3:00", "2026-02-01T03:00:00+0100"),
        ("12:00", "2026-02-01T12:00:00+0100"),
        ("12:00:01", "2026-01-31T12:00:01+0100"),
        ("now", "2026-01-31T12:00:00+0100"),
        ("now+5m", "2026-01-31T12:05:00+0100"),
        ("NOW + 1h30m", "2026-01-31T13:30:00+0100"),
    ],
)
def test_what_is_meant(text: str, shown: str) -> None:
    assert time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(parse_moment(text, NOON))) == shown


def test_the_next_time_over_the_night_in_which_clocks_change() -> None:
    evening = datetime(2026, 3, 28, 20, 0).timestamp()
    assert parse_moment("19:00", evening) - evening == 22 * 3600
    assert parse_moment("02:30", evening) > evening


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a time: write 2027"),
        ("soon", "is not a time: write 2027"),
        ("25:00", "is not a time"),
        ("12:60", "is not a time"),
        ("2026-02-30", "is not a time"),
        ("99999-01-01", "is not a time"),
        ("now-5m", "is not a time"),
        ("now+soon", "is not a duration"),
        ("2026-01-31T11:59", "is past"),
        ("1969-01-01", "is past"),
    ],
)
def test_what_is_none(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_moment(text, NOON)
