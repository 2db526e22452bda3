"""Durations and sizes, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86_400),
        ("90", 90),
        ("1.5", 1.5),
        ("250ms", 0.25),
        ("1h30m", 5400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds
    assert units.parse_duration(f" {text.upper()} ") == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "10x", "1.2.3", "10 s", "5m3", "5m 3s", "1e3", "inf", "²", "99999d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|ten years"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("64K", 65_536),
        ("10M", 10 << 20),
        ("2G", 2 << 30),
        ("1.5k", 1536),
        ("3MiB", 3 << 20),
        ("1 KB", 1024),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "K", "-1", "1.1", "10X", "1KK", "9" * 30, "٣"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|bytes"):
        units.parse_size(text)


@given(st.text(max_size=12))
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    for parse in (units.parse_duration, units.parse_size):
        try:
            assert parse(text) >= 0
        except ValueError as error:
            assert "\n" not in str(error)  # noqa: PT017


@given(st.floats(0, units.MOST_SECONDS))
def test_a_formatted_duration_is_read_back_to_two_figures(seconds: float) -> None:
    again = units.parse_duration(units.format_duration(seconds))
    assert abs(again - seconds) <= max(0.0006, 0.06 * seconds)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0"), (999, "999"), (1000, "1K"), (1536, "1.5K"), (10_240, "10K"), (640 << 20, "640M"), (2 << 30, "2G")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert units.format_size(size) == text
