"""Requests about plans, their starts and ends, rights, refusals, trouble with the journal, and restarts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.agent.access import Principal, Role
from holdfast.agent.plan_starts import NAME, ending
from holdfast.agent.plans_desk import PlansDesk
from holdfast.coordination.plans import Plans as Machine
from holdfast.errors import StorageError
from holdfast.types import Cause, ExitStatus, Receipt
from holdfast.wire import messages as m
from holdfast.wire.codes import ErrorCode
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.world import Client, World


class FakeRecorder:
    """Keeps events in a list; applies each at once, or when it is let."""

    def __init__(self, world: World, events: list[tuple[bytes, float]]) -> None:
        self._world = world
        self.machine = Machine()
        self.clock = self
        self.desk: PlansDesk | None = None
        self.events = events
        self.power: list[bool] = []
        self.fail: StorageError | None = None
        self.held: list[bytes] | None = None
        for event, now in events:
            self.machine.apply(event, now)

    def now(self) -> float:
        return self._world.loop.now - 500.0

    def record(self, event: bytes, *, power: bool = False, refused: Callable[[StorageError], None]) -> None:
        self.power.append(power)
        if self.fail is not None:
            refused(self.fail)
        elif self.held is not None:
            self.held.append(event)
        else:
            self._apply(event)

    def _apply(self, event: bytes) -> None:
        self.events.append((event, self.now()))
        orders = self.machine.apply(event, self.now())
        self.machine.validate()
        assert self.desk is not None
        for order in orders:
            self.desk.ordered(order)

    def let(self) -> None:
        """Apply what was held."""
        held, self.held = self.held or [], None
        for event in held:
            self._apply(event)


class Planning:
    """An agent with plans."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.revoked: set[str] = set()
        self.events: list[tuple[bytes, float]] = []
        self._serve()

    def _serve(self) -> None:
        self.recorder = FakeRecorder(self.world, self.events)
        self.desk = PlansDesk(self.world.service, self.recorder.machine, self.recorder, self._identify)
        self.recorder.desk = self.desk
        self.desk.recover()
        self.world.settle()
        self.client = self.world.client()

    def _identify(self, who: Principal) -> Principal | None:
        return None if who.name in self.revoked else who

    def restart(self, after: Callable[[], None] = lambda: None) -> None:
        """The agent dies; meanwhile something happens; another one comes."""
        self.world.crash()
        self.desk.close()
        after()
        self.world.recover()
        self._serve()

    def ask(self, request: m.Request, body: bytes = b"", client: Client | None = None) -> int:
        return (client or self.client).ask(request, body)

    def plan(self, id_: str = "p", *argv: str, client: Client | None = None, **fields: Any) -> int:
        """PLAN; its stream."""
        argv = argv or ("cmd",)
        run_fields = fields.pop("run", {})
        run = m.Run(key=self.world.fresh_key(), argc=len(argv), **{"attach": False, **run_fields})
        body = m.pack_items(tuple(item.encode() for item in argv))
        return self.ask(m.Plan(id=id_, run=run, **fields), body, client)

    def add(self, id_: str = "p", *argv: str, client: Client | None = None, **fields: Any) -> m.PlanInfo:
        """A plan that is taken, as it is answered."""
        (info,) = (client or self.client).answer(self.plan(id_, *argv, client=client, **fields), m.PlansAnswer).plans
        return info

    def refused(self, stream: int, client: Client | None = None) -> tuple[int, str]:
        failure = (client or self.client).failure(stream)
        return failure.code, failure.text

    def show(self, id_: str = "p", client: Client | None = None) -> m.PlanInfo:
        client = client or self.client
        (info,) = client.answer(client.ask(m.Plans(id=id_)), m.PlansAnswer).plans
        return info

    def ids(self, client: Client | None = None, **fields: Any) -> list[str]:
        client = client or self.client
        return [info.id for info in client.answer(client.ask(m.Plans(**fields)), m.PlansAnswer).plans]

    def groups(self, client: Client | None = None) -> list[m.GroupInfo]:
        client = client or self.client
        return list(client.answer(client.ask(m.Groups()), m.GroupsAnswer).groups)

    def finish(self, id_: str = "p", code: int = 0) -> m.PlanInfo:
        """Its job ends."""
        job = self.show(id_).job
        assert job is not None
        shim = self.world.shim_of(job)
        shim.start()
        self.world.settle()
        self.world.finish(shim, code)
        return self.show(id_)

    def audit(self) -> list[dict[str, Any]]:
        found = []
        for path in sorted((self.world.state_dir / "audit").iterdir()):
            if path.name != "head":
                found += [json.loads(line) for line in path.read_text().splitlines()]
        return found


@pytest.fixture
def planning(make_world: MakeWorld) -> Planning:
    return Planning(make_world())


# --- from a request to a job -----------------------------------------------------------------------------------------


def test_its_job_starts_when_its_time_has_come(planning: Planning) -> None:
    info = planning.add("tea", "brew", "green", at_unix_s=planning.world.unix_s() + 50)
    assert (info.state, info.argv, info.principal, info.job) == ("waiting", ("brew", "green"), "eve", None)
    assert info.due_unix_s == pytest.approx(planning.world.unix_s() + 50, abs=1)
    assert planning.recorder.power == [True]
    assert planning.desk.waiting == 1
    planning.world.advance(49)
    assert planning.show("tea").state == "waiting"
    for _ in range(3):
        planning.world.advance(1)
    job = planning.show("tea").job
    assert job is not None
    run = planning.world.shim_of(job).run
    assert run is not None
    assert run.argv == (b"brew", b"green")
    assert b"HOLDFAST_START_KEY=plan:tea:0" in run.env
    assert planning.finish("tea").state == "done"
    assert planning.desk.waiting == 0
    live = planning.world.service.lookup.find(planning.world.board.journal.jobs()[0].job)
    assert (live.job.spec.on_disconnect, live.job.spec.durability) == ("keep", "power")


def test_a_delay_and_a_clock_that_is_set(planning: Planning) -> None:
    planning.add("delayed", delay_s=100.0)
    planning.add("timed", at_unix_s=planning.world.unix_s() + 1000)
    due = planning.show("delayed").due_unix_s
    assert due is not None
    planning.world.unix_shift += 900
    planning.world.advance(1)
    assert planning.show("timed").state == "waiting"
    planning.world.unix_shift += 200
    planning.world.advance(1)
    assert planning.show("timed").state == "running"
    assert planning.show("delayed").state == "waiting"
    for _ in range(100):
        planning.world.advance(1)
    assert planning.show("delayed").state == "running"


def test_how_a_job_ended_is_how_the_plan_ended(planning: Planning) -> None:
    planning.add("good")
    planning.add("bad")
    planning.add("after", after=("good",))
    planning.add("late", after=("bad",))
    assert planning.finish("good").state == "done"
    bad = planning.finish("bad", 3)
    assert (bad.state, bad.why) == ("failed", f"job {bad.job} returned 3")
    assert planning.show("after").state == "running"
    late = planning.show("late")
    assert (late.state, late.why) == ("failed", "bad, which it was to come after, has failed")


@pytest.mark.parametrize(
    ("receipt", "words"),
    [
        (Receipt("x", Cause.EXITED, ExitStatus(code=0)), ""),
        (Receipt("x", Cause.EXITED, ExitStatus(code=2)), "job x returned 2"),
        (Receipt("x", Cause.SIGNALED, ExitStatus(signal=9)), "job x was ended by SIGKILL"),
        (Receipt("x", Cause.START_FAILED, reason="no such file"), "job x could not be started: no such file"),
        (Receipt("x", Cause.TIMEOUT, ExitStatus(code=0)), "job x: its time limit was reached"),
        (Receipt("x", Cause.LOST), "job x: it is lost, so how it ended is not known"),
    ],
)
def test_endings_in_words(receipt: Receipt, words: str) -> None:
    assert ending(receipt) == words


def test_all_causes_have_words() -> None:
    assert all(ending(Receipt("x", cause)) for cause in Cause)


def test_after_a_job(planning: Planning) -> None:
    world, client = planning.world, planning.client
    stream, shim = world.start(client)
    job = client.accepted(stream).job
    planning.add("next", after=(job[:6],))
    assert planning.show("next").state == "waiting"
    world.finish(shim)
    assert planning.show("next").state == "running"
    planning.add("also", after=(job,))
    assert planning.show("also").state == "running"
    failed = world.job_done(client, code=1)
    assert planning.add("never", after=(failed,)).state == "failed"


def test_turns_in_a_group(planning: Planning) -> None:
    for id_ in ("one", "two", "three"):
        planning.add(id_, group="build")
    assert planning.ids(group="build") == ["one", "two", "three"]
    assert planning.groups() == [m.GroupInfo("build", waiting=2, running=1)]
    planning.finish("one", 1)
    assert [planning.show(id_).state for id_ in ("one", "two", "three")] == ["failed", "running", "waiting"]
    (group,) = planning.client.answer(planning.ask(m.Group("build", parallel=2, drain=True)), m.GroupsAnswer).groups
    assert group == m.GroupInfo("build", 2, False, True, running=2, failed=1)
    assert planning.refused(planning.plan("four", group="build"))[0] == ErrorCode.STATE
    planning.ask(m.Group("build", paused=True, drain=False))
    planning.client.answer(planning.ask(m.Replan(group="build")), m.PlansAnswer)
    planning.finish("two")
    planning.finish("three")
    assert planning.show("one").state == "waiting"
    planning.ask(m.Group("build", paused=False))
    again = planning.show("one")
    assert (again.state, again.fired) == ("running", 2)
    assert planning.finish("one").state == "done"


def test_a_series(planning: Planning) -> None:
    planning.add("beat", every_s=60.0)
    first = planning.show("beat").job
    assert planning.finish("beat", 1).state == "waiting"
    planning.world.advance(200)
    planning.world.advance(1)
    info = planning.show("beat")
    assert (info.state, info.fired, info.missed) == ("running", 2, 2)
    assert info.job != first
    planning.ask(m.Unplan("beat"))
    assert planning.finish("beat").state == "cancelled"


# --- asking again, listing, cancelling -------------------------------------------------------------------------------


def test_the_same_id_is_the_same_plan(planning: Planning) -> None:
    first = planning.add("p", "cmd", delay_s=5.0)
    assert planning.add("p", "cmd", delay_s=9.0).due_unix_s == pytest.approx(first.due_unix_s, abs=1)
    code, text = planning.refused(planning.plan("p", "other"))
    assert (code, text) == (ErrorCode.KEY_REUSED, "there is a plan 'p' already, which is another one")
    assert planning.refused(planning.plan("p", "cmd", every_s=5.0))[0] == ErrorCode.KEY_REUSED
    assert len(planning.recorder.machine.plans) == 1


def test_two_who_ask_for_the_same_at_once(planning: Planning) -> None:
    planning.recorder.held = []
    streams = [planning.plan(), planning.plan()]
    planning.recorder.let()
    planning.world.settle()
    answers = [planning.client.answer(stream, m.PlansAnswer).plans[0].id for stream in streams]
    assert answers == ["p", "p"]
    assert planning.recorder.machine.active == 1


def test_what_cannot_be_planned(planning: Planning) -> None:
    far = planning.world.unix_s() + 4e8
    for stream in (
        planning.plan(at_unix_s=far),
        planning.plan(every_s=0.5),
        planning.plan(run={"stdin": True}),
        planning.plan(run={"not_after_unix_s": 1.0}),
        planning.plan(run={"hold": m.Hold(1, ("db",))}),
        planning.plan(run={"rlimits": {"nosuch": (1, 1)}}),
        planning.ask(m.Replan()),
    ):
        assert planning.refused(stream)[0] == ErrorCode.INVALID
    assert planning.refused(planning.plan(after=("nobody",)))[0] == ErrorCode.NOT_FOUND
    assert planning.events == []


def test_cancelling_and_retrying(planning: Planning) -> None:
    planning.add("p", delay_s=5.0)
    assert planning.refused(planning.ask(m.Replan("p"))) == (
        ErrorCode.STATE, "plan p is waiting; only a failed one can be tried again",
    )  # fmt: skip
    (info,) = planning.client.answer(planning.ask(m.Unplan("p")), m.PlansAnswer).plans
    assert (info.state, info.due_unix_s) == ("cancelled", None)
    assert planning.ids() == []
    assert planning.ids(all=True) == ["p"]
    assert planning.refused(planning.ask(m.Unplan("q"))) == (ErrorCode.NOT_FOUND, "no such plan: q")
    planning.add("r")
    planning.finish("r", 1)
    (info,) = planning.client.answer(planning.ask(m.Replan("r")), m.PlansAnswer).plans
    assert (info.state, info.fired) == ("running", 2)


def test_long_lists_come_in_pages(planning: Planning, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.agent.plans_desk.PAGE_BYTES", 200)
    for number in range(4):
        planning.add(f"p{number}", "cmd", "x" * 300, *"abcdefghijklmnopq", delay_s=1000.0 + number)
    answer = planning.client.answer(planning.ask(m.Plans()), m.PlansAnswer)
    assert [info.id for info in answer.plans] == ["p0"]
    assert answer.more
    assert answer.plans[0].argv[1] == "x" * 200 + "\N{HORIZONTAL ELLIPSIS}"
    assert len(answer.plans[0].argv) == 17
    answer = planning.client.answer(planning.ask(m.Plans(skip=3)), m.PlansAnswer)
    assert ([info.id for info in answer.plans], answer.more) == (["p3"], False)


# --- who may ---------------------------------------------------------------------------------------------------------


def test_others_plans_are_not_there(planning: Planning) -> None:
    anna, bob = planning.world.remote("anna@x"), planning.world.remote("bob@x")
    planning.add("p", client=anna, group="g", delay_s=50.0)
    assert planning.add("p", "other", client=bob, delay_s=60.0).principal == "bob@x"
    assert planning.ids(anna) == planning.ids(bob) == ["p"]
    assert planning.ids() == ["p", "p"]
    planning.add("q", client=anna, delay_s=50.0)
    for request in (m.Unplan("q"), m.Replan("q"), m.Plans(id="q")):
        assert planning.refused(planning.ask(request, client=bob), bob)[0] == ErrorCode.NOT_FOUND
    assert planning.refused(planning.plan("z", client=bob, after=("q",)), bob)[0] == ErrorCode.NOT_FOUND
    assert planning.groups(bob) == [m.GroupInfo("g")]
    code, text = planning.refused(planning.ask(m.Group("g", paused=True), client=bob), bob)
    assert (code, text) == (
        ErrorCode.FORBIDDEN, "there are plans of others in group 'g': bob@x may not change it",
    )  # fmt: skip
    assert planning.client.answer(planning.ask(m.Unplan("q")), m.PlansAnswer)  # the agent's own user
    assert planning.refused(planning.ask(m.Unplan("p")))[0] == ErrorCode.NOT_FOUND  # which of the two?
    denied = [entry["resource"] for entry in planning.audit() if entry.get("decision") == "deny"]
    assert denied == ["q", "q", "q", "q", "group g"]


def test_what_somebody_may_not_start_they_may_not_plan(planning: Planning) -> None:
    viewer = planning.world.remote("anna@x", Role.VIEWER)
    assert planning.refused(planning.plan(client=viewer), viewer)[0] == ErrorCode.FORBIDDEN
    assert planning.refused(planning.ask(m.Group("g", paused=True), client=viewer), viewer)[0] == ErrorCode.FORBIDDEN
    assert planning.events == []


def test_a_runner_stands_in_no_line_but_those_of_the_policy(planning: Planning) -> None:
    anna = planning.world.remote("anna@x", Role.RUNNER)
    rules = '[principals."anna@x"]\nprofiles = ["p"]\nspaces = ["anna-"]\n[profiles.p]\nprogram = "/bin/do"\n'
    planning.world.policy_path.write_text(rules)
    planning.world.policy_path.chmod(0o600)
    assert planning.add("a", "/bin/do", client=anna).state == "running"
    assert planning.add("b", "/bin/do", client=anna, group="anna-line").state == "running"
    assert planning.refused(planning.plan("c", "/bin/do", client=anna, group="gpu"), anna)[0] == ErrorCode.FORBIDDEN
    assert planning.refused(planning.plan("d", "/bin/else", client=anna), anna)[0] == ErrorCode.FORBIDDEN


def test_whether_they_may_is_decided_when_its_time_comes(planning: Planning) -> None:
    anna = planning.world.remote("anna@x")
    planning.add("p", client=anna, delay_s=50.0)
    planning.world.policy_path.write_text('[principals."anna@x"]\nrole = "viewer"\n')
    planning.world.policy_path.chmod(0o600)
    planning.world.advance(51)
    info = planning.show("p", anna)
    assert (info.state, info.why, info.job) == ("failed", "anna@x is a viewer here and starts nothing", None)
    (entry,) = [entry for entry in planning.audit() if entry["action"] == "plan.fired"]
    assert (entry["decision"], entry["principal"], entry["rule"]) == ("deny", "anna@x", "role viewer")
    planning.world.policy_path.unlink()
    planning.ask(m.Replan("p"), client=anna)
    assert planning.show("p", anna).state == "running"
    allowed = [entry for entry in planning.audit() if entry["action"] == "plan.fired"][-1]
    assert (allowed["decision"], allowed["resource"]) == ("allow", planning.show("p", anna).job)


def test_a_revoked_key_starts_nothing(planning: Planning) -> None:
    anna = planning.world.remote("anna@x")
    planning.add("p", client=anna, delay_s=50.0)
    planning.revoked.add("anna@x")
    planning.world.advance(51)
    info = planning.show("p")
    assert (info.state, info.why) == ("failed", "the key of anna@x was revoked here")
    (entry,) = [entry for entry in planning.audit() if entry["action"] == "plan.fired"]
    assert (entry["decision"], entry["rule"], entry["resource"]) == ("deny", "revoked", "p")


# --- no room, no journal ---------------------------------------------------------------------------------------------


def test_a_start_waits_for_room(make_world: MakeWorld) -> None:
    planning = Planning(make_world(slots=1, queue=0))
    _, shim = planning.world.start(planning.client)
    planning.add("a")
    planning.add("b")
    assert [planning.show(id_).job for id_ in "ab"] == [None, None]
    assert planning.show("a").state == "running"
    planning.world.finish(shim)
    planning.world.advance(11)
    assert planning.show("a").job is not None
    assert planning.show("b").job is None
    planning.ask(m.Unplan("b"))
    assert planning.show("b").state == "cancelled"
    planning.finish("a")
    planning.world.advance(11)
    assert planning.world.board.admission.running == 0


def test_a_plan_that_cannot_be_recorded_is_refused(planning: Planning) -> None:
    planning.recorder.fail = StorageError("no space", path="/x")
    code, text = planning.refused(planning.plan())
    assert (code, text) == (ErrorCode.JOURNAL_FAILED, "not recorded: no space")
    planning.recorder.fail.full = True
    assert planning.refused(planning.plan())[0] == ErrorCode.DISK_FULL
    planning.recorder.fail = None
    assert planning.add().state == "running"


def test_what_happens_is_recorded_as_soon_as_it_can_be(planning: Planning) -> None:
    planning.add("p")
    planning.add("next", after=("p",))
    planning.recorder.fail = StorageError("no space", path="/x")
    assert planning.finish("p").state == "running"
    planning.recorder.fail = None
    planning.world.advance(1)
    assert planning.show("p").state == "done"
    assert planning.show("next").state == "running"


def test_what_the_machine_failed_at_is_not_tried_for_ever(planning: Planning) -> None:
    planning.add("p")
    planning.recorder.fail = StorageError("a mistake of the agent", path=NAME)
    planning.finish("p")
    tried = len(planning.recorder.power)
    planning.world.advance(60)
    assert len(planning.recorder.power) == tried


def test_a_job_that_the_journal_does_not_take_is_tried_again(planning: Planning) -> None:
    planning.world.journal.fail = StorageError("no space", path="/x")
    planning.add("p")
    assert planning.show("p").job is None
    planning.world.journal.fail = None
    planning.world.advance(1)
    assert planning.finish("p").state == "done"


def test_a_job_may_end_before_it_is_known_that_it_started(planning: Planning) -> None:
    planning.recorder.held = []
    stream = planning.plan("p")
    planning.recorder.let()
    planning.recorder.held = []
    planning.world.settle()
    assert planning.client.answer(stream, m.PlansAnswer)
    (job,) = planning.world.board.jobs
    shim = planning.world.shim_of(job)
    shim.start()
    planning.world.settle()
    planning.world.finish(shim)
    planning.recorder.let()
    assert planning.show("p").state == "done"


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_start_that_was_carried_out_is_not_repeated(planning: Planning) -> None:
    planning.add("p")
    job = planning.show("p").job
    assert job is not None
    del planning.events[1:]  # the agent died before it could record that the job was accepted
    shim = planning.world.shim_of(job)
    shim.start()
    planning.world.settle()
    planning.restart()
    assert planning.show("p").job == job
    assert len(planning.world.board.jobs) == 1
    planning.world.finish(planning.world.shim_of(job))
    assert planning.show("p").state == "done"


def test_a_start_that_was_not_carried_out_is(planning: Planning) -> None:
    planning.recorder.held = []
    planning.plan("p")
    events = list(planning.recorder.held)
    planning.recorder.held = None
    planning.events += [(event, planning.recorder.now()) for event in events]  # recorded, and then it died
    assert planning.world.board.jobs == {}
    planning.restart()
    assert planning.show("p").state == "running"
    assert planning.finish("p").state == "done"


def test_ends_and_times_while_the_agent_was_away(planning: Planning) -> None:
    planning.add("p")
    planning.add("next", after=("p",))
    planning.add("late", delay_s=100.0)
    planning.add("beat", every_s=60.0, at_unix_s=planning.world.unix_s() + 60)
    job = planning.show("p").job
    assert job is not None
    shim = planning.world.shim_of(job)
    shim.start()
    planning.world.settle()

    def meanwhile() -> None:
        shim.exit(0)
        planning.world.loop.now += 250

    planning.restart(meanwhile)
    planning.world.advance(1)
    assert [planning.show(id_).state for id_ in ("p", "next", "late")] == ["done", "running", "running"]
    beat = planning.show("beat")
    assert (beat.state, beat.fired, beat.missed) == ("running", 1, 3)


def test_a_job_that_is_not_known_any_more(planning: Planning) -> None:
    planning.add("p")
    job = planning.show("p").job
    assert job is not None
    events = list(planning.events)
    assert planning.finish("p").state == "done"
    planning.client.answer(planning.ask(m.Forget(job)), m.DoneAnswer)
    planning.events[:] = events
    planning.restart()
    info = planning.show("p")
    assert (info.state, info.why) == ("failed", f"job {job} was removed")


def test_a_start_key_that_somebody_took_for_another_command(planning: Planning) -> None:
    planning.client.run("else", key="plan:p:0")
    planning.add("p", "cmd")
    info = planning.show("p")
    assert info.state == "failed"
    assert "its start key belongs to job" in info.why
