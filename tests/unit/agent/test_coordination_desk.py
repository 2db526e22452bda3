"""Requests about shared objects at a real desk: once, in order, through cuts and restarts, only for who may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from holdfast.agent import shared
from holdfast.agent.access import Principal, Role
from holdfast.coordination.leases import SERVICE_FACTOR
from holdfast.errors import StorageError
from holdfast.store.audit import Record, read
from holdfast.store.writes import AppendLog, Write
from holdfast.wire import coordination as c
from holdfast.wire import messages as m
from holdfast.wire.codes import ErrorCode
from holdfast.wire.limits import LEASE_S
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.world import Client, World

ANNA, BERT = "anna___________1", "bert___________1"
LOCK = c.ObjectAsked("lock")
OVER_S = LEASE_S * SERVICE_FACTOR + 0.1


class User:
    """A client process: its numbers, and its connections one after the other."""

    def __init__(self, world: World, instance: str, *, principal: str = "eve", role: Role | None = None) -> None:
        self._world = world
        self._principal = principal
        self._role = role
        self.instance = instance
        self.number = 0
        self.connect()

    def connect(self) -> None:
        """Another connection."""
        if self._role is None:
            self.client = self._world.client(self.instance, self._principal)
        else:
            who = Principal(self._principal, self._role, "tls", f"hf:{self._principal}", "192.0.2.1:4242")
            self.client = self._world.client_of(who, self.instance)

    def cut(self) -> None:
        """The connection breaks; another one comes."""
        self.client.cut()
        self.connect()

    def send(self, kind: type[c.Numbered], *args: Any, body: bytes = b"", number: int = 0, **options: Any) -> int:
        """A numbered request; its stream."""
        if not number:
            self.number += 1
        return self.client.ask(kind(*args, number=number or self.number, **options), body)

    def lock(self, name: str = "db", *, number: int = 0, **options: Any) -> int:
        """Ask for a lock."""
        return self.send(c.Acquire, 1, {name: 1}, number=number, **options)

    def locked(self, name: str = "db", **options: Any) -> int:
        """Have a lock; the token."""
        return self.token(self.lock(name, **options))

    def token(self, stream: int) -> int:
        """The grant of a stream."""
        answer = self.client.answer(stream, c.AcquireAnswer)
        assert answer.granted
        return answer.token

    def open(self, name: str = "db", what: c.ObjectAsked = LOCK) -> bool:
        """Open an object; whether it was made."""
        return self.client.answer(self.send(c.Open, name, what), c.OpenAnswer).made

    def release(self, name: str = "db") -> int:
        """Give a lock back; the stream."""
        return self.send(c.Release, 1, name)


@pytest.fixture
def anna(world: World) -> User:
    return User(world, ANNA)


@pytest.fixture
def bert(world: World) -> User:
    return User(world, BERT)


def state(user: User, name: str = "db") -> c.ObjectStateAnswer:
    return user.client.answer(user.client.ask(c.ObjectState(name)), c.ObjectStateAnswer)


def let_pass(world: World, seconds: float) -> None:
    """Time as it passes for an agent that is not stalled."""
    for _ in range(round(seconds * 4)):
        world.advance(0.25)


def audited(world: World, action: str) -> list[Record]:
    return [record for record, _ in read(str(world.state_dir / "audit")) if record.action == action]


# --- once ------------------------------------------------------------------------------------------------------------


def test_a_lock_goes_from_hand_to_hand_in_order_with_growing_tokens(world: World, anna: User, bert: User) -> None:
    assert anna.open()
    assert not bert.open()
    first = anna.locked()
    waiting = bert.lock()
    assert bert.client.is_open(waiting)
    anna.client.answer(anna.release(), c.NumberedAnswer)
    assert bert.token(waiting) > first
    assert state(anna).held == {f"owner 1 of eve ({BERT[:6]})": 1}


def test_asking_again_after_a_cut_gives_the_same_answer_and_carries_nothing_out_twice(anna: User, bert: User) -> None:
    anna.open()
    token = anna.locked()
    number = anna.number
    anna.cut()
    assert anna.token(anna.lock(number=number)) == token
    anna.client.answer(anna.release(), c.NumberedAnswer)
    assert anna.token(anna.lock(number=number)) == token  # an old answer, and no new grant
    bert.locked()


def test_what_waits_keeps_its_place_and_is_answered_where_it_was_asked_last(world: World, anna: User) -> None:
    bert, carl = User(world, BERT), User(world, "carl___________1")
    anna.open()
    anna.locked()
    bert.lock()
    third = carl.lock()
    bert.cut()
    again = bert.lock(number=bert.number)
    anna.release()
    bert.token(again)
    assert carl.client.is_open(third)


def test_the_same_number_on_two_streams_is_answered_on_the_later_one(anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    earlier = bert.lock()
    later = bert.lock(number=bert.number)
    anna.release()
    bert.token(later)
    assert bert.client.is_open(earlier)


def test_an_answer_that_nobody_waits_for_is_kept_until_it_is_asked_for(anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    bert.lock()
    bert.client.cut()
    anna.release()
    bert.connect()
    bert.token(bert.lock(number=bert.number))


def test_a_stream_that_was_given_up_gets_nothing_and_the_request_goes_on(anna: User, bert: User, world: World) -> None:
    anna.open()
    anna.locked()
    stream = bert.lock()
    bert.client.link.cancel(stream)
    world.settle()
    anna.release()
    assert bert.client.is_open(stream)
    bert.token(bert.lock(number=bert.number))


def test_a_request_that_is_being_written_is_not_written_again(world: World, anna: User, bert: User) -> None:
    anna.open()
    world.hold_journal = True
    stream = anna.lock()
    again = anna.lock(number=anna.number)
    assert anna.client.is_open(again)
    world.commit()
    anna.token(again)
    assert anna.client.is_open(stream)
    events = [row.event for row in world.journal.log("coordination", 0)]
    assert sum(b"acquire" in event for event in events) == 1


def test_a_refusal_of_the_machine_reaches_who_asked(anna: User) -> None:
    assert anna.client.failure(anna.release("nothing")).code == ErrorCode.NOT_FOUND
    anna.open()
    failure = anna.client.failure(anna.release())
    assert (failure.code, failure.text, failure.ran) == (ErrorCode.NOT_HOLDER, "release unlocked lock", "no")
    other = anna.send(c.Open, "db", c.ObjectAsked("semaphore", 3))
    assert "is a lock, not a semaphore of 3" in anna.client.failure(other).text
    assert anna.client.failure(anna.client.ask(c.ObjectState("nothing"))).code == ErrorCode.NOT_FOUND


def test_a_withdrawn_request_is_over_also_on_its_stream(anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    stream = bert.lock()
    bert.client.answer(bert.send(c.Withdraw, bert.number), c.NumberedAnswer)
    assert bert.client.failure(stream).code == ErrorCode.STATE
    anna.release()
    assert state(anna).free == 1


# --- the journal -----------------------------------------------------------------------------------------------------


def test_a_journal_without_room_refuses_and_nothing_has_happened(world: World, anna: User) -> None:
    anna.open()
    world.journal.fail = StorageError("no room for the journal", path="x", full=True)
    failure = anna.client.failure(anna.lock())
    assert (failure.code, failure.ran, failure.retry_after_s) == (ErrorCode.DISK_FULL, "no", 10.0)
    world.journal.fail = None
    assert state(anna).free == 1
    anna.locked(number=anna.number)


def test_a_broken_journal_refuses(world: World, anna: User) -> None:
    world.journal.fail = StorageError("broken", path="x", read_only=True)
    assert anna.client.failure(anna.send(c.Open, "db", LOCK)).code == ErrorCode.JOURNAL_FAILED
    assert anna.client.failure(anna.client.ask(c.Renew())).code == ErrorCode.JOURNAL_FAILED


def test_a_mistake_of_the_machine_is_told_as_one(world: World, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    anna.open()
    monkeypatch.setattr(world.shared.space._core, "named", None)
    failure = anna.client.failure(anna.lock())
    assert (failure.code, failure.ran) == (ErrorCode.INTERNAL, "unknown")


def test_what_a_durable_queue_was_given_is_flushed_before_it_is_answered(world: World, anna: User) -> None:
    anna.open("q", c.ObjectAsked("queue", durable=True, visible_s=60.0))
    anna.open("plain", c.ObjectAsked("queue"))
    world.hold_journal = True
    durable = anna.send(c.Put, "q", body=b"x")
    plain = anna.send(c.Put, "plain", body=b"x")
    world.commit()
    assert anna.client.answer(plain, c.PutAnswer).item == 1
    assert anna.client.is_open(durable)
    again = anna.send(c.Put, "q", body=b"x", number=anna.number - 1)
    assert anna.client.is_open(again)
    world.commit()
    assert anna.client.answer(again, c.PutAnswer).item == 1
    taken = anna.send(c.Take, "q")
    world.commit()
    assert anna.client.answer(taken, c.TakeAnswer).delivery == 1
    done = anna.send(c.Settle, "q", "ack", 1, 1)
    world.commit()
    assert anna.client.is_open(done)
    world.commit()
    assert anna.client.answer(done, c.NumberedAnswer).ok


def test_tokens_are_reserved_before_any_is_given_and_again_when_half_are_gone(
    world: World, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "TOKENS", 10)
    anna.open()
    space = world.shared.space
    for _ in range(40):
        assert anna.locked() <= space.reserved
        anna.release()
    assert space.reserved - space.last_token <= 10


def test_an_answer_that_the_agent_before_did_not_flush_is_flushed(world: World, anna: User) -> None:
    anna.open("q", c.ObjectAsked("queue", durable=True))
    world.hold_journal = True
    anna.send(c.Put, "q", body=b"x")
    world.commit()
    world.restart()
    world.hold_journal = True
    anna.connect()
    again = anna.send(c.Put, "q", body=b"x", number=anna.number)
    assert anna.client.is_open(again)
    world.commit()
    assert anna.client.answer(again, c.PutAnswer).item == 1


def test_a_reservation_of_tokens_is_flushed_before_anything_after_it_happens(
    world: World, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[bytes] = []
    submit = world.journal.submit

    def watched(writes: Sequence[Write], **options: Any) -> int:
        if options.get("power"):
            flushed.extend(write.event for write in writes if isinstance(write, AppendLog))
        return submit(writes, **options)

    monkeypatch.setattr(world.journal, "submit", watched)
    anna.open()
    assert len(flushed) == 1
    assert b"reserved" in flushed[0]
    events = [row.event for row in world.journal.log("coordination", 0)]
    assert events[0] == flushed[0]


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_restart_of_the_agent_changes_nothing_for_who_holds_and_who_waits(world: World, anna: User) -> None:
    bert, carl = User(world, BERT), User(world, "carl___________1")
    anna.open()
    first = anna.locked()
    bert.lock()
    carl.lock()
    world.restart()
    for user in (carl, anna, bert):
        user.connect()
    third, second = carl.lock(number=carl.number), bert.lock(number=bert.number)
    assert carl.client.is_open(third)
    assert bert.client.is_open(second)
    anna.client.answer(anna.release(), c.NumberedAnswer)
    assert bert.token(second) > first
    assert carl.client.is_open(third)
    world.shared.space.validate()


def test_an_answer_that_was_not_sent_is_sent_by_the_next_agent(world: World, anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    bert.lock()
    bert.client.cut()
    anna.release()
    world.restart()
    bert.connect()
    bert.token(bert.lock(number=bert.number))


def test_leases_keep_their_end_while_the_agent_is_away(world: World, anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    bert.lock()
    world.crash()
    world.loop.now += OVER_S
    world.recover()
    world.advance(0.1)
    bert.connect()
    answer = bert.client.ask(c.Renew())
    assert not bert.client.answer(answer, c.RenewAnswer).known


def test_after_a_reboot_nobody_has_lost_anything_and_tokens_begin_after_all_that_were_reserved(
    world: World, anna: User, bert: User
) -> None:
    anna.open()
    first = anna.locked()
    bert.lock()
    reserved = world.shared.space.reserved
    world.crash()
    world.loop.now += 3600.0
    world.recover(boot_id="another")
    world.advance(10.0)
    anna.connect()
    bert.connect()
    waiting = bert.lock(number=bert.number)
    assert bert.client.is_open(waiting)
    anna.client.answer(anna.release(), c.NumberedAnswer)
    assert first < reserved < bert.token(waiting)
    world.restart()
    assert not world.clock.rebooted


# --- leases ----------------------------------------------------------------------------------------------------------


def test_who_is_not_heard_of_loses_what_it_held(world: World, anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    waiting = bert.lock()
    anna.client.cut()
    for _ in range(4):
        let_pass(world, LEASE_S / 4)
        assert bert.client.is_open(waiting)
        bert.client.ask(c.Renew())
    let_pass(world, LEASE_S / 4)
    bert.token(waiting)
    assert any("lost db" in line for line in world.log)
    anna.connect()
    assert not anna.client.answer(anna.client.ask(c.Renew()), c.RenewAnswer).known
    assert anna.client.failure(anna.release()).code == ErrorCode.LEASE_LOST


def test_any_traffic_of_any_connection_keeps_a_client(world: World, anna: User) -> None:
    anna.open()
    anna.locked()
    other = world.client(ANNA)
    events = len(world.journal.log("coordination", 0))
    for _ in range(60):
        world.advance(1.0)
        other.ask(m.Get("nothing"))
    assert state(anna).free == 0
    recorded = len(world.journal.log("coordination", 0)) - events
    assert 60 / LEASE_S < recorded <= 60 / (LEASE_S * shared.RENEW_SHARE)


def test_what_came_before_a_cut_counts(world: World, anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    let_pass(world, LEASE_S - 1.0)
    anna.client.ask(m.Get("nothing"))
    anna.client.cut()
    let_pass(world, LEASE_S - 1.0)
    assert state(bert).free == 0


def test_a_client_chooses_how_long_its_lease_lasts(world: World, anna: User) -> None:
    anna.open()
    anna.locked()
    answer = anna.client.answer(anna.client.ask(c.Renew(3.0)), c.RenewAnswer)
    assert (answer.known, answer.ttl_s) == (True, 3.0)
    anna.client.cut()
    let_pass(world, 3.0)
    assert world.shared.space.is_here(ANNA)
    let_pass(world, 1.0)
    assert not world.shared.space.is_here(ANNA)


def test_a_lease_that_was_chosen_before_there_was_anything_to_hold_is_chosen_again(world: World, anna: User) -> None:
    assert not anna.client.answer(anna.client.ask(c.Renew(60.0)), c.RenewAnswer).known
    anna.open()
    assert anna.client.answer(anna.client.ask(c.Renew(60.0)), c.RenewAnswer).known
    anna.client.cut()
    let_pass(world, 60.0)
    assert world.shared.space.is_here(ANNA)


def test_a_wait_whose_client_was_given_up_is_told_so(world: World, anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    waiting = bert.lock()
    bert.client.ask(c.Renew(3.0))
    for _ in range(8):
        world.advance(0.5)
        anna.client.ask(c.Renew())
    assert bert.client.failure(waiting).code == ErrorCode.LEASE_LOST
    assert state(anna).waiting == 0


def test_time_that_cannot_be_recorded_is_tried_again_and_not_at_once(world: World, anna: User) -> None:
    anna.open()
    anna.locked()
    anna.client.cut()
    world.journal.fail = StorageError("no room for the journal", path="x", full=True)
    world.advance(OVER_S)
    said = len(world.log)
    world.advance(0.5)
    assert len(world.log) == said
    assert world.shared.space.is_here(ANNA)
    world.journal.fail = None
    world.advance(1.0)
    assert not world.shared.space.is_here(ANNA)


def test_limits_of_waits_count_at_the_agent(world: World, anna: User, bert: User) -> None:
    anna.open()
    anna.locked()
    waiting = bert.lock(timeout_s=2.0)
    world.advance(1.0)
    bert.cut()
    again = bert.lock(number=bert.number, timeout_s=2.0)
    world.advance(1.1)
    assert not bert.client.answer(again, c.AcquireAnswer).granted
    assert waiting


# --- who may ---------------------------------------------------------------------------------------------------------


def person(world: World, name: str, role: Role) -> User:
    return User(world, name.replace("@", "_").ljust(16, "_"), principal=name, role=role)


def test_nobody_speaks_for_the_process_of_somebody_else(world: World, anna: User) -> None:
    anna.open()
    anna.locked()
    thief = User(world, ANNA, principal="mallory")
    assert thief.client.failure(thief.release()).code == ErrorCode.FORBIDDEN
    assert thief.client.failure(thief.client.ask(c.Renew())).code == ErrorCode.FORBIDDEN
    assert [(each.decision, each.principal) for each in audited(world, "renew")] == [("deny", "mallory")]
    assert state(anna).free == 0


@pytest.mark.parametrize("instance", ["job:123456789012", "0123456789abcde/1", "0123456789abcde "])
def test_an_id_that_would_mean_something_else_is_refused(world: World, instance: str) -> None:
    user = User(world, instance)
    assert user.client.failure(user.send(c.Open, "db", LOCK)).code == ErrorCode.INVALID
    assert user.client.failure(user.client.ask(c.Renew())).code == ErrorCode.INVALID


def test_a_viewer_looks_and_changes_nothing(world: World, anna: User) -> None:
    anna.open()
    anna.locked()
    viewer = person(world, "vera@desk", Role.VIEWER)
    assert state(viewer).free == 0
    leases = viewer.client.answer(viewer.client.ask(c.Leases()), c.LeasesAnswer).leases
    assert [(lease.name, lease.principal) for lease in leases] == [("db", "eve")]
    for stream in (viewer.lock(), viewer.send(c.Open, "x", LOCK), viewer.send(c.Drop, "db"), viewer.release()):
        assert viewer.client.failure(stream).code == ErrorCode.FORBIDDEN
    assert [record.decision for record in audited(world, "acquire")] == ["deny"]


def test_a_runner_uses_the_names_that_the_policy_gives(world: World) -> None:
    world.policy_path.write_text('[principals."rita@desk"]\nspaces = ["web/"]\n')
    world.policy_path.chmod(0o600)
    runner = person(world, "rita@desk", Role.RUNNER)
    assert runner.open("web/db")
    runner.locked("web/db")
    for stream in (
        runner.send(c.Open, "db", LOCK),
        runner.send(c.Acquire, 2, {"web/db": 1, "db": 1}),
        runner.send(c.Open, "web/c", c.ObjectAsked("condition", lock="db")),
    ):
        assert runner.client.failure(stream).code == ErrorCode.FORBIDDEN


def test_operators_share_and_only_a_maker_or_admin_forgets(world: World) -> None:
    olga, otto = person(world, "olga@a", Role.OPERATOR), person(world, "otto@b", Role.OPERATOR)
    olga.open()
    assert not otto.open()
    otto.locked()
    assert otto.client.failure(otto.send(c.Drop, "db", forget=True)).code == ErrorCode.FORBIDDEN
    assert olga.client.answer(olga.send(c.Drop, "db", forget=True), c.NumberedAnswer).ok
    assert olga.client.failure(olga.client.ask(c.ObjectState("db"))).code == ErrorCode.NOT_FOUND


def test_what_is_made_and_forgotten_is_recorded_and_its_use_is_not(world: World) -> None:
    olga = person(world, "olga@a", Role.OPERATOR)
    olga.open()
    olga.open()
    olga.locked()
    olga.open("tmp", c.ObjectAsked("event", passing=True))
    olga.send(c.Drop, "db", forget=True)
    assert [(each.resource, each.detail) for each in audited(world, "open")] == [("db", {"kind": "lock"})]
    assert [each.resource for each in audited(world, "drop")] == ["db"]
    assert audited(world, "acquire") == []


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_status_counts_what_is_shared(world: World, anna: User, bert: User) -> None:
    anna.open()
    anna.open("q", c.ObjectAsked("queue"))
    anna.locked()
    bert.lock()
    anna.send(c.Put, "q", body=b"12345")
    counters = anna.client.answer(anna.client.ask(m.Status()), m.StatusAnswer).counters
    assert [counters[name] for name in ("objects", "leases", "waiting", "items")] == [2, 1, 1, 1]
    assert counters["queue_bytes"] >= 5
    assert world.shared.is_needed


def test_an_agent_whose_objects_are_as_new_is_not_needed_for_them(world: World, anna: User) -> None:
    anna.open()
    anna.locked()
    assert world.shared.is_needed
    anna.release()
    assert not world.shared.is_needed


def test_a_snapshot_is_as_good_as_the_log(world: World, anna: User, bert: User) -> None:
    anna.open()
    anna.open("q", c.ObjectAsked("queue"))
    anna.send(c.Put, "q", body=b"first")
    token = anna.locked()
    bert.lock()
    world.shared.recorded.keep_snapshot()
    anna.send(c.Put, "q", body=b"second")
    assert len(world.journal.log("coordination", 0)) == 1
    world.restart()
    anna.connect()
    bert.connect()
    stream = anna.send(c.Take, "q")
    assert anna.client.answer(stream, c.TakeAnswer).item == 1
    anna.release()
    assert bert.token(bert.lock(number=bert.number)) > token


def test_many_clients_and_restarts_never_leave_two_holders(make_world: MakeWorld) -> None:
    world = make_world()
    users = [User(world, f"user{number}".ljust(16, "_")) for number in range(5)]
    users[0].open()
    streams = {user: user.lock() for user in users}
    holders: list[User] = []
    tokens: list[int] = []

    def granted(client: Client, stream: int) -> bool:
        return not client.is_open(stream)

    for turn in range(40):
        if turn % 7 == 3:
            world.restart()
            for user in users:
                user.connect()
                if user not in holders:
                    streams[user] = user.lock(number=user.number)
        now = [user for user in users if user not in holders and granted(user.client, streams[user])]
        holders += now
        assert len(holders) == 1
        tokens += [user.token(streams[user]) for user in now]
        user = holders.pop()
        user.client.answer(user.release(), c.NumberedAnswer)
        streams[user] = user.lock()
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 40
