"""Start keys: form, horizon, and what is remembered."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.calls import uuid7
from holdfast.jobs import keys
from holdfast.jobs.keys import CLOCK_SLACK_S, HORIZON_S

NOW = 1_800_000_000.0


def make(unix_s: float, random: bytes) -> str:
    """A generated key as clients make it."""
    return uuid7(int(unix_s * 1000), random)


@given(st.floats(0, 2**47 / 1000), st.binary(min_size=10, max_size=10))
def test_a_generated_key_is_a_uuid_that_tells_its_birth(now: float, random: bytes) -> None:
    key = make(now, random)
    parsed = uuid.UUID(key)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    born = keys.born_unix_s(key)
    assert born is not None
    assert born == int(now * 1000) / 1000


def test_generated_keys_of_one_moment_differ_and_sort_by_birth() -> None:
    first, second = make(NOW, bytes(10)), make(NOW, b"\x00" * 9 + b"\x01")
    assert first != second
    later = make(NOW + 0.001, bytes(10))
    hashes = [keys.remembered(key, generated=True, now_unix_s=NOW).hash for key in (first, second, later)]
    assert hashes == sorted(hashes)
    assert {len(value) for value in hashes} == {16}


@pytest.mark.parametrize(
    ("age_s", "verdict"),
    [
        (0.0, "ok"),
        (HORIZON_S - CLOCK_SLACK_S - 1, "ok"),
        (HORIZON_S - CLOCK_SLACK_S + 1, "expired"),
        (10 * HORIZON_S, "expired"),
        (-CLOCK_SLACK_S + 1, "ok"),
        (-CLOCK_SLACK_S - 1, "ahead"),
    ],
)
def test_the_horizon(age_s: float, verdict: str) -> None:
    assert keys.check(make(NOW - age_s, bytes(10)), generated=True, now_unix_s=NOW) == verdict


@given(st.floats(-2 * HORIZON_S, 2 * HORIZON_S), st.floats(0, 100 * HORIZON_S))
def test_a_key_that_may_be_forgotten_is_refused_from_then_on(age_s: float, later_s: float) -> None:
    """The promise behind pruning: forgotten never turns into new, even if the clock is set back a little."""
    key = make(NOW - age_s, bytes(10))
    born = keys.born_unix_s(key)
    assert born is not None
    if born < keys.droppable_before(NOW):
        assert keys.check(key, generated=True, now_unix_s=NOW + later_s) == "expired"
        assert keys.check(key, generated=True, now_unix_s=NOW - CLOCK_SLACK_S) == "expired"


@pytest.mark.parametrize(
    "key", ["", "build-42", str(uuid.UUID(int=0)), "8c93c298-a5ea-4a9a-82b3-e82ac14be818", make(NOW, bytes(10)).upper()]
)
def test_what_is_not_a_uuid7_is_no_generated_key(key: str) -> None:
    assert keys.check(key, generated=True, now_unix_s=NOW) == "invalid"
    assert keys.born_unix_s(key) is None


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        ("", "invalid"),
        ("x", "ok"),
        ("x" * 255, "ok"),
        ("x" * 256, "invalid"),
        ("é" * 127, "ok"),
        ("é" * 128, "invalid"),
    ],
)
def test_a_users_key_is_1_to_255_bytes_and_never_expires(key: str, verdict: str) -> None:
    assert keys.check(key, generated=False, now_unix_s=NOW) == verdict


def test_a_users_key_is_remembered_as_a_hash() -> None:
    key = keys.remembered("build-42", generated=False, now_unix_s=NOW)
    assert key.hash == hashlib.sha256(b"build-42").digest()
    assert (key.kind, key.born_unix_s) == ("user", NOW)
    assert keys.remembered("build-43", generated=False, now_unix_s=NOW).hash != key.hash


def test_a_user_may_name_a_key_like_a_uuid_without_meeting_a_generated_one() -> None:
    name = make(NOW, bytes(10))
    user, generated = (keys.remembered(name, generated=flag, now_unix_s=NOW) for flag in (False, True))
    assert user.hash != generated.hash
