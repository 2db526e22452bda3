"""Medians, verdicts and the page: what the harness says about what it measured."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from bench import report
from bench.figures import LIMITS, NEIGHBOURS, Figure, Kind, Line, verdict
from bench.figures import figure as line_of
from bench.samples import ContestantFailed, Reading, Turns, in_turns, percentile, reading


def figure(
    value: float | None,
    target: float | None,
    *,
    kind: Kind = "latency",
    better: Literal["lower", "higher"] = "lower",
    failed: str = "",
) -> Figure:
    got = None if value is None else reading([value])
    return Figure(
        id="x", what="a figure", unit="ms", kind=kind, better=better, holdfast=got, target=target, failed=failed,
        limits={"local": Reading(0.5, 0.4, 0.7, 3)},
    )  # fmt: skip


def test_a_reading_is_the_median_with_its_spread() -> None:
    assert reading([3.0, 1.0, 10.0]) == Reading(3.0, 1.0, 10.0, 3)
    with pytest.raises(ValueError, match="at least one"):
        reading([])


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_percentiles_are_nearest_rank(share: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.1), ([1.0], -0.1)])
def test_a_percentile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="values, share"):
        percentile(values, share)


def test_contestants_take_turns() -> None:
    order: list[str] = []

    def turn(name: str, value: float) -> float:
        order.append(name)
        return value

    found = in_turns(3, {"a": lambda: turn("a", 1.0), "b": lambda: turn("b", 2.0)})
    assert order == ["a", "b"] * 3
    assert found.readings["b"] == Reading(2.0, 2.0, 2.0, 3)
    assert not found.failed


def test_a_contestant_that_fails_is_out_and_the_others_go_on() -> None:
    """Its earlier rounds count for nothing: a median of the rounds before a failure would flatter it."""
    asked: list[str] = []

    def fails_the_second_time() -> float:
        asked.append("a")
        if len(asked) == 2:
            raise ContestantFailed("the server went away")
        return 1.0

    found = in_turns(4, {"a": fails_the_second_time, "b": lambda: 2.0})
    assert asked == ["a", "a"]
    assert found.failed == {"a": "the server went away"}
    assert found.readings == {"b": Reading(2.0, 2.0, 2.0, 4)}


def line(better: Literal["lower", "higher"] = "lower") -> Line:
    return Line(
        id="x", of="tls_blocking", what="a figure", unit="ms", kind="latency", better=better, target=1.0,
        beside=("bare_ssl", "bare_uvloop", "asyncssh", "openssh"),
    )  # fmt: skip


@pytest.mark.parametrize(("better", "to_limit", "to_neighbour"), [("lower", 3.0, 1.5), ("higher", 2.0, 0.75)])
def test_the_ratios_are_those_to_the_best(
    better: Literal["lower", "higher"], to_limit: float, to_neighbour: float
) -> None:
    values = {"tls_blocking": 6.0, "bare_ssl": 3.0, "bare_uvloop": 2.0, "asyncssh": 8.0, "openssh": 4.0}
    found = line_of(line(better), Turns({name: reading([value]) for name, value in values.items()}, {}))
    assert found.ratio == to_limit
    assert found.ratio_to_neighbour == to_neighbour


def test_what_is_not_installed_is_told_in_its_column() -> None:
    """A neighbour that is missing is no failure of the figure, and no silence either."""
    turns = Turns(
        {"tls_blocking": reading([0.9]), "bare_uvloop": reading([0.3])},
        {"openssh": "not installed (sshd)", "asyncssh": "not installed", "bare_ssl": "no port"},
    )
    page = report.to_markdown(results(line_of(line(), turns)), {})
    cells = "bare uvloop 0.30<br>bare ssl: no port | AsyncSSH: not installed<br>OpenSSH: not installed (sshd)"
    assert f"| a figure | ms | {cells} | 0.90 | 3.00 | – | ≤ 1.00 | met |" in page


@pytest.mark.parametrize(
    ("median", "words"), [(30.0, "met"), (15.0, "missed by 50 %"), (31.0, "met"), (29.0, "missed by 3 %")]
)
def test_a_target_may_be_a_multiple_of_the_limit(median: float, words: str) -> None:
    """Three times as fast as what the machine's own pool gives in the same run, however fast that is today."""
    wanted = Line(
        id="x", of="blocking", what="a map", unit="/s", kind="throughput", better="higher", beside=("processes",),
        target_ratio=3.0,
    )  # fmt: skip
    found = line_of(wanted, Turns({"blocking": reading([median]), "processes": reading([10.0])}, {}))
    assert (found.aim, verdict(found, 0.1)) == (30.0, words)
    assert f"| ≥ 3.00 × limit | {words} |" in report.to_markdown(results(found), {"x": "a note"})


def test_a_multiple_of_a_limit_that_is_not_there_is_no_target_and_not_met() -> None:
    wanted = Line(id="x", of="blocking", what="", unit="/s", kind="throughput", better="higher", target_ratio=3.0)
    found = line_of(wanted, Turns({"blocking": reading([9.0])}, {}))
    assert (found.aim, found.missed_by, verdict(found, 0.1)) == (None, None, "no verdict (no limit to go by)")


def test_a_holdfast_that_fails_misses_its_target_with_the_reason() -> None:
    found = line_of(line(), Turns({"asyncssh": reading([2.0])}, {"tls_blocking": "the agent did not start"}))
    assert verdict(found, 0.1) == "not reached: the agent did not start"
    assert (found.holdfast, found.ratio, found.ratio_to_neighbour) == (None, None, None)


def test_every_contestant_has_a_name_in_the_table() -> None:
    """A line names contestants; one without a name for people would break the report of a whole run."""
    from bench.cases import calls, commands, requests, shared, streaming

    named = {*LIMITS, *NEIGHBOURS}
    beside = {*commands.BESIDE, *streaming.BESIDE_TLS, *streaming.BESIDE_UNIX, *calls.BESIDE, *shared.NEIGHBOURS}
    assert beside | {name for _, names in requests.OURS.values() for name in names} <= named


@pytest.mark.parametrize(
    ("found", "load", "words"),
    [
        (figure(1.0, 1.0), 0.2, "met"),
        (figure(1.001, 1.0), 0.2, "missed by 1 %"),
        (figure(1.5, 1.0), 0.99, "missed by 50 %"),
        (figure(1.5, 1.0), 1.0, "no verdict (load 1.0)"),
        (figure(0.5, 1.0), 1.0, "no verdict (load 1.0)"),
        (figure(1500.0, 2000.0, kind="throughput", better="higher"), 0.2, "missed by 25 %"),
        (figure(1500.0, 2000.0, kind="throughput", better="higher"), 3.0, "missed by 25 % (load 3.0)"),
        (figure(2000.0, 2000.0, kind="throughput", better="higher"), 3.0, "met"),
        (figure(70.0, 64.0, kind="memory"), 3.0, "missed by 9 %"),
        (figure(1.0, None), 0.2, "no target"),
        (figure(None, 1.0, failed="no server"), 0.2, "not reached: no server"),
    ],
)
def test_the_verdict(found: Figure, load: float, words: str) -> None:
    assert verdict(found, load) == words


def results(*figures: Figure, load: float = 0.1) -> report.Results:
    return report.Results(
        date="2026-01-01", size="quick", seconds=1.0, load_before=load, machine={"cores": "2"},
        versions={"python": "3.11"}, figures=figures,
    )  # fmt: skip


def test_the_page_quotes_the_note_of_a_missed_figure() -> None:
    page = report.to_markdown(results(figure(1.5, 1.0)), {"x": "The journal\nwaits."})
    assert "| a figure | ms | local 0.50 (0.40–0.70) | – | 1.50 | 3.00 | – | ≤ 1.00 | missed by 50 % |" in page
    assert "**a figure**: The journal waits." in page
    assert "was busy" not in page


def test_the_page_owes_a_note_that_nobody_has_written() -> None:
    assert "not explained yet (`x` in `notes.toml`)" in report.to_markdown(results(figure(1.5, 1.0)), {})
    assert "What bounds" not in report.to_markdown(results(figure(0.9, 1.0)), {"x": "a note"})


def test_the_page_says_that_the_machine_was_busy() -> None:
    assert "**The machine was busy** (load average 2.50" in report.to_markdown(results(load=2.5), {})


def test_results_can_be_read_back() -> None:
    before = results(figure(1.5, 1.0), figure(None, None, failed="gone"))
    assert report.to_json(msgspec.json.decode(report.to_json(before), type=report.Results)) == report.to_json(before)


def test_notes_are_texts_by_id() -> None:
    assert report.read_notes('[bounds]\nx = "y"') == {"x": "y"}
    for bad in ("[bounds]\nx = 1", "[bound]\nx = 'y'", "x"):
        with pytest.raises(msgspec.MsgspecError):
            report.read_notes(bad)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "0.012"), (0.5, "0.50"), (9.99, "9.99"), (12.34, "12.3"), (1234.5, "1 234")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert report.number(value) == text
