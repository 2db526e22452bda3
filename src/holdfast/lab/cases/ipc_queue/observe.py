"""Fills and empties queues, and takes one apart."""

from __future__ import annotations

import os
import queue as thread_queue
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe, get_context, resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final

from holdfast.lab import measure
from holdfast.lab.cases.ipc_queue.data import Data, Early, Limits, Parts, Passage, Room
from holdfast.lab.cases.ipc_queue.ways import all_ways
from holdfast.lab.seen import Ran
from holdfast.lab.workbench import Lab

LARGE: Final = 8 << 20
SIZES: Final = (1 << 10, 1 << 16, 1 << 20, 16 << 20)
ITEM: Final = b"x" * 1000
PASSAGES: Final = 5
STUCK_S: Final = 0.25
LATE_S: Final = 20.0
_FORK: Any = get_context("fork")


def observe(lab: Lab) -> Data:
    """The notes' programs, and queues from inside."""
    room = _room(lab.pick(quick=20_000, full=100_000))
    rounds = lab.pick(quick=5, full=20)
    with lab.agent() as host:
        shared = _early("Holdfast", lambda: host.queue(f"early-{time.monotonic_ns()}", 3), lab.pick(quick=50, full=300))
    return Data(
        ways=all_ways(lab.folder),
        parts=_parts(),
        room=room,
        passages=tuple(_passage(size) for size in SIZES),
        limits=_limits(0.1),
        early=(
            _early("queue.Queue", lambda: thread_queue.Queue(3), 200),
            _early("multiprocessing.Queue", lambda: _FORK.Queue(3), 200),
            shared,
        ),
        waits=_stuck(lab),
        timed=lab.program("p11"),
        not_waiting=lab.program("p12"),
        nowait=tuple(lab.program("p13") for _ in range(rounds)),
        repaired=lab.program("p12", "repaired"),
    )


def _stuck(lab: Lab) -> Ran:
    """The program that ends with a get for which nothing comes; it is watched for a while after its last line."""
    with lab.started("p10") as running:
        running.close_input()
        running.await_line("three", LATE_S)
        return running.ended(max(1.0, 10 * lab.pace))


def _parts() -> Parts:
    fds, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    queue = _FORK.Queue()
    descriptors = len(os.listdir("/proc/self/fd")) - fds
    began = time.perf_counter()
    queue.put(b"x" * LARGE)
    put_s = time.perf_counter() - began
    after = threading.active_count()
    queue.get()
    queue.close()
    queue.join_thread()
    here, there = Pipe()
    sender = threading.Thread(target=_send, args=(there, b"x" * LARGE))
    sender.start()
    sender.join(STUCK_S)
    waits = sender.is_alive()
    here.recv_bytes()
    sender.join()
    here.close()
    there.close()
    return Parts(descriptors, threads, after, put_s, waits, _pipe_bytes())


def _send(end: Any, data: bytes) -> None:
    end.send_bytes(data)


def _pipe_bytes() -> int:
    """How much goes into a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    held = 0
    try:
        while True:
            held += os.write(writing, b"x" * 4096)
    except BlockingIOError:
        return held
    finally:
        os.close(reading)
        os.close(writing)


def _room(count: int) -> Room:
    """In a process of its own, as the thread of a queue that nobody reads never comes to an end."""
    here, there = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_fill, args=(count, there))
    child.start()
    room: Room = here.recv()
    child.join()
    here.close()
    there.close()
    return room


def _fill(count: int, there: Any) -> None:
    queue = _FORK.Queue()
    before = measure.usage(os.getpid()).pss_bytes
    for number in range(count):
        queue.put_nowait(ITEM + b"%d" % number)
    grown = measure.usage(os.getpid()).pss_bytes - before
    bound = int(queue._maxsize)  # no public name tells it
    queue.cancel_join_thread()
    queue.close()
    there.send(Room(bound, count, len(ITEM), grown))


def _passage(size: int) -> Passage:
    """To a child and its length back, over a queue; and the same through shared memory.

    That memory is made once and used for every message, as one would: to make its pages costs more than to fill them.
    """
    resource_tracker.ensure_running()  # one for parent and child: each would take the other's memory for forgotten
    there, back = _FORK.Queue(), _FORK.Queue()
    data = os.urandom(1024) * (size // 1024)
    child = _FORK.Process(target=_take, args=(there, back))
    child.start()
    there.put(b"warm")
    back.get()
    memory = SharedMemory(create=True, size=size)
    _bytes_of(memory)[:size] = data
    queue_s = shared_s = float("inf")
    answers = set()
    for _ in range(PASSAGES):
        began = time.perf_counter()
        there.put(data)
        answers.add(back.get())
        queue_s = min(queue_s, time.perf_counter() - began)
        began = time.perf_counter()
        _bytes_of(memory)[:size] = data
        there.put((memory.name, size))
        answers.add(back.get())
        shared_s = min(shared_s, time.perf_counter() - began)
    memory.close()
    memory.unlink()
    there.put(None)
    child.join()
    there.close()
    back.close()
    return Passage(size, queue_s, shared_s, answers == {(size, data[-1])})


def _bytes_of(memory: SharedMemory) -> memoryview:
    """It is None once closed, say its types."""
    assert memory.buf is not None
    return memory.buf


def _take(there: Any, back: Any) -> None:
    while (message := there.get()) is not None:
        if isinstance(message, tuple):
            name, size = message
            memory = SharedMemory(name)
            back.put((size, _bytes_of(memory)[size - 1]))
            memory.close()
        else:
            back.put((len(message), message[-1]))


def _limits(limit_s: float) -> Limits:
    queue = _FORK.Queue(3)
    things: list[object] = ["one", {"number": "two"}, ["three"]]
    for thing in things:
        queue.put(thing)
    fourth_put = _Attempt(lambda: queue.put(4))
    put_raised, put_limit_s = _raised(lambda: queue.put(5, timeout=limit_s))
    nowait_raised, put_nowait_s = _raised(lambda: queue.put(5, block=False))
    out = [queue.get() for _ in range(3)]
    fourth_put.join()
    queue.get()
    fourth_get = _Attempt(queue.get)
    get_raised, get_limit_s = _raised(lambda: queue.get(timeout=limit_s))
    empty_raised, get_nowait_s = _raised(lambda: queue.get(block=False))
    queue.put("an end to the wait")
    fourth_get.join()
    queue.close()
    return Limits(
        out == things,
        fourth_put.waited,
        fourth_get.waited,
        limit_s,
        put_limit_s,
        get_limit_s,
        put_nowait_s,
        get_nowait_s,
        (put_raised, nowait_raised, get_raised, empty_raised),
    )


class _Attempt:
    """Does something in a thread, and sees whether it is still at it after a while."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=do)
        self._thread.start()
        self._thread.join(STUCK_S)
        self.waited = self._thread.is_alive()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()


def _raised(do: Callable[[], object]) -> tuple[str, float]:
    began = time.perf_counter()
    try:
        do()
    except Exception as error:
        return type(error).__name__, time.perf_counter() - began
    return "", time.perf_counter() - began


def _early(kind: str, make: Callable[[], Any], rounds: int) -> Early:
    early = 0
    for _ in range(rounds):
        queue = make()
        for number in range(3):
            queue.put_nowait(number)
        try:
            for _ in range(3):
                queue.get_nowait()
        except thread_queue.Empty:
            early += 1
        if hasattr(queue, "cancel_join_thread"):
            queue.cancel_join_thread()
            queue.close()
    return Early(kind, rounds, early)
