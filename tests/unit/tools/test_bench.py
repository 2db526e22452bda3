"""A figure is judged by its goal, and only when the machine is quiet enough for a verdict."""

from __future__ import annotations

from bench.__main__ import line
from bench.cases import Figure

SLOW = Figure("a thing", 2.5, "ms", 1.0, beside="elsewhere: 3 ms")


def test_a_goal_is_an_upper_bound_or_for_rates_a_lower_one() -> None:
    assert not SLOW.reached
    assert SLOW._replace(value=1.0).reached
    rate = Figure("a rate", 1999.0, "/s", 2000, more_is_better=True)
    assert not rate.reached
    assert rate._replace(value=2000.0).reached


def test_no_verdict_on_a_busy_machine() -> None:
    assert line(SLOW, judged=True).split() == ["a", "thing", "2.50", "ms", "<=", "1", "MISSED", "elsewhere:", "3", "ms"]
    assert "MISSED" not in line(SLOW, judged=False)
