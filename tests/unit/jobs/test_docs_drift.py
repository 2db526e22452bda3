"""The tables in docs/spec/ are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.jobs import diagrams
from holdfast.jobs.recovery import Action
from holdfast.types import Cause, JobState

SPEC = Path(__file__).parents[3] / "docs" / "spec"


@pytest.mark.parametrize(
    ("page", "part"),
    [
        ("job-states.md", diagrams.moves_table()),
        ("job-states.md", f"```mermaid\n{diagrams.moves_diagram()}\n```"),
        ("recovery.md", diagrams.recovery_table()),
    ],
)
def test_what_is_drawn_is_what_is_coded(page: str, part: str) -> None:
    text = (SPEC / page).read_text()
    assert part in text, f"docs/spec/{page} should hold:\n\n{part}"


def test_every_state_cause_and_action_is_explained() -> None:
    states = (SPEC / "job-states.md").read_text()
    for state in JobState:
        assert f"| {state.name} |" in states, state
    for cause in Cause:
        assert f"| `{cause}` |" in states, cause
    recovery = (SPEC / "recovery.md").read_text()
    for action in Action:
        assert f"| {action} |" in recovery.split("## Actions")[1], action
