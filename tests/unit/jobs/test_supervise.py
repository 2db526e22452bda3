"""The agent's side of keeper and shims: sockets, the pool of idle shims, what is said when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.errors import StorageError
from holdfast.jobs import supervise
from holdfast.jobs.supervise import Crew, Shim, keeper_lives, shim_directories, tended
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import ShimId
from tests.unit.agent.fake_shims import FakeKeeper, FakeShim
from tests.unit.agent.manual_loop import ManualLoop


class Room:
    """A crew with its keeper; notes what the crew tells."""

    def __init__(self, state_dir: Path) -> None:
        self.loop = ManualLoop()
        self.keeper = FakeKeeper(state_dir)
        self.told: list[tuple[object, ...]] = []
        self.crew = Crew(self.loop, str(state_dir), self)

    def shim_ready(self, shim: Shim, state: messages.State) -> None:
        self.told.append(("ready", shim.id, state.stage))

    def shim_said(self, shim: Shim, message: messages.FromShim) -> None:
        if type(message) is messages.Rejected:
            raise RuntimeError("a bug")
        self.told.append(("said", type(message).__name__))

    def shim_closed(self, shim: Shim) -> None:
        self.told.append(("closed", shim.id))

    def shim_died(self, shim: ShimId, *, adopted: bool) -> None:
        self.told.append(("died", shim, adopted))

    def keeper_closed(self) -> None:
        self.told.append(("keeper closed",))

    def settle(self) -> None:
        for _ in range(4):
            self.loop.settle()
            self.keeper.pump()

    def idle(self) -> tuple[Shim, FakeShim]:
        """A shim that was made and taken."""
        self.crew.want(1)
        self.settle()
        shim = self.crew.take_idle()
        assert shim is not None
        return shim, next(fake for fake in self.keeper.shims if fake.id == shim.id)

    def close(self) -> None:
        self.crew.close()
        self.keeper.close()
        self.loop.settle()
        self.loop.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    room.crew.join(room.keeper.socket(), None)
    room.settle()
    yield room
    failures = room.loop.failures
    room.close()
    assert not failures, failures


def wanted(room: Room) -> int:
    return sum(message.number for message in room.keeper.heard if isinstance(message, messages.Want))


def kinds(fake: FakeShim) -> list[str]:
    return [type(message).__name__ for message in fake.heard]


def test_the_keeper_says_who_it_is_before_anything_else(room: Room) -> None:
    assert room.crew.keeper_pid == room.keeper.pid
    assert room.crew.keeps(ShimId("1-abc-1"))
    assert not room.crew.keeps(ShimId("1-def-1"))
    assert not room.crew.keeps(ShimId("abc"))


def test_only_as_many_shims_are_wanted_as_are_missing(room: Room) -> None:
    room.keeper.lazy = True
    room.crew.want(3)
    room.crew.want(2)
    room.crew.want(4)
    room.settle()
    assert wanted(room) == 4
    for _ in range(4):
        room.keeper.fork()
    room.settle()
    assert room.crew.idle_count == 4
    room.crew.want(4)
    room.settle()
    assert wanted(room) == 4


def test_the_shim_used_last_is_taken_first(room: Room) -> None:
    first, _ = room.idle()
    second, _ = room.idle()
    assert first is not second
    room.crew.put_back(second)
    room.crew.put_back(first)
    assert room.crew.take_idle() is first
    assert room.crew.take_idle() is second
    assert room.crew.take_idle() is None


def test_release_waits_for_the_next_run_and_goes_with_it_in_one_write(room: Room) -> None:
    shim, fake = room.idle()
    assert room.crew.release(shim, "job", 1, taken=1)
    room.settle()
    assert kinds(fake) == []
    assert room.crew.take_idle() is shim
    shim.send(messages.Run("next", 1, (b"x",), ()))
    room.settle()
    assert kinds(fake) == ["Release", "Run"]


def test_release_goes_alone_when_no_run_comes(room: Room) -> None:
    shim, fake = room.idle()
    room.crew.release(shim, "job", 1)
    room.loop.now += supervise.RELEASE_S + 0.01
    room.settle()
    assert kinds(fake) == ["Release"]


def test_a_shim_that_is_to_take_no_other_job_is_sent_home(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    shim, fake = room.idle()
    assert not room.crew.release(shim, "job", 1, last=True)
    room.settle()
    assert kinds(fake) == ["Release", "Retire"]
    shim, fake = room.idle()
    monkeypatch.setattr(supervise, "IDLE_SHIMS", 0)
    assert not room.crew.release(shim, "job", 1)
    room.settle()
    assert kinds(fake) == ["Release", "Retire"]
    assert room.crew.idle_count == 0


def test_surplus_idle_shims_go_home(room: Room) -> None:
    room.crew.want(supervise.WARM_SHIMS + 3)
    room.settle()
    room.loop.now += supervise.SWEEP_S + 0.1
    room.settle()
    assert room.crew.idle_count == supervise.WARM_SHIMS
    assert sum(kinds(fake) == ["Retire"] for fake in room.keeper.shims) == 3


def test_what_a_socket_does_not_take_waits_and_arrives_whole_and_in_order(room: Room) -> None:
    shim, fake = room.idle()
    big = b"x" * 1_000_000
    for number in range(4):
        shim.send(messages.Run("job", number, (big,), ()))
    shim.send(messages.Retire())
    for _ in range(100):
        room.settle()
    assert kinds(fake) == ["Run"] * 4 + ["Retire"]
    assert [message.attempt for message in fake.heard if isinstance(message, messages.Run)] == [0, 1, 2, 3]


def test_a_shim_that_is_gone_takes_nothing_and_raises_nothing(room: Room) -> None:
    shim, fake = room.idle()
    fake.die()
    shim.send(messages.Retire())
    room.settle()
    assert ("closed", shim.id) in room.told
    assert shim.id not in room.crew.shims


def test_a_death_is_told_by_the_keeper_even_if_the_socket_has_said_nothing(room: Room) -> None:
    shim, fake = room.idle()
    room.keeper.say(messages.Died(fake.id, 4000, 9, False))
    room.settle()
    assert room.told[-2:] == [("closed", shim.id), ("died", shim.id, False)]


def test_an_idle_shim_that_dies_leaves_the_pool(room: Room) -> None:
    shim, fake = room.idle()
    room.crew.put_back(shim)
    fake.die()
    room.settle()
    assert room.crew.take_idle() is None


def test_shims_without_keeper_go_home_after_their_job(room: Room) -> None:
    busy, fake = room.idle()
    _, idle = room.idle()
    room.crew.put_back(room.crew.shims[ShimId(idle.id)])
    room.keeper.close_socket()
    room.settle()
    assert room.told[-1] == ("keeper closed",)
    assert room.crew.keeper_pid is None
    assert kinds(idle) == ["Retire"]
    assert busy.keeperless
    room.crew.release(busy, "job", 1)
    room.settle()
    assert kinds(fake) == ["Release", "Retire"]


def test_one_word_that_is_not_dealt_with_does_not_silence_the_next(room: Room) -> None:
    _, fake = room.idle()
    fake.say_bytes(messages.frame(messages.Rejected(1, "x")) + messages.frame(messages.Grew(1, 2)))
    room.settle()
    assert room.told[-1] == ("said", "Grew")
    assert len(room.loop.failures) == 1
    room.loop.failures.clear()


def test_a_keeper_that_says_rubbish_is_heard_on(room: Room) -> None:
    assert room.keeper._sock is not None
    room.keeper._sock.send(b"\xffrubbish")
    room.crew.want(1)
    room.settle()
    assert room.crew.idle_count == 1
    assert len(room.loop.failures) == 1
    room.loop.failures.clear()


def test_a_directory_without_a_server_is_not_connected(room: Room, tmp_path: Path) -> None:
    assert not room.crew.connect(ShimId("nowhere"))
    dead = FakeShim(tmp_path / "shims", "dead")
    dead.die()
    assert not room.crew.connect(ShimId("dead"))


def test_spools_of_a_shim_are_opened_once_and_may_be_given_up(room: Room) -> None:
    shim, fake = room.idle()
    spool = shim.spool(1)
    assert shim.spool(1) is spool
    assert shim.give_up_spool(1) is spool
    assert shim.give_up_spool(1) is None
    spool.close()
    (fake.directory / "err").unlink()
    with pytest.raises(StorageError):
        shim.spool(2)


def test_an_end_in_order_says_goodbye_and_what_was_held_back(room: Room) -> None:
    shim, fake = room.idle()
    room.crew.release(shim, "job", 1)
    room.crew.bye()
    room.crew.close()
    room.keeper.pump()
    assert room.keeper.heard[-1] == messages.Bye()
    assert kinds(fake) == ["Release"]
    assert room.crew.shims == {}


# --- what lies on the disk ------------------------------------------------------------------------------------------


def test_a_lock_tells_that_somebody_tends_the_job(tmp_path: Path) -> None:
    assert shim_directories(str(tmp_path)) == []
    fake = FakeShim(tmp_path / "shims", "one")
    fake.run = messages.Run("job", 1, (b"x",), ())
    fake.claim()
    slots, is_tended = tended(str(tmp_path), ShimId("one"))
    assert isinstance(slots.claim, control.Claim)
    assert is_tended
    fake.die()
    assert not tended(str(tmp_path), ShimId("one"))[1]
    assert shim_directories(str(tmp_path)) == ["one"]
    with pytest.raises(OSError, match="ctl"):
        tended(str(tmp_path), ShimId("none"))


@pytest.mark.parametrize("shim", ["1-zz-1", "one", pytest.param(f"1-{os.getpid():x}-1", id="itself"), "1-0-1"])
def test_a_keeper_lives_only_if_the_process_is_one(shim: str) -> None:
    assert not keeper_lives(ShimId(shim))


def test_a_crowd_asks_a_busy_keeper_until_it_has_heard(room: Room) -> None:
    room.keeper.lazy = True
    room.crew.want(1)
    room.loop.settle()
    filler = messages.encode(messages.Want(0))
    agents_end = room.crew._keeper
    assert agents_end is not None
    with suppress(BlockingIOError):  # until its queue is full: it is forking and reads nothing
        while True:
            agents_end.send(filler)
    for number in range(2, 301):
        room.crew.want(number)
    room.loop.settle()
    room.settle()
    room.loop.now += supervise.ASK_AGAIN_S + 0.01
    room.settle()
    assert sum(word.number for word in room.keeper.heard if isinstance(word, messages.Want)) == 300
