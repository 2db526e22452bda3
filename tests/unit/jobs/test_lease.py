"""The client-loss policy: when it runs, when it stops, when it is over."""

from __future__ import annotations

import pytest

from holdfast.jobs.lease import RECOVERY_GRACE_S, Lease
from holdfast.types import OnDisconnect


def test_it_runs_out_after_the_last_client() -> None:
    lease = Lease(60.0)
    assert lease.attach(b"a") is None
    assert lease.attach(b"b") is None
    assert lease.detach(b"a", 10.0) is None
    assert lease.detach(b"b", 20.0) == 80.0
    assert (lease.expired(79.9), lease.expired(80.0)) == (False, True)
    assert lease.left_s(30.0) == 50.0
    assert lease.left_s(99.0) == 0.0


def test_coming_back_stops_it() -> None:
    lease = Lease(60.0)
    lease.attach(b"a")
    lease.detach(b"a", 0.0)
    assert lease.attach(b"a") is None
    assert not lease.expired(1e9)
    assert lease.detach(b"a", 100.0) == 160.0


def test_a_client_that_is_attached_twice_counts_until_both_ends() -> None:
    lease = Lease("kill")
    lease.attach(b"a")
    lease.attach(b"a")
    assert lease.clients == 1
    assert lease.detach(b"a", 5.0) is None
    assert lease.detach(b"a", 6.0) == 6.0
    assert lease.expired(6.0)


def test_a_stranger_that_leaves_changes_nothing() -> None:
    lease = Lease(10.0)
    lease.attach(b"a")
    assert lease.detach(b"b", 5.0) is None
    lease.detach(b"a", 5.0)
    assert lease.detach(b"a", 9.0) == 15.0
    assert lease.clients == 0


@pytest.mark.parametrize(
    ("policy", "deadline"), [("keep", None), ("kill", 100.0 + RECOVERY_GRACE_S), (5.0, 105.0), (0.0, 100.0)]
)
def test_an_agent_that_comes_back_gives_the_whole_time_again(policy: OnDisconnect, deadline: float | None) -> None:
    lease = Lease(policy)
    lease.attach(b"a")
    assert lease.recovered(100.0) == deadline
    assert lease.clients == 0


def test_keep_is_for_ever() -> None:
    lease = Lease("keep")
    assert lease.never_attached(0.0) is None
    lease.attach(b"a")
    assert lease.detach(b"a", 5.0) is None
    assert not lease.expired(1e12)
    assert lease.left_s(5.0) is None


def test_a_client_that_never_came_counts_as_gone() -> None:
    lease = Lease(60.0)
    assert not lease.expired(1e9), "before anybody could attach it does not run"
    assert lease.never_attached(10.0) == 70.0
    assert lease.never_attached(20.0) == 70.0, "it does not begin again"
    lease.attach(b"a")
    assert lease.never_attached(30.0) is None


@pytest.mark.parametrize("policy", [-1.0, float("inf"), float("nan")])
def test_senseless_policies(policy: float) -> None:
    with pytest.raises(ValueError, match="on_disconnect"):
        Lease(policy)
