"""The fuzzers in short, with fixed seeds; `make fuzz` runs them for longer with fresh ones."""

from __future__ import annotations

import hmac

import pytest

from holdfast.wire import enrol
from holdfast.wire.link import Link
from holdfast.wire.request_types import RoleName
from tests.fuzz import fuzz_enrol
from tests.fuzz.campaign import Find
from tests.fuzz.fuzz_frames import fuzz


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


def test_20_000_frames_of_enrolments_find_nothing_and_reach_everything() -> None:
    figures = fuzz_enrol.fuzz(20_000, 1, say=lambda _: None)
    assert {"enrolled", "Unauthorized", "Refused", "RemoteProtocolError", "UnreadableHeader"} <= set(figures)
    assert {"ConnectFailed", "OutcomeUnknown"} <= set(figures)
    assert figures["enrolled"] > 100
    assert fuzz_enrol.fuzz(2_000, 5, say=lambda _: None) == fuzz_enrol.fuzz(2_000, 5, say=lambda _: None)


def test_an_agent_that_takes_every_proof_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless:
        digest = staticmethod(hmac.digest)

        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            return True

    monkeypatch.setattr(enrol, "hmac", Careless)
    with pytest.raises(Find):
        fuzz_enrol.fuzz(20_000, 1, say=lambda _: None)


def test_a_proof_that_does_not_cover_the_certificate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    covering = enrol.transcript

    def forgetful(ask: enrol.EnrolAsk, agent_key: bytes, nonce: bytes, role: RoleName) -> tuple[bytes, ...]:
        parts = covering(ask, agent_key, nonce, role)
        return (*parts[:2], *parts[3:])

    monkeypatch.setattr(enrol, "transcript", forgetful)
    with pytest.raises(Find, match="let in"):
        fuzz_enrol.fuzz(50_000, 1, say=lambda _: None)
