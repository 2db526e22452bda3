"""Plans follow from the seed alone, and are as their options say."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from holdfast.lab.chaos_plan import EARLY_BYTES, NEVER, ConnectionPlan, Cut, Kind, Options, SeededPlan

MANY = 4000


def cuts(options: Options) -> list[Cut]:
    plan = SeededPlan(options)
    return [cut for number in range(MANY) if (cut := plan.connection(number).cut) is not None]


def test_a_plan_follows_from_seed_and_number_in_any_order_and_process() -> None:
    plan = SeededPlan(Options(seed=7, delay_s=0.1, rate_bytes_s=1000, endless_share=0.3))
    forwards = [plan.connection(number) for number in range(50)]
    assert [plan.connection(number) for number in reversed(range(50))] == forwards[::-1]
    program = (
        "from holdfast.lab.chaos_plan import *\n"
        "plan = SeededPlan(Options(seed=7, delay_s=0.1, rate_bytes_s=1000, endless_share=0.3))\n"
        "print([plan.connection(number) for number in range(50)])"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert other.strip() == repr(forwards)
    assert [SeededPlan(Options(seed=8)).connection(number) for number in range(50)] != forwards


def test_cuts_come_after_the_mean_and_in_every_kind() -> None:
    drawn = cuts(Options(seed=1, mean_bytes=10_000))
    assert len(drawn) == MANY
    assert 9_000 < sum(cut.to_client for cut in drawn) / MANY < 11_000
    assert min(cut.to_client for cut in drawn) >= 1
    for kind, number in Counter(cut.kind for cut in drawn).items():
        assert MANY / 4 * 0.85 < number < MANY / 4 * 1.15, kind
    assert all(cut.exact == (cut.kind is Kind.TORN) for cut in drawn)


def test_some_cuts_come_early() -> None:
    early = [cut.to_agent for cut in cuts(Options(seed=2, early_share=0.25)) if cut.to_agent != NEVER]
    assert MANY * 0.22 < len(early) < MANY * 0.28
    assert min(early) >= 1
    assert max(early) <= EARLY_BYTES
    assert max(early) > EARLY_BYTES * 0.9


def test_silences_end_unless_told_otherwise() -> None:
    silences = [cut.silence_s for cut in cuts(Options(seed=3, silence_s=0.5)) if cut.kind is Kind.SILENCE]
    assert None not in silences
    assert all(0.0 <= seconds < 0.5 for seconds in silences if seconds is not None)
    silences = [cut.silence_s for cut in cuts(Options(seed=3, kinds=(Kind.SILENCE,), endless_share=0.5))]
    assert MANY * 0.45 < silences.count(None) < MANY * 0.55


def test_kinds_are_those_asked_for() -> None:
    assert cuts(Options(kinds=())) == []
    assert SeededPlan(Options(kinds=())).connection(0) == ConnectionPlan()
    assert {cut.kind for cut in cuts(Options(kinds=(Kind.RST,)))} == {Kind.RST}


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_delays_and_rates(share: float) -> None:
    plan = SeededPlan(Options(seed=4, delay_s=0.2, rate_bytes_s=1000, throttled_share=share))
    drawn = [plan.connection(number) for number in range(MANY)]
    assert all(0.0 <= each.delay_s < 0.2 for each in drawn)
    rates = [each.rate_bytes_s for each in drawn if each.rate_bytes_s]
    assert MANY * (share - 0.05) < len(rates) < MANY * (share + 0.05) or len(rates) == MANY * share
    assert all(1000 <= rate < 10_000 for rate in rates)
