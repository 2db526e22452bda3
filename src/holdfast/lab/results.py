"""The record of a case's run, as it is stored and as it is told to scripts."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.lab.case import Case
from holdfast.lab.seen import Machine
from holdfast.lab.text import Language, Text
from holdfast.lab.verdicts import Ruling


class Leftover(msgspec.Struct, frozen=True):
    """A process that a case had left, and that was ended."""

    pid: int
    command: str


class Result(msgspec.Struct, frozen=True):
    """One run of one case. Nothing in it was concluded: verdicts are computed from ``data``."""

    case: str
    seed: int
    quick: bool
    pace: float
    began_unix_s: float
    seconds: float
    machine: Machine
    data: msgspec.Raw
    """The case's ``Data`` as JSON; null: it failed."""
    lesser: tuple[Text, ...] = ()
    """What could not be done here, and what was done instead."""
    failed: str | None = None
    """The traceback, if it failed."""
    leftovers: tuple[Leftover, ...] = ()


def data_of(case: Case, result: Result) -> msgspec.Struct:
    """What the run has observed.

    Raises:
        ValueError: it failed.
        msgspec.ValidationError: it was stored by another version of the case.
    """
    if result.failed is not None:
        raise ValueError(f"{case.name} failed: {result.failed}")
    return msgspec.json.decode(result.data, type=case.data)


def rulings(case: Case, data: msgspec.Struct) -> dict[str, Ruling]:
    """The verdict on each claim of the case, in the claims' order."""
    return {claim: case.judges[claim](data) for claim in case.claims}


def document(case: Case, result: Result, language: Language = "en") -> dict[str, Any]:
    """The line of ``--json``."""
    if result.failed is not None:
        return {"case": case.name, "failed": result.failed, "seed": result.seed}
    data = data_of(case, result)
    return {
        "case": case.name,
        "seed": result.seed,
        "quick": result.quick,
        "seconds": round(result.seconds, 3),
        "answer": case.answer(data).of(language),
        "claims": [
            {
                "id": identity,
                "claim": case.claims[identity].says.of(language),
                "verdict": ruling.verdict.value,
                "evidence": ruling.evidence.of(language),
                **({"depends_on": ruling.depends_on.of(language)} if ruling.depends_on else {}),
            }
            for identity, ruling in rulings(case, data).items()
        ],
        "figures": {
            name: {"median": f.median, "low": f.low, "high": f.high, "unit": f.unit, "rounds": f.rounds}
            for name, f in case.figures(data).items()
        },
        "lesser": [text.of(language) for text in result.lesser],
        "leftovers": [msgspec.to_builtins(each) for each in result.leftovers],
    }
