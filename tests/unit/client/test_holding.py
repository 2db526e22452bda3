"""Taking something for a job, and handing it over: the host is told whose it is; a refused job holds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast.client import sync
from holdfast.client.holding import Holding
from holdfast.errors import Conflict, Refused
from holdfast.wire import messages as m
from tests.shared_agent import SharingAgent
from tests.socket_agent import SocketAgent, serving

LOCK = m.ObjectAsked("lock")


@pytest.fixture
def agent() -> SharingAgent:
    made = SharingAgent()
    made.commands["ok"] = lambda _: (b"fine", b"", 0)
    return made


@pytest.fixture
def served(tmp_path: Path, agent: SharingAgent) -> Iterator[SocketAgent]:
    with serving(tmp_path / "agent.sock", agent) as running:
        yield running


@pytest.fixture
def host(served: SocketAgent) -> Iterator[sync.Host]:
    with holdfast.connect(served.address) as host:
        yield host


def take(host: sync.Host, name: str = "db", what: m.ObjectAsked = LOCK) -> Holding:
    holding = Holding(host, name, what)
    assert holding.take(wait=True, timeout=None, label="./migrate")
    return holding


def test_the_job_is_to_hold_what_was_taken(host: sync.Host, agent: SharingAgent) -> None:
    holding = take(host)
    (held,) = holding.others()
    assert (held.name, held.waiting, held.token) == ("db", False, 1)
    assert held.owner.startswith("./migrate of me")
    job = holding.start(["ok"], stdin=False, timeout=5.0)
    assert list(job.output()) == [(1, b"fine")]
    (run,) = [request for request in agent.requests if isinstance(request, m.Run)]
    (acquired,) = [request for request in agent.requests if isinstance(request, m.Acquire)]
    assert run.attach
    assert run.timeout_s == 5.0
    assert run.hold == m.Hold(acquired.owner, ("db",))


def test_two_of_one_client_are_two(host: sync.Host) -> None:
    first, second = take(host), Holding(host, "db", LOCK)
    assert not second.take(wait=False, timeout=None, label="")
    assert not second.take(wait=True, timeout=0.05, label="")
    first.give_back()
    assert second.take(wait=False, timeout=None, label="")


def test_a_job_that_is_not_accepted_holds_nothing(host: sync.Host, agent: SharingAgent) -> None:
    holding = take(host)
    agent.refuse_runs = m.Failure(m.ErrorCode.FORBIDDEN, "no profile allows this command")
    with pytest.raises(Refused, match="no profile"):
        holding.start(["ok"], stdin=False)
    assert holding.others() == ()
    agent.refuse_runs = None
    with pytest.raises(ValueError, match="empty"):
        take(host).start([], stdin=False)
    assert holding.others() == ()


def test_another_description_is_refused(host: sync.Host) -> None:
    take(host, "s", m.ObjectAsked("semaphore", units=2))
    with pytest.raises(Conflict, match="a semaphore of 2"):
        take(host, "s", m.ObjectAsked("semaphore", units=3))
