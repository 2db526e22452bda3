"""From a RUN request to what the shim is told: environment, user, limits, directory."""

from __future__ import annotations

import os
import resource
from typing import Any

import pytest

from holdfast.agent import plan
from holdfast.agent.plan import Account
from holdfast.errors import Refused
from holdfast.jobs.body import Body
from holdfast.jobs.spec import JobSpec
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import JobId, Retention
from holdfast.wire.messages import ErrorCode, Run, pack_items

OWN = Account("eve", "/home/eve", "/bin/zsh")


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_own", lambda: OWN)


def request(*argv: bytes, env: tuple[bytes, ...] = (), cwd: bytes | None = None, **more: Any) -> tuple[Run, bytes]:
    argv = argv or (b"cmd",)
    run = Run(key="k", argc=len(argv), envc=len(env), has_cwd=cwd is not None, **more)
    return run, pack_items(argv, env, cwd)


def told(*argv: bytes, attempt: int = 1, **options: Any) -> messages.Run:
    spec, body = plan.read_request(*request(*argv, **options))
    return plan.shim_run(JobId("j" * 12), attempt, spec, body, host="here", agent_id="agent", now_unix_s=1000.0)


def environment(run: messages.Run) -> dict[str, str]:
    return dict(item.decode().split("=", 1) for item in run.env)


def test_a_command_gets_the_basic_variables_and_nothing_of_the_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_AGENT", "x")
    assert environment(told()) == {
        "HOME": "/home/eve",
        "USER": "eve",
        "LOGNAME": "eve",
        "SHELL": "/bin/zsh",
        "LANG": "C.UTF-8",
        "PATH": plan.DEFAULT_PATH,
        "HOLDFAST_JOB_ID": "j" * 12,
        "HOLDFAST_AGENT": "agent",
        "HOLDFAST_HOST": "here",
        "HOLDFAST_ATTEMPT": "1",
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"env": (b"A=b=c", b"EMPTY=")}, {"A": "b=c", "EMPTY": ""}),
        ({"env": (b"HOME=/elsewhere", b"PATH=/x")}, {"HOME": "/elsewhere", "PATH": "/x"}),
        ({"hints": {"PATH": "/caller/bin", "LANG": "de_AT.UTF-8"}}, {"PATH": "/caller/bin", "LANG": "de_AT.UTF-8"}),
        ({"hints": {"PATH": "/hint"}, "env": (b"PATH=/given",)}, {"PATH": "/given"}),
        ({"env": (b"HOLDFAST_AGENT=forged", b"HOLDFAST_HOST=f")}, {"HOLDFAST_AGENT": "agent", "HOLDFAST_HOST": "here"}),
        (
            {"env": (b"HOLDFAST_JOB_ID=f", b"HOLDFAST_ATTEMPT=9")},
            {"HOLDFAST_JOB_ID": "j" * 12, "HOLDFAST_ATTEMPT": "1"},
        ),
        ({"user_key": True}, {"HOLDFAST_START_KEY": "k"}),
        ({"timeout_s": 2.5}, {"HOLDFAST_DEADLINE": "1002.500"}),
        ({"attempt": 3}, {"HOLDFAST_ATTEMPT": "3"}),
    ],
)
def test_what_is_given_and_what_is_ours(options: dict[str, Any], expected: dict[str, str]) -> None:
    found = environment(told(**options))
    assert {name: found.get(name) for name in expected} == expected


def test_a_generated_key_is_not_handed_to_the_command() -> None:
    assert "HOLDFAST_START_KEY" not in environment(told())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"umask": 0o022, "timeout_ms": 0, "grace_ms": 10_000, "linger_ms": 2_000, "flags": 0, "user": None}),
        ({"umask": 0o077}, {"umask": 0o077}),
        ({"umask": 0}, {"umask": 0}),
        ({"timeout_s": 1.5, "grace_s": 0.0}, {"timeout_ms": 1500, "grace_ms": 0}),
        ({"timeout_s": 0.0001}, {"timeout_ms": 1}),
        ({"timeout_s": 0.0}, {"timeout_ms": 0}),
        ({"durability": "power"}, {"flags": control.POWER}),
        ({"leave": True, "stdin": True}, {"flags": control.LEAVE | control.STDIN}),
        ({"retention": Retention("keep-tail", 5)}, {"rule": control.KEEP_TAIL, "limit_bytes": 5}),
        ({"retention": Retention("kill", 6)}, {"rule": control.KILL_RULE, "limit_bytes": 6}),
        ({"rlimits": {"NOFILE": (10, 20)}}, {"rlimits": ((resource.RLIMIT_NOFILE, 10, 20),)}),
        ({"rlimits": {"core": (0, -1)}}, {"rlimits": ((resource.RLIMIT_CORE, 0, -1),)}),
        ({"cwd": b"/tmp/\xff"}, {"cwd": b"/tmp/\xff"}),
        ({}, {"cwd": b"/home/eve"}),
    ],
)
def test_what_the_shim_is_told(options: dict[str, Any], expected: dict[str, Any]) -> None:
    run = told(**options)
    assert {name: getattr(run, name) for name in expected} == expected


def test_arguments_pass_as_bytes_and_a_shell_is_only_used_when_asked() -> None:
    assert told(b"echo", b"a b", b"$HOME", b"\xff").argv == (b"echo", b"a b", b"$HOME", b"\xff")
    assert told(b"a && b", shell=True).argv == (b"/bin/sh", b"-c", b"a && b")


def test_what_people_see_of_the_arguments_is_text_and_bounded() -> None:
    spec, body = plan.read_request(*request(b"\xff", *[b"x" * 10_000] * 100))
    assert spec.argv[0] == "\\xff"
    assert len(spec.argv) == 64
    assert len(spec.argv[1]) == 4096
    assert len(body.argv) == 101


@pytest.mark.parametrize(
    "options",
    [
        {"env": (b"noequals",)},
        {"env": (b"=value",)},
        {"rlimits": {"nosuch": (1, 1)}},
        {"rlimits": {"nofile": (2, 1)}},
        {"rlimits": {"nofile": (-1, 5)}},
        {"rlimits": {"nofile": (-2, 5)}},
    ],
)
def test_what_cannot_be_is_refused_before_it_is_accepted(options: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        plan.read_request(*request(**options))
    assert (caught.value.code, caught.value.ran) == (ErrorCode.INVALID, "no")


@pytest.mark.parametrize(("argv", "shell"), [((b"",), False), ((b"a", b"b"), True)])
def test_an_empty_name_and_a_shell_with_arguments_are_refused(argv: tuple[bytes, ...], shell: bool) -> None:
    with pytest.raises(Refused):
        plan.read_request(*request(*argv, shell=shell))


@pytest.mark.parametrize(
    ("asked", "attach", "policy"),
    [(None, True, 60.0), (None, False, "keep"), ("kill", False, "kill"), (5.0, True, 5.0), (0.0, True, 0.0)],
)
def test_the_policy_for_lost_clients(asked: Any, attach: bool, policy: Any) -> None:
    spec, _ = plan.read_request(*request(on_disconnect=asked, attach=attach))
    assert spec.on_disconnect == policy


# --- users ----------------------------------------------------------------------------------------------------------


def test_only_root_may_switch_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert plan.account("eve", ()) is OWN
    for user, groups in (("root", ()), ("eve", ("root",)), ("nosuch", ())):
        with pytest.raises(Refused) as caught:
            plan.account(user, groups)
        assert caught.value.code == ErrorCode.FORBIDDEN


def test_root_switches_to_the_users_own_groups_and_the_asked_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    found = plan.account("daemon", ("root",))
    assert found.ids is not None
    assert found.ids[0] == 1
    assert 0 in found.ids[2]
    run = told(user="daemon")
    assert run.user is not None
    assert run.user[0] == 1
    assert environment(run)["USER"] == "daemon"
    for user, groups in (("nosuchuser", ()), ("daemon", ("nosuchgroup",))):
        with pytest.raises(Refused) as caught:
            plan.account(user, groups)
        assert caught.value.code == ErrorCode.INVALID


def test_a_user_who_is_gone_at_the_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    spec = JobSpec(user="nosuchuser")
    with pytest.raises(Refused):
        plan.shim_run(JobId("j" * 12), 1, spec, Body((b"x",)), host="", agent_id="", now_unix_s=0.0)


def test_an_account_without_an_entry_still_has_a_name_and_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    monkeypatch.setenv("HOME", "/somewhere")
    assert plan.own_account() == Account("4000000", "/somewhere", "/bin/sh")
