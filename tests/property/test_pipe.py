"""The conversation with workers over a network that cuts after any byte, with workers that die at any point.

The oracle is a ledger beside the code: what the model of a worker was seen to begin and to end, and what the model of a
client was told. Each call is begun at most once, whichever workers it went to; what a worker has recorded arrives once
and in its order; of a worker that died, the client believes no more than the ledger knows.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.functions import pipe
from holdfast.functions.messages import CANCELLED, ERROR, PROGRESS, RECALLED, RESULT, RETURNED, Ready
from holdfast.functions.pipe import Asked, ClientPipe, WorkerPipe

ACTIONS = (
    *("call", "call", "to_worker", "to_worker", "to_client", "to_client", "begin", "end"),
    *("cut", "attach", "recall", "cancel", "die", "progress"),
)
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 300)), max_size=150)


@pytest.fixture(autouse=True)
def small_limits() -> Iterator[None]:
    """Few functions and short ones, so that they are displaced."""
    with mock.patch.multiple(pipe, FUNCTIONS=4, LONG_BYTES=12, ACK_EVERY=5):
        yield


def function_of(payload: bytes) -> bytes:
    """Which function a call is of: some of seven, two of them long."""
    kind = int(payload) % 7
    return b"f%d" % kind if kind < 5 else b"a long function %d" % kind


class Host:
    """One worker with its pipe, and what is between it and the client. ``recorded``: its outcomes, in order."""

    def __init__(self, number: int) -> None:
        self.client = ClientPipe()
        self.worker = WorkerPipe(Ready(number))
        self.to_worker = b""
        self.to_client = b""
        self.connected = False
        self.queue: deque[Asked] = deque()
        self.running: Asked | None = None
        self.started = self.finished = 0
        self.payload: dict[int, bytes] = {}
        self.recorded: list[tuple[int, int, bytes]] = []
        self.received: list[tuple[int, int, bytes]] = []

    def flush(self) -> None:
        if self.connected:
            self.to_worker += self.client.data_to_send()
            self.to_client += self.worker.data_to_send()

    def cut(self) -> None:
        if self.connected:
            self.connected = False
            self.to_worker = self.to_client = b""
            self.client.lost()
            self.worker.lost()

    def attach(self) -> None:
        if not self.connected:
            self.connected = True
            self.client.attach()

    def outcome(self, kind: int, number: int, body: bytes) -> None:
        self.recorded.append((kind, number, body))
        self.worker.outcome(kind, number, body)


class World:
    """A client, the present worker, and the ledger."""

    def __init__(self) -> None:
        self.hosts = [Host(1)]
        self.calls = 0
        self.begun: Counter[bytes] = Counter()
        self.ended: set[bytes] = set()
        self.final: Counter[bytes] = Counter()
        self.cancelled: set[bytes] = set()

    @property
    def host(self) -> Host:
        return self.hosts[-1]

    def submit(self, payload: bytes) -> None:
        number = self.host.client.call(function_of(payload), 0, payload, 0.0)
        assert number not in self.host.payload
        self.host.payload[number] = payload

    def step(self, action: str, amount: int) -> None:
        host = self.host
        if action == "call":
            for _ in range(amount % 4 + 1):
                self.calls += 1
                self.submit(b"%d" % self.calls)
        elif action == "to_worker" and host.connected:
            came, host.to_worker = host.to_worker[:amount], host.to_worker[amount:]
            for each in host.worker.receive(came):
                self.asked(each)
        elif action == "to_client" and host.connected:
            came, host.to_client = host.to_client[:amount], host.to_client[amount:]
            self.told(host.client.receive(came))
        elif action == "begin" and host.running is None and host.queue:
            self.begin()
        elif action == "end" and host.running is not None:
            self.end(failed=amount % 5 == 0)
        elif action == "recall":
            while host.queue:
                host.outcome(RETURNED, host.queue.popleft().number, RECALLED)
        elif action == "cancel" and host.payload:
            number = 1 + amount % len(host.payload)
            host.client.cancel(number)
            self.cancelled.add(host.payload[number])
        elif action == "progress" and host.running is not None:
            host.worker.progress(host.running.number, b"half")
        elif action == "die":
            self.die()
        elif action == "cut":
            host.cut()
        elif action == "attach":
            host.attach()
        self.host.flush()

    def asked(self, asked: Asked | int) -> None:
        host = self.host
        if isinstance(asked, Asked):
            assert asked.arguments == host.payload[asked.number]
            assert asked.function.body == function_of(asked.arguments)
            host.queue.append(asked)
            return
        for each in host.queue:
            if each.number == asked:
                host.queue.remove(each)
                host.outcome(RETURNED, asked, CANCELLED)
                return

    def begin(self) -> None:
        host = self.host
        host.running = host.queue.popleft()
        host.started = host.running.number
        self.begun[host.running.arguments] += 1

    def end(self, *, failed: bool) -> None:
        host = self.host
        assert host.running is not None
        running, host.running = host.running, None
        host.finished = running.number
        self.ended.add(running.arguments)
        host.outcome(ERROR if failed else RESULT, running.number, b"of " + running.arguments)

    def told(self, told: list[tuple[int, int, bytes]]) -> None:
        host = self.host
        for kind, number, body in told:
            payload = host.payload[number]
            if kind == PROGRESS:
                assert not self.final[payload]
                continue
            host.received.append((kind, number, body))
            if kind == RETURNED and body == RECALLED:
                self.submit(payload)
                continue
            if kind == RETURNED:
                assert payload in self.cancelled
                assert not self.begun[payload]
            else:
                assert body == b"of " + payload
            self.final[payload] += 1

    def die(self) -> None:
        host = self.host
        host.cut()
        fates = host.client.gone(host.started, host.finished)
        assert [fate.number for fate in fates] == sorted({*host.payload} - {n for _, n, _ in host.received})
        self.hosts.append(Host(len(self.hosts) + 1))
        returned = {number for kind, number, _ in host.recorded if kind == RETURNED}
        for number, ran in fates:
            payload = host.payload[number]
            if ran == "no":
                self.submit(payload)
                continue
            self.final[payload] += 1
            if ran == "yes":
                assert payload in self.ended or number in returned
            else:
                assert self.begun[payload] or number in returned

    def finish(self) -> None:
        """From now on nothing goes wrong."""
        for _ in range(10_000):
            if not self.host.client.open_calls:
                break
            self.step("attach", 0)
            self.step("to_worker", 1 << 20)
            self.step("begin", 0)
            self.step("end", 1)
            self.step("to_client", 1 << 20)
        assert sorted(self.final, key=int) == [b"%d" % n for n in range(1, self.calls + 1)]
        assert set(self.final.values()) <= {1}
        assert all(count == 1 for count in self.begun.values())
        for host in self.hosts:
            assert host.received == host.recorded[: len(host.received)]
        assert self.host.received == self.host.recorded


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_each_call_is_begun_once_and_each_outcome_arrives_once(steps: list[tuple[str, int]]) -> None:
    world = World()
    for action, amount in steps:
        world.step(action, amount)
    world.finish()


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_a_worker_that_was_told_the_end_settles(steps: list[tuple[str, int]]) -> None:
    world = World()
    world.step("attach", 0)
    for action, amount in steps:
        world.step(action, amount)
    world.finish()
    host = world.host
    host.client.end()
    host.cut()
    world.step("attach", 0)
    for _ in range(3):
        world.step("to_worker", 1 << 20)
        world.step("to_client", 1 << 20)
    assert host.worker.ended
    assert host.worker.settled


def test_a_cut_after_every_byte_in_both_directions() -> None:
    """Twelve calls, one of them recalled; first without a cut, to know how many bytes there are."""

    def exchange(direction: str, cut: int) -> int:
        world, passed = World(), 0
        for _ in range(12):
            world.step("call", 0)
        while world.host.client.open_calls:
            world.step("attach", 0)
            for way in ("to_worker", "to_client"):
                waiting = len(getattr(world.host, way))
                if way == direction and passed <= cut < passed + waiting:
                    world.step(way, cut - passed)
                    passed = cut + 1
                    world.step("cut", 0)
                    world.step("attach", 0)
                else:
                    passed += waiting if way == direction else 0
                world.step(way, 1 << 20)
            world.step("begin", 0)
            if world.host.running is not None and world.host.running.number == 3:
                world.step("recall", 0)
            world.step("end", 1)
        world.finish()
        return passed

    for direction in ("to_worker", "to_client"):
        length = exchange(direction, 1 << 30)
        assert length > 300
        for cut in range(length):
            exchange(direction, cut)
