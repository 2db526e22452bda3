"""The fuzzers in short, with fixed seeds; `make fuzz` runs them for longer with fresh ones."""

from __future__ import annotations

import pytest

from holdfast.wire.link import Link
from tests.fuzz.fuzz_frames import Find, fuzz


def test_20_000_frames_find_nothing_and_reach_everything() -> None:
    figures = fuzz(20_000, 1, say=lambda _: None)
    assert figures["frames"] >= 20_000
    told = {"DataReceived", "EndReceived", "GapReceived", "CreditReceived", "AckReceived", "EventReceived", "Answered"}
    told |= {"Failed", "Cancelled", "GoAwayReceived", "HelloReceived", "Welcomed", "RequestReceived", "LinkClosed"}
    assert told <= set(figures)
    assert {"error 100", "error 101", "error 102", "error 104"} <= set(figures)


def test_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Link, code: int = 0, text: str = "") -> None:
        raise KeyError("planted")

    monkeypatch.setattr(Link, "_break", broken)
    with pytest.raises(Find, match="KeyError"):
        fuzz(2_000, 1, say=lambda _: None)


def test_one_seed_gives_one_run() -> None:
    assert fuzz(2_000, 5, say=lambda _: None) == fuzz(2_000, 5, say=lambda _: None)
