"""The agent and its network: who is invited, listed, revoked; where it listens, and what of that its status tells."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from holdfast.cli.agent import status_text
from holdfast.cli.agent_network import Network
from holdfast.client import embedded
from holdfast.errors import ConnectFailed, HoldfastError
from holdfast.wire.messages import PrincipalInfo, StatusAnswer
from tests.unit.cli.conftest import Call
from tests.unit.cli.fake_host import FakeHost

ANNA = PrincipalInfo("anna@laptop", "hf:abc", "operator", "active", 1.6e9, 1.7e9, None, 2)
BOB = PrincipalInfo("bob@desk", "hf:def", "admin", "revoked", 1.6e9, None, 1.65e9)


def test_an_invitation_stands_alone_on_standard_output(call: Call, host: FakeHost) -> None:
    outcome = call("agent", "invite", "--role", "viewer", "--ttl", "1h", "--address", "tls://gate.example:17420", "-v")
    assert (outcome.code, outcome.out) == (0, b"hf1.secret\n")
    assert host.invited == [{"role": "viewer", "ttl": 3600.0, "address": "tls://gate.example:17420"}]
    assert "hf1" not in outcome.err
    assert "viewer" in outcome.err


def test_an_invitation_is_for_an_operator_and_ten_minutes(call: Call, host: FakeHost) -> None:
    assert call("agent", "invite").err == ""
    assert host.invited == [{"role": "operator", "ttl": 600.0, "address": ""}]


@pytest.mark.parametrize(
    "args",
    [
        ["invite", "--role", "root"],
        ["invite", "--ttl", "0"],
        ["invite", "--ttl", "8d"],
        ["invite", "--address", "ssh://x"],
        ["invite", "--address", "gate"],
        ["invite", "extra"],
        ["revoke"],
        ["start", "--listen", "tls://127.0.0.1:0", "-H", "web1"],
    ],
)
def test_wrong_words_are_bad_usage_before_anybody_is_asked(call: Call, host: FakeHost, args: list[str]) -> None:
    outcome = call("agent", *args)
    assert (outcome.code, outcome.out, host.connected) == (2, b"", {})
    assert outcome.err.count("\n") == 1


def test_principals(call: Call, host: FakeHost) -> None:
    host.enrolled = (ANNA, BOB)
    head, anna, bob = call("agent", "principals").out.decode().splitlines()
    assert head.split() == ["NAME", "ROLE", "STATE", "CONNECTIONS", "ENROLLED", "SEEN", "KEY"]
    assert anna.split()[:4] == ["anna@laptop", "operator", "active", "2"]
    assert "never" in bob.split()
    assert call("agent", "principals", "-o", "name").out == b"anna@laptop\nbob@desk\n"
    documents = json.loads(call("agent", "principals", "--json").out)
    assert [document["revoked"] for document in documents] == [None, "2022-04-15T05:20:00.000000Z"]
    assert documents[0]["key"] == "hf:abc"


def test_revoking(call: Call, host: FakeHost) -> None:
    host.enrolled = (ANNA,)
    assert call("agent", "revoke", "anna@laptop").out == (
        b"anna@laptop: revoked; 2 connections closed, 3 waiting jobs cancelled, 0 running jobs stopped\n"
    )
    document = json.loads(call("agent", "revoke", "anna@laptop", "--jobs", "--json").out)
    assert (document["connections_closed"], document["jobs_cancelled"], document["jobs_stopped"]) == (2, 3, 4)
    outcome = call("agent", "revoke", "carl@x")
    assert (outcome.code, outcome.out) == (1, b"")
    assert "carl@x" in outcome.err


def test_the_status_tells_the_network() -> None:
    answer = StatusAnswer({"pid": 1}, {}, "/s", "/d", {}, {})
    assert "listens   on its own socket alone" in status_text(answer)
    answer = StatusAnswer(
        {"pid": 1}, {}, "/s", "/d", {}, {},
        listeners=["tls://127.0.0.1:7420"], network={"accepted": 3, "shed": 0}, policy="invalid: line 3",
        disk={"free_bytes": 1 << 30, "total_bytes": 2 << 30},
    )  # fmt: skip
    lines = status_text(answer).splitlines()
    assert "listens   tls://127.0.0.1:7420" in lines
    assert "network   3 accepted" in lines
    assert "disk      1G of 2G free" in lines
    assert "policy    invalid: line 3" in lines


def test_a_status_that_was_not_told_whole_claims_nothing() -> None:
    lines = status_text(StatusAnswer({"pid": 1}, {}, "", "", {"running": 1}, {})).splitlines()
    assert [line.split()[0] for line in lines] == ["agent", "jobs", "disk"]


def test_the_flags_of_a_network_are_passed_on() -> None:
    assert not Network()
    network = Network(("tls://0.0.0.0:1", "tls://[::]:1"), any_address=True, metrics="127.0.0.1:9")
    expected = "--listen tls://0.0.0.0:1 --listen tls://[::]:1 --any-address --metrics 127.0.0.1:9"
    assert network.argv() == expected.split()


class Spawner:
    """Stands in for ``embedded.connect``; the agent is there from then on."""

    def __init__(self, host: FakeHost) -> None:
        self.commands: list[list[str]] = []
        self._host = host

    def __call__(self, _state_dir: str, *, command: list[str], **_: Any) -> Spawner:
        self.commands.append(command)
        self._host.connect_error = None
        return self

    def close(self) -> None: ...


def test_an_agent_that_listens_is_started_to_stay(call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    spawner = Spawner(host)
    monkeypatch.setattr(embedded, "connect", spawner)
    host.connect_error = ConnectFailed("no agent runs")
    host.answer = StatusAnswer({"pid": 7}, {}, "/s", "/d", {}, {}, listeners=["tls://127.0.0.1:4711"])
    outcome = call("agent", "start", "-v", "--listen", "tls://127.0.0.1:0")
    assert (outcome.code, outcome.out) == (0, b"")
    assert "tls://127.0.0.1:4711" in outcome.err
    (command,) = spawner.commands
    assert command[-2:] == ["--listen", "tls://127.0.0.1:0"]
    assert "--embedded" not in command


def test_an_agent_that_runs_is_not_made_to_listen(call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    spawner = Spawner(host)
    monkeypatch.setattr(embedded, "connect", spawner)
    outcome = call("agent", "start", "--listen", "tls://127.0.0.1:0")
    assert (outcome.code, spawner.commands) == (125, [])
    assert "holdfast agent stop" in outcome.err


def test_the_agent_of_another_machine_is_told_and_its_pids_are_not_ours(
    call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr(FakeHost, "shutdown", lambda _self, *, jobs: told.append(jobs), raising=False)
    monkeypatch.setattr(os, "pidfd_open", lambda pid: pytest.fail(f"{pid} is a process of another machine"))
    assert call("agent", "stop", "-H", "ssh://far").code == 0
    assert told == [False]
    host.connect_error = ConnectFailed("far: ssh ended with status 255")
    for verb in ("stop", "status"):
        outcome = call("agent", verb, "-H", "ssh://far")
        assert (outcome.code, outcome.out) == (255, b"")
        assert "ssh ended with status 255" in outcome.err
    host.connect_error = ConnectFailed("no agent runs")
    assert [call("agent", verb).code for verb in ("stop", "status")] == [0, 3]


def test_an_agent_that_does_not_come_up_is_our_own_failure(
    call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectFailed("the agent ended at its start: cannot listen on 127.0.0.1:1: Permission denied")

    monkeypatch.setattr(embedded, "connect", refuse)
    host.connect_error = ConnectFailed("no agent runs")
    outcome = call("agent", "start", "--listen", "tls://127.0.0.1:1")
    assert outcome.code == 125
    assert "Permission denied" in outcome.err
    assert isinstance(host.connect_error, HoldfastError)
