"""The job's tables as Markdown: what docs/spec/ shows is drawn here, and a test compares the two."""

from __future__ import annotations

from typing import get_args

from holdfast.jobs.moves import JOB_MOVES
from holdfast.jobs.recovery import RULES, Rule
from holdfast.jobs.stimuli import Stimulus
from holdfast.types import JobState


def moves_table() -> str:
    """Stimuli down, states across; a dash is an illegal move."""
    states = tuple(JobState)
    lines = [
        "| stimulus | " + " | ".join(state.name for state in states) + " |",
        "|---|" + "---|" * len(states),
    ]
    for kind in get_args(Stimulus):
        targets = [JOB_MOVES.get((state, kind)) for state in states]
        lines.append(f"| `{kind.__name__}` | " + " | ".join("–" if t is None else t.name for t in targets) + " |")
    return "\n".join(lines)


def moves_diagram() -> str:
    """The moves that change the state, as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> QUEUED", "    [*] --> STARTING: a shim was free"]
    for came_from in JobState:
        for target in JobState:
            kinds = [
                kind.__name__
                for (state, kind), to in JOB_MOVES.items()
                if state is came_from and to is target and state is not to
            ]
            if kinds:
                lines.append(f"    {came_from.name} --> {target.name}: {', '.join(kinds)}")
    return "\n".join([*lines, "    DONE --> [*]"])


def recovery_table() -> str:
    """The rules in their order: the first that fits decides."""
    lines = ["| # | if | then | because |", "|---|---|---|---|"]
    lines += [
        f"| {number} | {_conditions(rule)} | {rule.action} | {rule.why} |" for number, rule in enumerate(RULES, start=1)
    ]
    return "\n".join(lines)


def _conditions(rule: Rule) -> str:
    words = []
    for name, value in rule.when.items():
        if isinstance(value, bool):
            words.append(f"{'' if value else 'not '}`{name}`")
        else:
            words.append(f"`{name}` is {value.replace('_', ' ')}")
    return " and ".join(words) or "anything else"
