"""``holdfast queue`` and ``holdfast run --at`` over a host in memory: what is asked, what is shown, how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.cli.planning import plan_table
from holdfast.errors import Conflict, ConnectFailed, LimitExceeded, NotFound
from holdfast.types import Retention
from holdfast.wire.messages import (
    Group,
    GroupInfo,
    Groups,
    GroupsAnswer,
    Plan,
    PlanInfo,
    Plans,
    PlansAnswer,
    Replan,
    Unplan,
)
from tests.unit.cli.conftest import Call
from tests.unit.cli.fake_host import JOB, FakeHost

NOW = 1_700_000_000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time stands still, but for sleeping, which is remembered."""
    slept: list[float] = []
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("time.monotonic", lambda: sum(slept))
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def info(id_: str = "plan-1", state: Any = "waiting", **fields: Any) -> PlanInfo:
    return PlanInfo(id_, state, **{"argv": ("make", "all"), "principal": "eve", **fields})


def answers(host: FakeHost, kind: type, *given: Any) -> None:
    host._connection.answers[kind] = list(given)


def plans(host: FakeHost, kind: type, *infos: PlanInfo) -> None:
    answers(host, kind, PlansAnswer(infos))


def planned(host: FakeHost) -> tuple[Plan, bytes]:
    """The one plan that was asked for."""
    ((request, body),) = host._connection.asked
    assert isinstance(request, Plan)
    return request, body


# --- making ----------------------------------------------------------------------------------------------------------


def test_a_plan_is_made_and_its_id_is_printed_alone(call: Call, host: FakeHost) -> None:
    plans(host, Plan, info("plan-7"))
    outcome = call("queue", "add", "--", "make", "-j8", "--help")
    assert (outcome.code, outcome.out, outcome.err) == (0, b"plan-7\n", "")
    request, body = planned(host)
    assert request.id.startswith("plan-")
    assert len(request.id) == 13
    assert (request.group, request.priority, request.after) == ("default", 0.0, ())
    assert (request.at_unix_s, request.delay_s, request.every_s, request.skip_missed) == (None, None, None, False)
    assert (request.run.attach, request.run.durability, request.run.stdin) == (False, "power", False)
    assert body.split(b"\0")[:3] == [b"make", b"-j8", b"--help"]


def test_flags_become_what_is_asked(call: Call, host: FakeHost) -> None:
    plans(host, Plan, info("nightly"))
    call(
        "queue", "add", "--group", "gpu", "--priority", "-1.5", "--after", "plan-1", "--after", JOB, "--at", "now+1h",
        "--delay", "5s", "--every", "1d", "--skip-missed", "--name", "nightly", "-e", "A=1", "-w", "/srv", "--timeout",
        "5m", "--retain", "kill=1K", "-l", "lab", "--sh", "a && b",
    )  # fmt: skip
    request, body = planned(host)
    assert (request.id, request.group, request.priority, request.after) == ("nightly", "gpu", -1.5, ("plan-1", JOB))
    assert (request.at_unix_s, request.delay_s, request.every_s, request.skip_missed) == (
        NOW + 3600,
        5.0,
        86400.0,
        True,
    )
    assert (request.run.shell, request.run.timeout_s, request.run.label) == (True, 300.0, "lab")
    assert request.run.retention == Retention("kill", 1024)
    assert body == b"a && b\0A=1\0/srv\0"


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (["--at", "now+10s"], "at_unix_s", NOW + 10),
        (["--delay", "10s"], "delay_s", 10.0),
        (["--every", "10s"], "every_s", 10.0),
    ],
)
def test_run_keeps_it_for_later(call: Call, host: FakeHost, flags: list[str], field: str, value: float) -> None:
    plans(host, Plan, info("plan-7"))
    outcome = call("run", *flags, "-d", "--once", "key", "--", "make")
    assert (outcome.code, outcome.out, outcome.err) == (0, b"plan-7\n", "")
    request, _ = planned(host)
    assert getattr(request, field) == value
    assert (request.id, request.group) == ("key", None)


def test_as_json(call: Call, host: FakeHost) -> None:
    plans(host, Plan, info("plan-7", due_unix_s=NOW + 60))
    document = json.loads(call("run", "--at", "now+1m", "--json", "--", "make").out)
    assert (document["plan"], document["due"], document["job"]) == ("plan-7", "2023-11-14T22:14:20.000000Z", None)


def test_what_was_there_before_is_told(call: Call, host: FakeHost) -> None:
    plans(host, Plan, info("nightly", due_unix_s=NOW + 10))
    outcome = call("run", "--at", "now+1h", "--once", "nightly", "--", "make")
    assert outcome.err == "holdfast: plan nightly was made before; it is waiting and stays as it is\n"
    plans(host, Plan, info("nightly", "done", ended_unix_s=NOW - 10))
    assert "it is done" in call("queue", "add", "--name", "nightly", "--", "make").err


def test_a_plan_that_has_failed_already_says_why(call: Call, host: FakeHost) -> None:
    plans(host, Plan, info("plan-7", "failed", why="job abc returned 3"))
    outcome = call("queue", "add", "--after", "abc", "--", "make")
    assert (outcome.code, outcome.out) == (0, b"plan-7\n")
    assert outcome.err == "holdfast: plan plan-7 has failed: job abc returned 3\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["queue", "add"], "the command comes after `--`"),
        (["queue", "add", "--"], "there is no command after `--`"),
        (["queue", "add", "--sh", "a", "--", "b"], "not both"),
        (["queue", "add", "--at", "soon", "--", "b"], "is not a time: write 2027-01-31T03:00"),
        (["queue", "add", "--priority", "high", "--", "b"], "is not a valid float"),
        (["run", "--every", "500ms", "--", "b"], "--every 0.5s is too often; 1s is the least"),
        (["run", "--at", "2020-01-01", "--", "b"], "'2020-01-01' is past"),
        (["run", "--delay", "1s", "-i", "--", "b"], "-i makes no sense"),
        (["run", "--delay", "1s", "--not-after", "1s", "--", "b"], "--not-after makes no sense"),
        (["run", "--delay", "1s", "--status-fd", "1", "--", "b"], "--status-fd makes no sense"),
        (["run", "--delay", "1s", "--on-disconnect", "kill", "--", "b"], "--on-disconnect makes no sense"),
        (["run", "--skip-missed", "--", "b"], "--skip-missed is about --at"),
        (["queue", "parallel", "0"], "is not in the range"),
        (["queue", "retry", "a", "--group", "g"], "either ids or --group"),
        (["queue", "cancel"], "missing argument"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    call: Call, host: FakeHost, args: list[str], said: str
) -> None:
    outcome = call(*args)
    assert outcome.code == 2
    assert said.lower() in outcome.err.lower()
    assert outcome.err.count("\n") == 1
    assert host._connection.asked == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--name", "x" * 65], "the id of a plan has 65 characters; it may have 1 to 64"),
        (["--group", ""], "the group of a plan has 0 characters"),
        (["--after", "x"] * 65, "after 65 others; 64 are the most"),
    ],
)
def test_what_is_beyond_a_limit(call: Call, host: FakeHost, args: list[str], said: str) -> None:
    outcome = call("queue", "add", *args, "--", "make")
    assert outcome.code == 125
    assert said in outcome.err
    assert outcome.err.endswith("; nothing was run\n")


def test_refusals_and_a_host_that_is_not_there(call: Call, host: FakeHost) -> None:
    answers(host, Plan, LimitExceeded("10000 plans wait, which is the limit", code=400, retry_after_s=10.0))
    outcome = call("queue", "add", "--", "make")
    assert (outcome.code, outcome.out) == (125, b"")
    assert outcome.err == "holdfast: 10000 plans wait, which is the limit; nothing was run; try again in 10s\n"
    host.connect_error = ConnectFailed("nobody listens", layer="port")
    assert call("queue", "add", "-H", "web1", "--", "make").code == 255
    assert call("queue", "ls", "-H", "web1").code == 255


# --- showing ---------------------------------------------------------------------------------------------------------


def test_ls(call: Call, host: FakeHost) -> None:
    plans(
        host,
        Plans,
        info("plan-1", "running", group="default", job=JOB, fired=1),
        info("plan-2", group="default", priority=2.0),
        info("plan-3", due_unix_s=NOW + 90, every_s=3600.0, shell=True, argv=("a && b",)),
        info("plan-4", group="default", after=("plan-1",)),
        info("plan-5", "failed", group="default", why="job x returned 1", ended_unix_s=NOW - 5, job="x", missed=2),
    )
    outcome = call("queue", "ls", "-a", "--group", "default")
    assert outcome.out.decode().splitlines() == [
        "PLAN    STATE    GROUP    PRIO  WHEN                      JOB           COMMAND",
        f"plan-1  running  default  0     now                       {JOB}  make all",
        "plan-2  waiting  default  2     its turn                  -             make all",
        "plan-3  waiting  -        0     in 1m30s                  -             a && b",
        "plan-4  waiting  default  0     after plan-1              -             make all",
        "plan-5  failed   default  0     5s ago: job x returned 1  x             make all",
    ]
    assert host._connection.requests(Plans) == [Plans(group="default", all=True)]
    wide = call("queue", "ls", "-o", "wide").out.decode().splitlines()
    assert wide[0].split() == list(plan_table([], now=0.0, wide=True).headings)
    assert wide[3].split()[:9] == ["plan-3", "waiting", "-", "0", "in", "1m30s", "1h", "-", "0"]
    assert call("queue", "ls", "-q").out == b"plan-1\nplan-2\nplan-3\nplan-4\nplan-5\n"
    documents = json.loads(call("queue", "ls", "--json").out)
    assert [document["state"] for document in documents] == ["running", "waiting", "waiting", "waiting", "failed"]
    assert documents[4]["why"] == "job x returned 1"
    assert set(documents[0]) >= {"schema", "plan", "state", "argv", "group", "due", "every_s", "after", "job", "ended"}


def test_long_lists_are_asked_for_in_pages(call: Call, host: FakeHost) -> None:
    answers(
        host,
        Plans,
        PlansAnswer((info("plan-1"), info("plan-2")), more=True),
        PlansAnswer((info("plan-2"), info("plan-3"))),
    )
    assert call("queue", "ls", "-q").out == b"plan-1\nplan-2\nplan-3\n"
    assert [request.skip for request in host._connection.requests(Plans)] == [0, 2]


def test_groups(call: Call, host: FakeHost) -> None:
    answers(
        host, Groups, GroupsAnswer((GroupInfo("default", 1, True, True, 3, 1, 1, 2), GroupInfo("gpu", 2, waiting=1)))
    )
    assert call("queue", "groups").out.decode().splitlines() == [
        "GROUP    STATE             PARALLEL  WAITING  RUNNING  FAILED",
        "default  paused, draining  1         3        1        2",
        "gpu      open              2         1        0        0",
    ]
    documents = json.loads(call("queue", "groups", "--json").out)
    assert documents[0] == {
        "schema": 1, "group": "default", "parallel": 1, "paused": True, "draining": True,
        "waiting": 3, "repeating": 1, "running": 1, "failed": 2,
    }  # fmt: skip


# --- changing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "request_"),
    [
        (["pause"], Group("default", paused=True)),
        (["pause", "gpu"], Group("gpu", paused=True)),
        (["resume"], Group("default", paused=False, drain=False)),
        (["parallel", "4"], Group("default", parallel=4)),
        (["parallel", "4", "gpu"], Group("gpu", parallel=4)),
        (["drain", "--no-wait", "gpu"], Group("gpu", drain=True)),
    ],
)
def test_a_group_is_changed(call: Call, host: FakeHost, args: list[str], request_: Group) -> None:
    answers(host, Group, GroupsAnswer((GroupInfo("gpu", waiting=9),)))
    outcome = call("queue", *args)
    assert (outcome.code, outcome.out, outcome.err) == (0, b"", "")
    assert host._connection.requests(Group) == [request_]


def test_drain_waits_until_the_group_is_empty(call: Call, host: FakeHost, clock: list[float]) -> None:
    answers(host, Group, GroupsAnswer((GroupInfo("default", waiting=2, repeating=1, running=1),)))
    answers(
        host,
        Groups,
        GroupsAnswer((GroupInfo("default", waiting=1, repeating=1, running=1),)),
        GroupsAnswer((GroupInfo("default", waiting=1, repeating=1, failed=1), GroupInfo("other", running=5))),
    )
    outcome = call("queue", "drain")
    assert (outcome.code, outcome.err) == (0, "")
    assert len(host._connection.requests(Group)) == 1
    assert clock == pytest.approx([0.1, 0.15])


def test_drain_for_so_long(call: Call, host: FakeHost, clock: list[float]) -> None:
    busy = GroupInfo("default", 1, True, True, waiting=2, running=1)
    answers(host, Group, GroupsAnswer((busy,)))
    answers(host, Groups, GroupsAnswer((busy,)))
    outcome = call("queue", "drain", "--timeout", "1s")
    assert outcome.code == 124
    assert "is paused, so it does not empty before it is resumed" in outcome.err
    assert "not empty yet: 2 wait and 1 run; it takes no more plans" in outcome.err
    assert sum(clock) == pytest.approx(1.0)


def test_retry(call: Call, host: FakeHost) -> None:
    plans(host, Replan, info("plan-1", "running"), info("plan-2"))
    assert call("queue", "retry", "--group", "gpu").code == 0
    assert host._connection.requests(Replan) == [Replan(group="gpu")]
    documents = call("queue", "retry", "--json").out.splitlines()
    assert [json.loads(line)["plan"] for line in documents] == ["plan-1", "plan-2"]
    assert host._connection.requests(Replan)[-1] == Replan(group="default")


def test_each_is_tried_and_the_largest_code_is_ours(call: Call, host: FakeHost) -> None:
    answers(
        host,
        Replan,
        NotFound("no such plan: a", code=302),
        Conflict("plan b is done", code=310),
        PlansAnswer((info(),)),
    )
    outcome = call("queue", "retry", "a", "b", "c")
    assert outcome.code == 125
    assert outcome.err == ("holdfast: no such plan: a; `holdfast queue ls -a` lists them\nholdfast: plan b is done\n")
    assert [request.id for request in host._connection.requests(Replan)] == ["a", "b", "c"]


@pytest.mark.parametrize("verb", ["cancel", "rm"])
def test_cancel(call: Call, host: FakeHost, verb: str) -> None:
    answers(
        host,
        Unplan,
        PlansAnswer((info("a", "cancelled"),)),
        PlansAnswer((info("b", "running", job=JOB),)),
        NotFound("no such plan: c", code=302),
    )
    outcome = call("queue", verb, "a", "b", "c")
    assert outcome.code == 1
    assert outcome.err.splitlines()[0] == (f"holdfast: job {JOB} of plan b runs on; `holdfast stop {JOB}` ends it")


def test_without_a_verb_of_its_own(call: Call) -> None:
    outcome = call("queue")
    verbs = "add, cancel, drain, groups, ls, parallel, pause, resume, retry, rm"
    said = f"holdfast: what is to be done? {verbs}; nothing was run, see `holdfast queue --help`\n"
    assert (outcome.code, outcome.out, outcome.err) == (2, b"", said)


def test_help_has_examples(call: Call) -> None:
    text = call("queue", "--help").out.decode()
    assert "holdfast queue add -- make all" in text
    assert "drain" in text
    assert "-- COMMAND [ARG]..." in call("queue", "add", "--help").out.decode()
