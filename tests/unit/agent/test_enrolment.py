"""Invitations: one key each, five wrong tries, an end; and names that are never given twice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.agent.enrolment import MOST_OPEN, WRONG_TRIES, Enrolment, OpenInvitation, fresh_name
from holdfast.errors import IdentityError, LimitExceeded, Refused
from holdfast.wire.certificate import fingerprint
from holdfast.wire.codes import ErrorCode


def certificate(number: int) -> bytes:
    """The shortest DER that has a key where a certificate has it (RFC 5280, section 4.1)."""
    key = b"\x30\x03\x02\x01" + bytes([number])
    inner = b"\x02\x01\x01" + b"\x30\x00" * 4 + key
    return b"\x30" + bytes([len(inner) + 2]) + b"\x30" + bytes([len(inner)]) + inner


ANNA, BERT = certificate(1), certificate(2)
SECRET = bytes(range(16))


class World:
    """Guests in a dictionary, a clock to set, and what was kept."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.known: dict[str, Any] = {}
        self.saved: list[list[OpenInvitation]] = []
        self.full = False
        self.order: list[str] = []
        self.later = 0
        self.enrolment = self.made()

    def made(self, *invitations: OpenInvitation) -> Enrolment:
        """An agent's enrolment that begins with these."""
        return Enrolment(self, lambda: self.now, self.save, self.save_later, invitations)

    def of_key(self, key: str) -> Any:
        return self.known.get(key)

    def names(self) -> set[str]:
        return {each.name for each in self.known.values()} | {"root@local"}

    def take_in(self, name: str, certificate: bytes, key: str, role: str) -> None:
        self.order.append(f"took {name}")
        self.known[key] = SimpleNamespace(name=name, role=role, active=True)

    def save(self, invitations: list[OpenInvitation]) -> None:
        if self.full:
            raise Refused("full")
        self.order.append("saved")
        self.saved.append(list(invitations))

    def save_later(self) -> None:
        self.later += 1

    def again(self) -> None:
        """The agent is started again with what was kept."""
        self.enrolment = self.made(*self.saved[-1])


@pytest.fixture
def world() -> World:
    return World()


def test_an_invitation_lets_one_key_in_with_its_role(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    assert world.enrolment.secret_of(invitation.id) == SECRET
    assert world.enrolment.role_of(invitation.id) == "viewer"
    assert world.enrolment.used(invitation.id, ANNA, "anna@box") == ("anna@box", "viewer")
    assert world.known[fingerprint(ANNA)].role == "viewer"
    with pytest.raises(Refused) as caught:
        world.enrolment.used(invitation.id, BERT, "bert@box")
    assert caught.value.code == ErrorCode.UNAUTHENTICATED
    assert fingerprint(BERT) not in world.known


def test_the_same_key_hears_the_same_answer_again(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    world.enrolment.used(invitation.id, ANNA, "anna@box")
    world.again()
    assert world.enrolment.used(invitation.id, ANNA, "another@name") == ("anna@box", "viewer")
    assert len(world.known) == 1


def test_it_is_used_up_on_disk_before_the_key_is_trusted(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    world.order.clear()
    world.enrolment.used(invitation.id, ANNA, "anna@box")
    assert world.order == ["saved", "took anna@box"]
    assert world.saved[-1][0].guest == fingerprint(ANNA)


def test_nobody_is_taken_in_when_that_cannot_be_kept(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    world.full = True
    with pytest.raises(Refused):
        world.enrolment.used(invitation.id, ANNA, "anna@box")
    assert not world.known
    world.full = False
    assert world.enrolment.used(invitation.id, BERT, "bert@box") == ("bert@box", "viewer")


def test_five_wrong_tries_burn_it_also_across_a_restart_and_on_a_full_disk(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    for _ in range(WRONG_TRIES - 2):
        world.enrolment.failed(invitation.id)
    world.enrolment.keep_tries()
    world.again()
    world.full = True
    world.enrolment.failed(invitation.id)
    world.enrolment.keep_tries()
    assert world.enrolment.secret_of(invitation.id) == SECRET
    world.enrolment.failed(invitation.id)
    assert world.enrolment.secret_of(invitation.id) is None
    world.full = False
    with pytest.raises(Refused, match="over"):
        world.enrolment.used(invitation.id, ANNA, "anna@box")


def test_wrong_tries_for_what_does_not_exist_change_nothing(world: World) -> None:
    world.enrolment.failed("00" * 8)
    world.enrolment.keep_tries()
    assert world.saved == [[]]
    assert world.enrolment.secret_of("00" * 8) is None
    assert world.enrolment.role_of("00" * 8) is None


def test_a_wrong_try_writes_nothing_at_once_and_asks_for_the_same_whether_there_is_such_an_invitation(
    world: World,
) -> None:
    """Else the time of the answer tells which ids exist."""
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    kept = len(world.saved)
    for id_ in (invitation.id, "00" * 8):
        world.later = 0
        world.enrolment.failed(id_)
        assert (len(world.saved), world.later) == (kept, 1), id_


def test_an_expired_invitation_is_as_one_that_never_was(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    world.now += 599
    assert world.enrolment.is_open
    world.again()
    world.now += 1
    assert not world.enrolment.is_open
    assert world.enrolment.secret_of(invitation.id) is None
    with pytest.raises(Refused):
        world.enrolment.used(invitation.id, ANNA, "anna@box")


def test_it_ends_between_the_first_frame_and_the_proof(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    assert world.enrolment.secret_of(invitation.id) == SECRET
    world.now += 600
    with pytest.raises(Refused):
        world.enrolment.used(invitation.id, ANNA, "anna@box")


def test_so_many_invitations_are_open_at_once(world: World) -> None:
    for number in range(MOST_OPEN):
        world.enrolment.invite(number.to_bytes(16, "big"), "viewer", 600)
    with pytest.raises(LimitExceeded) as caught:
        world.enrolment.invite(SECRET, "viewer", 600)
    assert caught.value.retry_after_s == 600
    world.now += 600
    world.enrolment.invite(SECRET, "viewer", 600)


def test_a_key_that_is_here_already_keeps_its_name_and_gets_the_new_role(world: World) -> None:
    first, second = (
        world.enrolment.invite(bytes([1]) * 16, "viewer", 600),
        world.enrolment.invite(bytes([2]) * 16, "admin", 600),
    )
    world.enrolment.used(first.id, ANNA, "anna@box")
    assert world.enrolment.used(second.id, ANNA, "boss@box") == ("anna@box", "admin")
    assert world.known[fingerprint(ANNA)].role == "admin"


def test_a_revoked_key_is_not_taken_again(world: World) -> None:
    world.known[fingerprint(ANNA)] = SimpleNamespace(name="anna@box", role="viewer", active=False)
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    with pytest.raises(Refused) as caught:
        world.enrolment.used(invitation.id, ANNA, "anna@box")
    assert caught.value.code == ErrorCode.REVOKED
    assert not world.known[fingerprint(ANNA)].active


def test_a_name_that_was_ever_given_is_not_given_to_another_key(world: World) -> None:
    world.known[fingerprint(ANNA)] = SimpleNamespace(name="anna@box", role="viewer", active=False)
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    assert world.enrolment.used(invitation.id, BERT, "anna@box")[0] == "anna@box-2"


def test_what_is_no_certificate_uses_nothing_up(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    with pytest.raises(IdentityError):
        world.enrolment.used(invitation.id, b"garbage", "anna@box")
    assert world.enrolment.used(invitation.id, ANNA, "anna@box")[0] == "anna@box"


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("anna@box", "anna@box"),
        ("anna", "anna@remote"),
        ("@box", "somebody@box"),
        ("", "somebody@remote"),
        ("  a b\x1b[31m@ü.example.org\n", "a-b-31m@example.org"),
        ("a@b@c", "a@b-c"),
        ("../../etc@..", "etc@remote"),
        ("x" * 500 + "@" + "y" * 500, "x" * 60 + "@" + "y" * 60),
    ],
)
def test_names_have_plain_characters_and_one_at_sign(wish: str, name: str) -> None:
    assert fresh_name(wish, ()) == name


def test_taken_names_get_a_number() -> None:
    assert fresh_name("a@b", {"a@b", "a@b-2"}) == "a@b-3"


def test_the_secret_is_in_no_repr(world: World) -> None:
    invitation = world.enrolment.invite(SECRET, "viewer", 600)
    assert SECRET.hex() not in repr(invitation)
    assert repr(SECRET) not in repr(invitation)
