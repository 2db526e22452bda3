"""What becomes of a claim: verdicts, and what they rest on."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from holdfast.lab.text import Text


class Verdict(StrEnum):
    """How a claim stands after the experiment."""

    CONFIRMED = "confirmed"
    REFINED = "refined"
    """True in part only, or for another reason; the evidence says what is true."""
    REFUTED = "refuted"
    DEFINITION = "definition"
    """Nothing can be measured: it gives something a name."""


class Ruling(msgspec.Struct, frozen=True):
    """A verdict with its evidence: one to three sentences with the numbers of this very run."""

    verdict: Verdict
    evidence: Text
    depends_on: Text | None = None
    """What else the verdict hangs on: "CPython 3.13 without GIL", "two cores", "Linux"; None: on nothing here."""


class Claim(msgspec.Struct, frozen=True):
    """What the notes say, in our words. ``term`` is their own key word, as they write it."""

    says: Text
    term: str = ""


def confirmed(en: str, zh: str, *, depends_on: Text | None = None) -> Ruling:
    """The claim holds."""
    return Ruling(Verdict.CONFIRMED, Text(en, zh), depends_on)


def refined(en: str, zh: str, *, depends_on: Text | None = None) -> Ruling:
    """The claim holds in part."""
    return Ruling(Verdict.REFINED, Text(en, zh), depends_on)


def refuted(en: str, zh: str, *, depends_on: Text | None = None) -> Ruling:
    """The claim does not hold."""
    return Ruling(Verdict.REFUTED, Text(en, zh), depends_on)


def definition(en: str, zh: str) -> Ruling:
    """The claim names something."""
    return Ruling(Verdict.DEFINITION, Text(en, zh))
