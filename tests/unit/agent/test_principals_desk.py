"""Requests about enrolled keys: who may be listed, what ends with a key, what is refused and how."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.access import Role
from holdfast.agent.keyring import Keyring
from holdfast.agent.principals_desk import SAVE_TRIES_S, PrincipalsDesk
from holdfast.errors import IdentityError
from holdfast.transport.identity import load_or_make
from holdfast.types import JobId, JobState
from holdfast.wire import messages as m
from holdfast.wire.certificate import fingerprint
from tests.unit.agent.world import World

MakeWorld = Callable[..., World]


class Doors:
    """An acceptor without sockets; tells who was turned out."""

    def __init__(self) -> None:
        self.addresses = ["tls://10.0.0.5:7420"]
        self.out: list[str] = []
        self.on_enrol: Any = None

    def connections(self, name: str) -> int:
        return 2 if name not in self.out else 0

    def turn_out(self, name: str, text: str) -> int:
        connections = self.connections(name)
        self.out.append(name)
        return connections


class Desk:
    """A desk in a world, with anna and bert enrolled."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.doors = Doors()
        self.keys = Keyring(str(world.state_dir), world.unix_s)
        self.certificates: dict[str, bytes] = {}
        for name in ("anna@box", "bert@box"):
            certificate = load_or_make(str(world.state_dir / name)).certificate
            self.certificates[name] = certificate
            self.keys.take_in(name, certificate, fingerprint(certificate), "operator")
        self.made = PrincipalsDesk(world.service, self.keys, self.doors, world.log.append)  # type: ignore[arg-type]


@pytest.fixture
def desk(make_world: MakeWorld) -> Desk:
    return Desk(make_world(slots=1))


def test_revoking_ends_waiting_jobs_and_leaves_running_ones_to_their_own_policy(desk: Desk) -> None:
    """S8."""
    world = desk.world
    anna, bert, owner = world.remote("anna@box"), world.remote("bert@box"), world.client()
    running, _ = world.start(anna)
    waiting, other = anna.run("b"), bert.run("c")
    world.settle()
    running_job, waiting_job = (JobId(anna.accepted(stream).job) for stream in (running, waiting))
    other_job = JobId(bert.accepted(other).job)
    asked = owner.ask(m.Revoke("anna@box"))
    world.settle()
    answer = owner.answer(asked, m.RevokeAnswer)
    assert answer == m.RevokeAnswer("anna@box", 2, 1, 0)
    assert desk.doors.out == ["anna@box"]
    assert world.board.jobs[running_job].job.state is JobState.RUNNING
    assert waiting_job not in world.board.jobs
    assert world.board.jobs[other_job].job.state is JobState.QUEUED
    principal = desk.keys.principals.named("anna@box")
    assert principal is not None
    assert not principal.active


def test_revoking_can_stop_running_jobs_too(desk: Desk) -> None:
    world = desk.world
    anna, owner = world.remote("anna@box"), world.client()
    running, _ = world.start(anna)
    job = JobId(anna.accepted(running).job)
    asked = owner.ask(m.Revoke("anna@box", jobs=True))
    world.settle()
    assert owner.answer(asked, m.RevokeAnswer).jobs_stopped == 1
    assert world.board.jobs[job].job.state is JobState.ENDING


def test_nobody_of_that_name_is_an_answer_of_its_own(desk: Desk) -> None:
    owner = desk.world.client()
    asked = owner.ask(m.Revoke("nobody@box"))
    desk.world.settle()
    assert owner.failure(asked).code == m.ErrorCode.NOT_FOUND


def test_a_key_is_turned_out_also_when_that_cannot_be_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = desk.world.client()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    asked = owner.ask(m.Revoke("anna@box"))
    desk.world.settle()
    assert owner.failure(asked).code in (m.ErrorCode.JOURNAL_FAILED, m.ErrorCode.DISK_FULL)
    assert desk.doors.out == ["anna@box"]
    principal = desk.keys.principal_of(desk.certificates["anna@box"])
    assert principal is not None
    assert not principal.active


def test_principals_are_listed_with_their_connections(desk: Desk) -> None:
    owner = desk.world.client()
    asked = owner.ask(m.Principals())
    desk.world.settle()
    listed = owner.answer(asked, m.PrincipalsAnswer).principals
    assert [(each.name, each.state, each.connections) for each in listed] == [
        ("anna@box", "active", 2),
        ("bert@box", "active", 2),
    ]


def test_an_invitation_is_told_once_and_kept_for_the_next_agent(desk: Desk) -> None:
    owner = desk.world.client()
    asked = owner.ask(m.Invite("viewer", 60.0, "box.example"))
    desk.world.settle()
    answer = owner.answer(asked, m.InviteAnswer)
    assert answer.invitation.startswith("hf1.")
    assert answer.role == "viewer"
    assert answer.expires_unix_s == pytest.approx(desk.world.unix_s() + 60, abs=1)
    assert not [line for line in desk.world.log if answer.invitation in line]
    kept = json.loads((Path(desk.world.state_dir) / "invitations.json").read_text())
    assert [each["role"] for each in kept] == ["viewer"]
    (again,) = desk.keys.load_invitations()
    assert again.id == answer.id


@pytest.mark.parametrize("request_", [m.Invite(), m.Principals(), m.Revoke("bert@box")])
def test_keys_are_an_admins_business(desk: Desk, request_: Any) -> None:
    anna = desk.world.remote("anna@box", Role.OPERATOR)
    asked = anna.ask(request_)
    desk.world.settle()
    assert anna.failure(asked).code == m.ErrorCode.FORBIDDEN
    assert desk.doors.out == []


def test_a_certificate_that_tls_cannot_load_never_reaches_the_file(desk: Desk) -> None:
    """Else the agent would not come up again."""
    from holdfast.agent.principals_desk import _Careful
    from holdfast.errors import Refused

    key = bytes.fromhex("302a300506032b6570032100") + bytes(32)
    inner = b"\x02\x01\x01" + b"\x30\x00" * 4 + key
    lying = b"\x30" + bytes([len(inner) + 2]) + b"\x30" + bytes([len(inner)]) + inner
    with pytest.raises(ssl.SSLError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=lying)
    careful = _Careful(desk.keys, desk.world.guard)
    with pytest.raises(Refused, match="cannot be used"):
        careful.take_in("eve@box", lying, "hf:eve", "viewer")
    assert desk.keys.principals.named("eve@box") is None


def test_a_file_with_such_a_certificate_is_one_clear_line(desk: Desk) -> None:
    path = Path(desk.world.state_dir) / "principals.json"
    path.write_text(path.read_text().replace('"certificate": "MI', '"certificate": "AA', 1))
    with pytest.raises(IdentityError, match=r"principals\.json"):
        Keyring(str(desk.world.state_dir), desk.world.unix_s).open()


def test_wrong_tries_are_kept_a_little_later_many_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = desk.world.client()
    asked = owner.ask(m.Invite("viewer", 60.0, "box.example"))
    desk.world.settle()
    id_ = owner.answer(asked, m.InviteAnswer).id
    kept: list[list[int]] = []
    monkeypatch.setattr(desk.keys, "save_invitations", lambda opened: kept.append([each.wrong for each in opened]))
    for _ in range(3):
        desk.made._enrolment.failed(id_)
    desk.world.settle()
    assert kept == [], "not before the answer"
    desk.world.advance(SAVE_TRIES_S)
    assert kept == [[3]]
    desk.made._enrolment.failed("00" * 8)
    desk.world.advance(SAVE_TRIES_S)
    assert kept == [[3], [3]], "the same for one that is none"
