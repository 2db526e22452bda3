"""S15: a job that somebody may not see is, for them, not there: same bytes, same look-ups, same record. S7: a name that
belongs to another key sees nothing of the first one's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.access import Role
from holdfast.keeper import messages
from holdfast.store.audit import read
from holdfast.wire import messages as m
from holdfast.wire.events import Failed
from tests.unit.agent.world import Client, World

ABSENT = "zzzzzzzzzzzz"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An agent without processes."""
    (tmp_path / "state").mkdir(mode=0o700)
    made = World(tmp_path / "state")
    yield made
    try:
        made.check()
    finally:
        made.close()


def requests(job: str) -> list[m.Request]:
    """Every request that names a job."""
    return [
        m.Get(job=job),
        m.Read(job=job, offsets={"1": 0, "2": 0}),
        m.Read(job=job, offsets={"1": 0}, tail_lines=3, lease=True, follow=False),
        m.Write(job=job),
        m.Wait(job=job),
        m.Wait(job=job, lease=True),
        m.Signal(job=job, signum=15),
        m.Stop(job=job),
        m.Retry(job=job, key="k", user_key=True),
        m.Forget(job=job),
        m.Forget(job=job, forget_key=True),
        m.Verify(job=job),
        m.Dial(job=job),
    ]


ASKS = [pytest.param(at, id=f"{type(request).__name__}-{at}") for at, request in enumerate(requests("x"))]


def answer(client: Client, request: m.Request) -> bytes:
    """The raw refusal, as it came over the wire but for the stream's number and the name of the job."""
    stream = client.ask(request)
    (failed,) = [event for event in client.events if isinstance(event, Failed) and event.stream == stream]
    assert client.order(stream) == ["Failed"]
    return m.encode(failed.failure).replace(request.job.encode(), b"JOB")  # type: ignore[attr-defined]


def counted(world: World, act: Callable[[], bytes]) -> tuple[bytes, list[str]]:
    """What an act gave, and all look-ups of the journal that it took."""
    calls: list[str] = []
    journal = world.journal
    names = ("job", "find", "body", "output", "key", "jobs")
    real = {name: getattr(journal, name) for name in names}

    def counting(name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            calls.append(name)
            return real[name](*args, **more)

        return call

    for name in names:
        setattr(journal, name, counting(name))
    try:
        return act(), calls
    finally:
        for name in names:
            delattr(journal, name)


@pytest.fixture(params=["live", "finished"])
def hidden(request: pytest.FixtureRequest, world: World) -> str:
    """A job of somebody else."""
    owner = world.remote("anna@laptop")
    if request.param == "finished":
        return world.job_done(owner, out=b"secret")
    stream, _ = world.start(owner, stdin=True)
    return owner.accepted(stream).job


@pytest.mark.parametrize("at", ASKS)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.RUNNER, Role.OPERATOR])
@pytest.mark.parametrize("length", [12, 6])
def test_s15_forbidden_and_absent_are_one_answer(world: World, hidden: str, at: int, role: Role, length: int) -> None:
    bert = world.remote("bert@desk", role)
    there = counted(world, lambda: answer(bert, requests(hidden[:length])[at]))
    absent = counted(world, lambda: answer(bert, requests(ABSENT[:length])[at]))
    assert there == absent
    assert m.decode(there[0], m.Failure).code == m.ErrorCode.NOT_FOUND
    records = [record for record, _ in read(str(world.state_dir / "audit")) if record.principal == "bert@desk"][-2:]
    assert [(r.action, r.decision, r.rule, r.detail) for r in records[:1]] == [
        (r.action, r.decision, r.rule, r.detail) for r in records[1:]
    ]


def test_s15_an_admin_of_the_network_sees_it(world: World, hidden: str) -> None:
    boss = world.remote("boss@desk", Role.ADMIN)
    assert boss.answer(boss.ask(m.Get(job=hidden)), m.JobAnswer).job.job == hidden


def test_s15_what_is_hidden_is_not_listed_nor_counted_nor_a_place_to_go_on_from(world: World, hidden: str) -> None:
    bert = world.remote("bert@desk")
    own = [world.job_done(bert) for _ in range(3)]
    for request in (m.List(all=True), m.List(all=True, prefix=hidden[:4]), m.List(all=True, limit=2)):
        jobs = bert.answer(bert.ask(request), m.JobsAnswer).jobs
        assert {info.job for info in jobs} <= set(own)
    before_hidden = bert.answer(bert.ask(m.List(all=True, before=hidden)), m.JobsAnswer)
    before_absent = bert.answer(bert.ask(m.List(all=True, before=ABSENT)), m.JobsAnswer)
    assert m.encode(before_hidden) == m.encode(before_absent)
    status = bert.answer(bert.ask(m.Status()), m.StatusAnswer)
    assert sum(status.jobs.values()) == 0
    assert (status.counters, status.keeper, status.state_dir, status.socket) == ({}, {}, "", "")


def test_s15_a_hidden_job_makes_no_beginning_ambiguous(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["aaaa00000001", "aaaa00000002", "aaaa00000003"])
    monkeypatch.setattr("holdfast.agent.starts.new_job_id", lambda random: next(ids))
    anna, bert = world.remote("anna@laptop"), world.remote("bert@desk")
    world.job_done(anna)
    world.start(anna)
    mine = world.job_done(bert)
    assert bert.answer(bert.ask(m.Get(job="aaaa")), m.JobAnswer).job.job == mine


def test_s15_start_keys_of_others_are_unknown(world: World) -> None:
    anna, bert = world.remote("anna@laptop"), world.remote("bert@desk")
    hers, _ = world.start(anna, "deploy", key="nightly")
    his, _ = world.start(bert, "something else", key="nightly")
    assert anna.accepted(hers).job != bert.accepted(his).job
    assert not bert.accepted(his).deduplicated


def test_s15_what_may_be_seen_and_not_changed_is_refused_by_name_and_stays(world: World) -> None:
    world.policy_path.write_text('[principals."bert@desk"]\nsees = ["anna@laptop"]')
    world.policy_path.chmod(0o600)
    anna, bert = world.remote("anna@laptop"), world.remote("bert@desk")
    stream, shim = world.start(anna, stdin=True)
    job = anna.accepted(stream).job
    assert bert.answer(bert.ask(m.Get(job=job)), m.JobAnswer).job.principal == "anna@laptop"
    shim.write(1, b"shared")
    world.settle()
    reading = bert.read(job, lease=True)
    assert bert.data(reading) == b"shared"
    for request in (m.Signal(job=job, signum=9), m.Stop(job=job), m.Write(job=job)):
        failure = bert.failure(bert.ask(request))
        assert (failure.code, failure.ran) == (m.ErrorCode.FORBIDDEN, "no")
    assert not [heard for heard in shim.heard if isinstance(heard, (messages.Signal, messages.Stop))]


def test_s15_who_only_looks_holds_no_lease(world: World) -> None:
    world.policy_path.write_text('[principals."bert@desk"]\nsees = ["anna@laptop"]')
    world.policy_path.chmod(0o600)
    anna, bert = world.remote("anna@laptop"), world.remote("bert@desk")
    stream, shim = world.start(anna, on_disconnect=30.0)
    reading = bert.read(anna.accepted(stream).job, lease=True)
    bert.ask(m.Wait(job=anna.accepted(stream).job, lease=True))
    anna.cut()
    world.advance(31.0)
    assert bert.is_open(reading)
    assert [heard for heard in shim.heard if isinstance(heard, messages.Stop)], "its only client is gone"


def test_s7_the_same_name_with_another_key_inherits_nothing(world: World) -> None:
    """Names of revoked keys are never given again (``store.principals``); jobs and keys hang on the name alone."""
    anna = world.remote("anna@laptop")
    hers, _ = world.start(anna, "deploy", key="nightly")
    another = world.remote("anna@laptop-2")
    assert another.failure(another.ask(m.Get(job=anna.accepted(hers).job))).code == m.ErrorCode.NOT_FOUND
    fresh, _ = world.start(another, "deploy", key="nightly")
    assert not another.accepted(fresh).deduplicated
