"""Hosts by name: listed, added with and without an invitation, shown, pinged, forgotten; where a secret comes from."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from holdfast.cli import invitations
from holdfast.cli.completion import host_names
from holdfast.cli.host_ping import Timing, spread, timing_document, timing_lines, visible_lines
from holdfast.client import enrol as enrolling
from holdfast.client.hosts import HostEntry, Hosts
from holdfast.errors import ConnectFailed, HoldfastError, InvitationError, OutcomeUnknown, Unauthorized
from holdfast.wire.messages import Welcome
from tests.unit.cli.conftest import Call
from tests.unit.cli.fake_host import FakeHost

SECRET = "hf1.c2VjcmV0"
KEY = "hf:" + "a" * 32


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration folder."""
    return tmp_path / "config" / "holdfast"


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Something on standard input."""
    used: list[int] = []

    def give(data: bytes) -> None:
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        used.append(reader)
        monkeypatch.setattr(invitations, "STDIN_FD", reader)

    yield give
    for fd in used:
        os.close(fd)


class Enrolment:
    """Stands in for ``client.enrol.enrol``."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.error: HoldfastError | None = None

    def __call__(self, name: str, text: str, **options: Any) -> tuple[Any, HostEntry]:
        self.asked.append((name, text, options))
        if self.error is not None:
            raise self.error
        return SimpleNamespace(principal="anna@laptop", role="operator"), HostEntry(name, "tls://10.0.0.5:7420", KEY)


@pytest.fixture
def enrolment(monkeypatch: pytest.MonkeyPatch) -> Enrolment:
    fake = Enrolment()
    monkeypatch.setattr(enrolling, "enrol", fake)
    return fake


def test_a_name_for_ssh_takes_no_invitation(call: Call, config: Path) -> None:
    outcome = call("host", "add", "db", "--address", "ssh://anna@db.example")
    assert (outcome.code, outcome.out, outcome.err) == (0, b"db: stands for ssh://anna@db.example\n", "")
    assert Hosts.load(str(config)).get("db") == HostEntry("db", "ssh://anna@db.example")
    assert stat.S_IMODE((config / "hosts.toml").stat().st_mode) == 0o600
    assert call("host", "show", "db").out.split() == [b"name", b"db", b"address", b"ssh://anna@db.example"]
    assert json.loads(call("host", "show", "db", "--json").out)["key"] is None
    assert call("host", "rm", "db").out == b"db: forgotten (ssh://anna@db.example)\n"
    outcome = call("host", "show", "db")
    assert (outcome.code, outcome.out) == (255, b"")
    assert "unknown host 'db'" in outcome.err


def test_hosts_are_listed(call: Call, config: Path) -> None:
    assert call("hosts").out.split() == [b"NAME", b"ADDRESS", b"KEY"]
    for name in ("web", "db"):
        call("host", "add", name, "--address", f"ssh://{name}.example")
    assert [line.split()[0] for line in call("hosts").out.splitlines()] == [b"NAME", b"db", b"web"]
    assert call("hosts", "-o", "name").out == b"db\nweb\n"
    documents = json.loads(call("hosts", "--json").out)
    assert [document["address"] for document in documents] == ["ssh://db.example", "ssh://web.example"]
    assert [item.value for item in host_names("")] == ["local", "db", "web"]
    assert [(item.value, item.help) for item in host_names("w")] == [("web", "ssh://web.example")]


def test_a_file_that_cannot_be_read_is_one_line(call: Call, config: Path) -> None:
    config.mkdir(parents=True)
    (config / "hosts.toml").write_text("[web\n")
    for args in (["hosts"], ["host", "show", "web"], ["host", "rm", "web"]):
        outcome = call(*args)
        assert (outcome.code, outcome.out) == (125, b"")
        assert "hosts.toml" in outcome.err
        assert outcome.err.count("\n") == 1
    assert host_names("l")[0].value == "local"


@pytest.mark.parametrize(
    "args",
    [
        ["add"],
        ["add", "local", "--address", "ssh://x"],
        ["add", "tls://web", SECRET],
        ["add", "a/b", SECRET],
        ["add", "web", "--address", "web.example"],
        ["add", "web", "--address", "ftp://web.example"],
        ["add", "web", SECRET, "--address", "ssh://web"],
        ["add", "web", "--as", "a@b", "--address", "unix:///run/agent.sock"],
        ["add", "web", SECRET, "more"],
        ["show"],
        ["rm"],
        ["ping", "a", "b"],
        ["ping", "-n", "0"],
    ],
)
def test_wrong_words_are_bad_usage(call: Call, enrolment: Enrolment, config: Path, args: list[str]) -> None:
    outcome = call("host", *args)
    assert (outcome.code, outcome.out) == (2, b"")
    assert outcome.err.count("\n") == 1
    assert enrolment.asked == []
    assert not (config / "hosts.toml").exists()


def test_enrolment(call: Call, enrolment: Enrolment, config: Path) -> None:
    outcome = call("host", "add", "web1", SECRET, "--address", "tls://gate.example:1", "--as", "me@here",
                   "--connect-timeout", "3s")  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == b"web1: enrolled as anna@laptop, role operator\n"
    options = {"address": "tls://gate.example:1", "config_dir": str(config), "as_name": "me@here", "timeout_s": 3.0}
    assert enrolment.asked == [("web1", SECRET, options)]


@pytest.mark.parametrize("dash", [["-"], []])
@pytest.mark.parametrize("before", [b"", b"holdfast: good for one key\n\n"])
def test_an_invitation_comes_from_standard_input(
    call: Call, enrolment: Enrolment, piped: Any, dash: list[str], before: bytes
) -> None:
    piped(before + SECRET.encode() + b"\r\n\n")
    assert call("host", "add", "web1", *dash).code == 0
    assert [text for _, text, _ in enrolment.asked] == [SECRET]


@pytest.mark.parametrize("data", [b"", b"\n \n", b"x" * (invitations.MOST_BYTES + 1)])
def test_standard_input_without_one_is_bad_usage(call: Call, enrolment: Enrolment, piped: Any, data: bytes) -> None:
    if len(data) > 1000:
        data = data[:60_000]  # as much as a pipe holds
        invitations_limit = 1000
    else:
        invitations_limit = invitations.MOST_BYTES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invitations, "MOST_BYTES", invitations_limit)
        piped(data)
        outcome = call("host", "add", "web1", "-")
    assert (outcome.code, outcome.out, enrolment.asked) == (2, b"", [])
    assert outcome.err.count("\n") == 1


def test_at_a_terminal_it_is_asked_for_and_not_shown(
    call: Call, enrolment: Enrolment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def prompt(_text: str, **options: Any) -> str:
        asked.append(options)
        return f"  {SECRET} "

    monkeypatch.setattr(invitations, "is_terminal", lambda _fd: True)
    monkeypatch.setattr(click, "prompt", prompt)
    assert call("host", "add", "web1").code == 0
    assert asked == [{"hide_input": True, "err": True}]
    assert enrolment.asked[0][1] == SECRET


def test_a_name_that_is_taken_is_refused_before_anybody_is_asked(call: Call, enrolment: Enrolment) -> None:
    call("host", "add", "web1", "--address", "ssh://web1")
    for more in ([SECRET], ["--address", "ssh://other"], ["-"]):
        outcome = call("host", "add", "web1", *more)
        assert (outcome.code, outcome.out, enrolment.asked) == (125, b"", [])
        assert "`holdfast host rm web1`" in outcome.err
        assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvitationError("this is not an invitation: its checksum is wrong", ran="no"), 125),
        (ConnectFailed("10.0.0.5:7420: connection refused", layer="port"), 255),
        (Unauthorized("the agent's key is not the invitation's", code=200), 255),
        (OutcomeUnknown("the connection broke before the answer: try the same invitation again"), 255),
    ],
)
def test_an_enrolment_that_fails_is_one_line_without_the_secret(
    call: Call, enrolment: Enrolment, config: Path, error: HoldfastError, code: int
) -> None:
    enrolment.error = error
    outcome = call("host", "add", "web1", SECRET)
    assert (outcome.code, outcome.out) == (code, b"")
    assert outcome.err == f"holdfast: web1: {error}\n"
    assert outcome.err.count("\n") == 1
    assert SECRET not in outcome.err


def test_ping(call: Call, host: FakeHost) -> None:
    outcome = call("host", "ping", "unix:///s", "-n", "3")
    assert (outcome.code, outcome.err) == (0, "")
    first, second, third = outcome.out.decode().splitlines()
    assert first.startswith("unix:///s: open in ")
    assert second.startswith("3 round trips: min ")
    assert third == "agent holdfast/9.9 on box, protocol holdfast/1"
    document = json.loads(call("host", "ping", "unix:///s", "--json").out)
    assert document["round_trips"]["count"] == 5
    assert (document["tcp_s"], document["tls_s"]) == (None, None)
    host.connect_error = ConnectFailed("nobody there")
    assert call("host", "ping", "unix:///s").code == 255


def test_what_a_ping_says() -> None:
    timing = Timing("tls://a:1", 0.0042, (0.0003, 0.0001, 0.0002, 0.5), 0.001, 0.002)
    welcome = Welcome(1, "agent", "incarnation", "boot", "me", host="box\x1b[2J", software="holdfast/1.0")
    lines = timing_lines("web1", timing, welcome)
    assert lines[0] == "web1 (tls://a:1): TCP 1 ms, TLS 2 ms, open in 4.2 ms"
    assert lines[1] == "4 round trips: min 0.1 ms, median 0.25 ms, max 500 ms"
    assert timing_document("web1", timing, welcome)["tls_s"] == 0.002
    assert "box\\x1b[2J" in visible_lines(lines)
    assert "\x1b" not in visible_lines(lines)


def test_spread() -> None:
    assert spread([3.0]) == (3.0, 3.0, 3.0)
    assert spread([3.0, 1.0, 2.0]) == (1.0, 2.0, 3.0)
    assert spread([4.0, 1.0, 2.0, 3.0]) == (1.0, 2.5, 4.0)
