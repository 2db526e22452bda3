"""``holdfast lab list|show|run|report``: what is asked for, what is printed, and what a failure comes to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from holdfast.lab import stage
from holdfast.lab.case import Case
from holdfast.lab.results import Leftover, Result
from holdfast.lab.workbench import this_machine
from tests.unit.cli.conftest import Call
from tests.unit.lab.outcomes import deadlock, semaphore

DATA = {"semaphore": semaphore.TRUE, "deadlock": deadlock.TRUE}


@dataclass
class Stage:
    """Stands in for ``perform``: every case observes what its outcomes file takes for true."""

    asked: list[tuple[str, int, bool]] = field(default_factory=list)
    failed: str | None = None
    leftovers: tuple[Leftover, ...] = ()

    def __call__(self, case: Case, *, seed: int, quick: bool) -> Result:
        self.asked.append((case.name, seed, quick))
        data = msgspec.Raw(msgspec.json.encode(DATA[case.name]))
        return Result(
            case.name, seed, quick, 0.05, 0.0, 1.0, this_machine(), data, failed=self.failed, leftovers=self.leftovers
        )


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> Stage:
    fake = Stage()
    monkeypatch.setattr(stage, "perform", fake)
    return fake


def test_the_list_is_searched_in_both_languages(call: Call) -> None:
    assert b"semaphore" in call("lab", "list").out
    for word in ("信号量", "SEMAPHORE", "n097"):
        lines = call("lab", "list", word).out.decode().splitlines()
        assert [line.split()[0] for line in lines] == ["CASE", "semaphore"]
    (document,) = map(json.loads, call("lab", "list", "semaphore", "--json").out.splitlines())
    assert document["claims"] == ["n096", "n097", "n098", "n099"]
    assert document["programs"] == [24]


def test_the_list_follows_the_notes_with_their_own_headings(call: Call) -> None:
    lines = call("lab", "list", "--notes").out.decode().splitlines()
    headings = [line for line in lines if "信号量" in line or "死锁现象与递归锁" in line]
    assert [heading.split()[-1] for heading in headings] == ["deadlock", "semaphore"]
    assert "n092-n095" in headings[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nosuch"), "no case has to do with 'nosuch'"),
        (("show", "e"), "'e' may mean"),
        (("run",), "missing argument 'CASE...'"),
        (("report",), "no case has been run yet"),
        (("show", "deadlock", "--program", "broken"), "'broken' is not one of"),
    ],
)
def test_a_wrong_request_is_one_clear_line(call: Call, performed: Stage, arguments: tuple[str, ...], said: str) -> None:
    outcome = call("lab", *arguments)
    assert (outcome.code, outcome.out) == (2, b"")
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert performed.asked == []


def test_a_case_is_shown_before_and_after_it_was_run(call: Call, performed: Stage) -> None:
    before = call("lab", "show", "semaphore").out.decode()
    assert "Question" in before
    assert "holdfast lab run semaphore" in before
    assert "confirmed" not in before
    call("lab", "run", "semaphore")
    after = call("lab", "show", "信号量", "--lang", "zh").out.decode()
    assert "n097  不成立" in after


def test_programs_are_printed_as_they_are_in_the_files(call: Call) -> None:
    notes = call("lab", "show", "deadlock", "--program", "as-in-the-notes").out.decode()
    assert "p22_as_in_the_notes.py" in notes
    assert "lock_b = lock_a" in notes  # the second of them
    repaired = call("lab", "show", "deadlock", "--program", "repaired").out.decode()
    assert "p22_repaired.py" in repaired
    assert "nothing to repair" in repaired


def test_one_document_a_case(call: Call, performed: Stage) -> None:
    outcome = call("lab", "run", "semaphore", "deadlock", "semaphore", "--seed", "7", "--quick", "--json")
    documents = [json.loads(line) for line in outcome.out.splitlines()]
    assert performed.asked == [("semaphore", 7, True), ("deadlock", 7, True)]
    assert [document["case"] for document in documents] == ["semaphore", "deadlock"]
    assert {"id", "claim", "verdict", "evidence"} <= set(documents[0]["claims"][0])
    assert documents[0]["figures"]["wait"]["unit"] == "s"
    assert outcome.code == 0


def test_several_cases_end_with_a_table_of_verdicts(call: Call, performed: Stage) -> None:
    outcome = call("lab", "run", "semaphore", "deadlock")
    last = outcome.out.decode().splitlines()[-9:]
    assert last[0].split() == ["CASE", "CLAIM", "VERDICT", "THE", "NOTES", "SAY"]
    assert [line.split()[1] for line in last[1:]] == [f"n{n:03}" for n in (96, 97, 98, 99, 92, 93, 94, 95)]
    seeds = {seed for _, seed, _ in performed.asked}
    assert len(seeds) == 1
    assert f"--seed {seeds.pop()}" in outcome.err


def test_a_failed_case_and_a_leftover_are_told(call: Call, performed: Stage) -> None:
    performed.failed = "Traceback\nOSError: no room"
    outcome = call("lab", "run", "semaphore", "--json")
    assert outcome.code == 1
    assert "semaphore failed: OSError: no room" in outcome.err
    performed.failed, performed.leftovers = None, (Leftover(4711, "sleep 9"),)
    outcome = call("lab", "run", "semaphore")
    assert outcome.code == 1
    assert "left process 4711 behind (sleep 9)" in outcome.err


def test_runs_are_kept_where_only_their_owner_reads(call: Call, performed: Stage, tmp_path: Path) -> None:
    call("lab", "run", "semaphore")
    state = tmp_path / "state"
    assert state.stat().st_mode & 0o077 == 0
    assert (state / "lab" / "semaphore.json").exists()


def test_a_report_of_the_last_runs(call: Call, performed: Stage, tmp_path: Path) -> None:
    call("lab", "run", "semaphore")
    page = tmp_path / "page.html"
    outcome = call("lab", "report", "-o", str(page))
    assert outcome.code == 0
    assert outcome.out.decode().strip() == str(page)
    assert "not in the report, since they have not been run: " in outcome.err
    assert "n097" in page.read_text()
    folder = tmp_path / "markdown"
    assert call("lab", "report", "--markdown", str(folder), "--lang", "zh").code == 0
    assert "不成立" in (folder / "README.md").read_text()
