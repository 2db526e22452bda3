"""Back-off, keys, and what is asked again: pure parts of the client."""

from __future__ import annotations

import os
import uuid
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client import calls, embedded
from holdfast.client.channel import ChannelFeed
from holdfast.client.failures import failure_error
from holdfast.client.resume import CEILING_S, FIRST_MOST_S, LEAST_S, Backoff, ask_again
from holdfast.errors import Conflict, LimitExceeded, NotFound, OffsetGone, Refused, Unauthorized, VersionMismatch
from holdfast.wire import messages as m
from holdfast.wire.limits import INITIAL_WINDOW_BYTES, WINDOW_BYTES


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=12, max_size=12))
def test_delays_start_small_grow_at_most_threefold_and_have_a_ceiling(numbers: list[float]) -> None:
    backoff = Backoff(iter(numbers).__next__)
    delays = [backoff.next_delay() for _ in numbers]
    assert 0 <= delays[0] <= FIRST_MOST_S
    for before, delay in pairwise(delays):
        assert LEAST_S <= delay <= max(3 * max(before, FIRST_MOST_S), LEAST_S)
        assert delay <= CEILING_S


def test_delays_reach_the_ceiling_and_start_over_with_progress() -> None:
    backoff = Backoff(lambda: 0.999)
    assert max(backoff.next_delay() for _ in range(20)) > 14.9
    backoff.progress()
    assert backoff.next_delay() <= FIRST_MOST_S


def test_what_the_peer_asks_for_goes_first() -> None:
    assert Backoff(lambda: 0.0).next_delay(7.5) == 7.5


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=16))
def test_keys_are_uuids_of_version_7_with_their_time(unix_ms: int, random: bytes) -> None:
    parsed = uuid.UUID(calls.uuid7(unix_ms, random))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == unix_ms


def request(**options: Any) -> calls.RunRequest:
    return calls.run_request(["a", b"\xff"], fresh_key="fresh", encode=os.fsencode, **options)


def test_defaults_follow_the_kind_of_job() -> None:
    attached, detached, keyed = request().request, request(attach=False).request, request(key="k").request
    assert (attached.on_disconnect, attached.durability, attached.key) == (60.0, "process", "fresh")
    assert (detached.on_disconnect, detached.durability) == ("keep", "power")
    assert (keyed.durability, keyed.key, keyed.user_key) == ("power", "k", True)


def test_bytes_of_arguments_environment_and_directory_travel_exactly() -> None:
    run = request(env={"K": "ü\udcff"}, cwd=b"/\xfe")
    assert m.unpack_items(run.request, run.body) == ([b"a", b"\xff"], [b"K=" + "ü".encode() + b"\xff"], b"/\xfe")


def ask(job: str | None, wanted: dict[int, int]) -> m.Request:
    return ask_again(
        request(), job, wanted, lease=True, follow=True, credit=INITIAL_WINDOW_BYTES, incarnation="i"
    ).request


def test_a_run_without_an_id_is_asked_by_key_and_journal() -> None:
    again = ask(None, {1: 0, 2: 0})
    assert isinstance(again, m.Run)
    assert (again.key, again.incarnation) == ("fresh", "i")


def test_a_run_with_an_id_is_read_from_where_it_stands() -> None:
    assert ask("job1", {1: 500}) == m.Read("job1", {"1": 500}, lease=True)
    assert ask("job1", {}) == m.Wait("job1", True)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (102, VersionMismatch),
        (200, Unauthorized),
        (302, NotFound),
        (303, Conflict),
        (304, Refused),
        (310, Conflict),
        (400, LimitExceeded),
        (402, LimitExceeded),
        (500, Refused),
    ],
)
def test_codes_become_exceptions_that_know_whether_it_ran(code: int, kind: type[Refused]) -> None:
    error = failure_error(m.Failure(code, "text", "yes", 2.5))
    assert type(error) is kind
    assert (error.code, error.ran, error.retry_after_s) == (code, "yes", 2.5)


def test_gone_bytes_name_the_oldest_kept() -> None:
    error = failure_error(m.Failure(307, "gone", first=12))
    assert isinstance(error, OffsetGone)
    assert error.first == 12


def test_credit_is_given_by_halves_and_the_window_grows_to_its_bound() -> None:
    channel = ChannelFeed(1, 0)
    channel.open(INITIAL_WINDOW_BYTES)
    channel.take(bytes(INITIAL_WINDOW_BYTES // 2 - 1))
    assert channel.credit(WINDOW_BYTES) is None
    limits = []
    for _ in range(200):
        channel.take(bytes(65_536))
        limit = channel.credit(WINDOW_BYTES)
        if limit is not None:
            assert limit - channel.delivered <= WINDOW_BYTES
            limits.append(limit)
    assert limits == sorted(set(limits))
    assert channel.window == WINDOW_BYTES


@pytest.mark.parametrize(
    ("theirs", "older"),
    [
        ("holdfast/0.0.9", True),
        ("holdfast/0.1.0", False),
        ("holdfast/0.10.0", False),
        ("other/0.0.1", False),
        ("", False),
    ],
)
def test_only_an_older_agent_of_ours_is_replaced(theirs: str, older: bool) -> None:
    assert embedded.is_older(theirs, "holdfast/0.1.0") is older
