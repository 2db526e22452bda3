"""The conversation: when what is acknowledged, what is told again, and what cannot be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.functions import messages as m
from holdfast.functions import pipe as pipes
from holdfast.functions.messages import ConversationError, MessageParser, Ready
from holdfast.functions.pipe import ACK_BYTES, ACK_EVERY, FUNCTIONS, KEPT_BYTES, Asked, ClientPipe, Fate, WorkerPipe


def kinds(data: bytes) -> list[tuple[int, int]]:
    """Kind and number of all messages in these bytes."""
    return [(kind, number) for kind, number, _ in MessageParser().feed(data)]


class Two:
    """Both ends, connected."""

    def __init__(self) -> None:
        self.client = ClientPipe()
        self.worker = WorkerPipe(Ready(1, "3.11.7", 2))
        self.attach()

    def attach(self) -> None:
        self.client.attach()
        self.worker.lost()
        assert self.to_worker() == []
        self.to_client()

    def to_worker(self) -> list[Asked | int]:
        return self.worker.receive(self.client.data_to_send())

    def to_client(self) -> list[tuple[int, int, bytes]]:
        return self.client.receive(self.worker.data_to_send())

    def call(self, function: bytes = b"f") -> Asked:
        self.client.call(function, 0, b"a")
        (asked,) = self.to_worker()
        assert isinstance(asked, Asked)
        return asked


def test_the_worker_says_what_it_is() -> None:
    two = Two()
    assert two.client.attached
    assert two.client.worker == Ready(1, "3.11.7", 2)


def test_calls_wait_for_ready_and_then_go_in_order() -> None:
    client = ClientPipe()
    numbers = [client.call(b"f", m.PICKLED, b"%d" % n, 0.5) for n in range(3)]
    assert numbers == [1, 2, 3]
    client.attach()
    assert kinds(client.data_to_send()) == [(m.ATTACH, 0)]
    client.receive(m.encode(m.READY, 0, m.encode_ready(Ready(1))))
    assert kinds(client.data_to_send()) == [(m.DEFINE, 1), (m.CALL, 1), (m.CALL, 2), (m.CALL, 3)]


def test_a_function_is_told_once_and_after_a_cut_again_if_it_is_used() -> None:
    two = Two()
    for name in (b"f", b"g", b"f"):
        two.client.call(name, 0, b"")
    assert kinds(two.client.data_to_send()) == [
        (m.DEFINE, 1), (m.CALL, 1), (m.DEFINE, 2), (m.CALL, 2), (m.CALL, 3),
    ]  # fmt: skip
    two.attach()
    assert [each.number for each in two.to_worker() if isinstance(each, Asked)] == [1, 2, 3]
    two.attach()
    two.client.call(b"g", 0, b"")
    assert kinds(two.client.data_to_send()) == [(m.DEFINE, 1), (m.CALL, 4)]


def test_what_the_worker_made_of_a_function_stays_when_it_is_told_again() -> None:
    two = Two()
    two.call().function.loaded = "made"
    two.attach()
    assert two.call().function.loaded == "made"
    assert two.call(b"other").function.loaded is None


def test_no_more_functions_than_the_limit_are_known_at_a_time() -> None:
    two = Two()
    for n in range(FUNCTIONS * 2):
        assert two.call(b"f%d" % n).function.body == b"f%d" % n
    assert len(two.worker._functions) <= FUNCTIONS
    assert two.call(b"f0").function.body == b"f0"


def test_of_long_functions_the_last_one_is_known() -> None:
    two = Two()
    long, other = b"x" * (pipes.LONG_BYTES + 1), b"y" * (pipes.LONG_BYTES + 1)
    for body, told in ((long, 1), (long, 0), (other, 1), (long, 1)):
        two.client.call(body, 0, b"")
        data = two.client.data_to_send()
        assert [kind for kind, _ in kinds(data)].count(m.DEFINE) == told
        (asked,) = two.worker.receive(data)
        assert isinstance(asked, Asked)
        assert asked.function.body == body
    assert len(two.worker._functions) == 1


def test_outcomes_are_acknowledged_with_the_next_call_or_in_dozens() -> None:
    two = Two()
    two.worker.outcome(m.RESULT, two.call().number, b"r")
    two.to_client()
    assert two.client.data_to_send() == b""
    assert not two.worker.settled
    two.call()
    assert two.worker.settled
    for _ in range(ACK_EVERY):
        two.client.call(b"f", 0, b"")
    for each in two.to_worker():
        assert isinstance(each, Asked)
        two.worker.outcome(m.RESULT, each.number, b"r")
    two.to_client()
    assert kinds(two.client.data_to_send()) == [(m.ACK, ACK_EVERY + 1)]


def test_long_outcomes_and_the_last_ones_are_acknowledged_at_once() -> None:
    two = Two()
    two.worker.outcome(m.RESULT, two.call().number, b"r" * ACK_BYTES)
    two.to_client()
    assert kinds(two.client.data_to_send()) == [(m.ACK, 1)]
    asked = two.call()
    two.client.end()
    two.to_worker()
    two.worker.outcome(m.RESULT, asked.number, b"r")
    two.to_client()
    assert kinds(two.client.data_to_send()) == [(m.ACK, 2)]


def test_a_worker_with_much_unacknowledged_is_full() -> None:
    two = Two()
    asked = two.call()
    two.worker.outcome(m.RESULT, asked.number, b"r" * KEPT_BYTES)
    assert two.worker.full
    two.to_client()
    two.to_worker()
    assert not two.worker.full


def test_progress_and_pace_are_told_while_somebody_listens() -> None:
    two = Two()
    number = two.call().number
    two.worker.progress(number, b"p")
    two.worker.pace(1500)
    assert two.to_client() == [(m.PROGRESS, number, b"p"), (m.PACE, 1500, b"")]
    two.worker.outcome(m.RESULT, number, b"r")
    two.worker.progress(number, b"late")
    assert [kind for kind, _, _ in two.to_client()] == [m.RESULT]
    two.worker.lost()
    two.worker.progress(number, b"p")
    two.worker.pace(1)
    assert two.worker.data_to_send() == b""


def test_a_cancel_and_the_end_are_said_again_after_a_cut() -> None:
    two = Two()
    number = two.call().number
    two.client.cancel(number)
    two.client.cancel(99)
    two.client.end()
    two.client.data_to_send()
    two.client.attach()
    two.worker.lost()
    two.worker.receive(two.client.data_to_send())
    two.to_client()
    assert two.to_worker() == [number]
    assert two.worker.ended


@pytest.mark.parametrize(
    ("started", "finished", "recorded", "fates"),
    [
        (0, 0, True, ["no", "no", "no", "no"]),
        (2, 1, True, ["yes", "unknown", "no", "no"]),
        (2, 2, True, ["yes", "yes", "no", "no"]),
        (3, 0, True, ["unknown", "unknown", "unknown", "no"]),
        (0, 0, False, ["unknown", "unknown", "unknown", "no"]),
    ],
)
def test_what_is_known_of_calls_whose_worker_has_gone(
    started: int, finished: int, recorded: bool, fates: list[str]
) -> None:
    """Three calls were sent, a fourth one was not."""
    two = Two()
    for _ in range(3):
        two.call()
    two.client.lost()
    two.client.call(b"f", 0, b"")
    found = two.client.gone(started, finished, recorded=recorded)
    assert found == [Fate(number, ran) for number, ran in enumerate(fates, 1)]  # type: ignore[arg-type]
    assert two.client.open_calls == 0


def broken_worker(said: bytes) -> Callable[[], object]:
    two = Two()
    two.call()
    return lambda: two.client.receive(said)


@pytest.mark.parametrize(
    "said",
    [
        m.encode(m.RESULT, 2, b""),
        m.encode(m.READY, 1, m.encode_ready(Ready(1))),
        m.encode(m.CALL, 1, bytes(13)),
        m.encode(99, 1, b""),
    ],
    ids=["an-outcome-of-no-call", "a-second-ready", "what-clients-say", "an-unknown-kind"],
)
def test_what_a_worker_cannot_say(said: bytes) -> None:
    with pytest.raises(ConversationError):
        broken_worker(said)()


@pytest.mark.parametrize("taken", [0, 3], ids=["fewer-than-before", "more-than-were-sent"])
def test_another_worker_is_not_taken_for_the_old_one(taken: int) -> None:
    two = Two()
    two.call()
    two.call()
    two.attach()
    two.client.attach()
    with pytest.raises(ConversationError, match="READY"):
        two.client.receive(m.encode(m.READY, taken, m.encode_ready(Ready(1))))


@pytest.mark.parametrize(
    "said",
    [
        m.encode_call(3, 1, 0, 0.0, b""),
        m.encode_call(1, 1, 0, 0.0, b""),
        m.encode_call(2, 9, 0, 0.0, b""),
        m.encode(m.DEFINE, FUNCTIONS, b"f"),
        m.encode(m.ACK, 1),
        m.encode(m.ATTACH, 0),
        m.encode(m.RESULT, 1, b""),
    ],
    ids=["a-gap", "a-repeat", "no-function", "too-many-functions", "too-much-acknowledged", "attached", "workers-say"],
)
def test_what_a_client_cannot_say(said: bytes) -> None:
    two = Two()
    two.call()
    with pytest.raises(ConversationError):
        two.worker.receive(said)


def test_a_client_that_knows_nothing_of_what_was_acknowledged_is_another_one() -> None:
    two = Two()
    two.worker.outcome(m.RESULT, two.call().number, b"r")
    two.to_client()
    two.call()
    two.worker.lost()
    with pytest.raises(ConversationError, match="acknowledged"):
        two.worker.receive(m.encode(m.ATTACH, 0))
