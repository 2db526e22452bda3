"""Each operation on a shared object once: what is asked, and how the answer is read. Pure.

The number and the list of seen answers are added when it is asked (``ledger``); until then it is the same for every
connection and for both faces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from holdfast.errors import (
    BrokenBarrier,
    DeadlockError,
    QueueEmpty,
    QueueFull,
    QueueShutDown,
)
from holdfast.wire import limits
from holdfast.wire import messages as m

T = TypeVar("T")


class Ask(msgspec.Struct, Generic[T], frozen=True):
    """One request, without its number.

    Attributes:
        request: Number 1 stands for the one it will get.
        read: Answer header and body to the result.
        body: The value of a PUT.
        timeout_s: How long the agent lets it wait; None: for ever.
        late: What it comes to when the time is over and the agent cannot be asked.
        binding: Once asked it has to be waited for: its answer says that a lock is held again.
    """

    request: m.Numbered
    read: Callable[[bytes, bytes], T]
    body: bytes = b""
    timeout_s: float | None = None
    late: Callable[[], T] | None = None
    binding: bool = False


class Got(msgspec.Struct, frozen=True):
    """An item that was taken."""

    item: int
    delivery: int
    priority: float
    value: bytes


def open_object(name: str, what: m.ObjectAsked) -> Ask[bool]:
    """Make or find an object; whether it was made."""
    return Ask(m.Open(name, what, number=1), lambda header, _: m.decode(header, m.OpenAnswer).made)


def drop(name: str, *, forget: bool = False) -> Ask[bool]:
    """This client needs it no more; ``forget``: nobody does."""
    return Ask(m.Drop(name, forget, number=1), _ok)


def acquire(
    owner: int, units: Mapping[str, int], *, wait: bool, timeout_s: float | None, label: str
) -> Ask[int | None]:
    """Take all of these; the token, or None: not to be had (in time)."""
    request = m.Acquire(owner, dict(units), bool(wait), limited(timeout_s), label[: limits.NAME_CHARS], number=1)
    return Ask(request, _read_acquired, timeout_s=timeout_s if wait else 0.0, late=lambda: None)


def _read_acquired(header: bytes, _: bytes) -> int | None:
    answer = m.decode(header, m.AcquireAnswer)
    if answer.circle:
        raise deadlock(answer.circle)
    return answer.token if answer.granted else None


def deadlock(circle: tuple[m.Step, ...]) -> DeadlockError:
    """The error for a circle, one line a step."""
    lines = ["this wait would never end:"]
    for step in circle:
        what = "asked for before by" if step.ahead else "held by"
        lines.append(f"  {step.owner} waits for {step.name!r}, {what} {step.blocker}")
    return DeadlockError("\n".join(lines), circle=tuple((step.owner, step.name, step.blocker) for step in circle))


def release(owner: int, name: str, units: int = 1) -> Ask[bool]:
    """Give back."""
    return Ask(m.Release(owner, name, units, number=1), _ok)


def wait_notified(owner: int, name: str, *, timeout_s: float | None, label: str) -> Ask[tuple[bool, int]]:
    """Give the condition's lock back, wait, take it again: whether notified, and the new token."""
    request = m.Await(owner, name, limited(timeout_s), label[: limits.NAME_CHARS], number=1)

    def read(header: bytes, _: bytes) -> tuple[bool, int]:
        answer = m.decode(header, m.AwaitAnswer)
        return answer.notified, answer.token

    return Ask(request, read, binding=True)


def notify(owner: int, name: str, count: int | None) -> Ask[bool]:
    """Wake so many who wait for a condition; None: all."""
    return Ask(m.Notify(owner, name, count, number=1), _ok)


def set_flag(name: str, *, value: bool) -> Ask[bool]:
    """Set or clear an event."""
    return Ask(m.Flag(name, "set" if value else "clear", number=1), _is_set)


def wait_flag(name: str, timeout_s: float | None) -> Ask[bool]:
    """Wait until an event is set; whether it is."""
    return Ask(m.Flag(name, "wait", limited(timeout_s), number=1), _is_set, timeout_s=timeout_s, late=lambda: False)


def _is_set(header: bytes, _: bytes) -> bool:
    return m.decode(header, m.FlagAnswer).is_set


def meet(name: str, timeout_s: float | None) -> Ask[m.MeetAnswer]:
    """Come to a barrier."""
    return Ask(m.Meet(name, "wait", timeout_s=limited(timeout_s), number=1), _met, timeout_s=timeout_s, late=_not_met)


def acted(name: str, of: int, *, failed: bool) -> Ask[m.MeetAnswer]:
    """What was to be done at a barrier is done, or has failed."""
    return Ask(
        m.Meet(name, "failed" if failed else "acted", of, number=1), lambda header, _: m.decode(header, m.MeetAnswer)
    )


def change_barrier(name: str, *, abort: bool) -> Ask[m.MeetAnswer]:
    """Break it, or empty it."""
    return Ask(m.Meet(name, "abort" if abort else "reset", number=1), lambda header, _: m.decode(header, m.MeetAnswer))


def _met(header: bytes, _: bytes) -> m.MeetAnswer:
    answer = m.decode(header, m.MeetAnswer)
    if answer.broken:
        raise BrokenBarrier("the barrier is broken: somebody gave up, or it was reset")
    return answer


def _not_met() -> m.MeetAnswer:
    raise BrokenBarrier("the time for meeting at the barrier is over")


def put(
    name: str, value: bytes, *, order: tuple[float, str] = (0.0, ""), wait: bool, timeout_s: float | None
) -> Ask[int]:
    """Put an item; its number. ``order``: priority and rank."""
    priority, rank = order
    request = m.Put(name, priority, bool(wait), limited(timeout_s), rank, number=1)

    def read(header: bytes, _: bytes) -> int:
        answer = m.decode(header, m.PutAnswer)
        if answer.why == "shut":
            raise QueueShutDown(f"queue {name!r} was shut down")
        return answer.item if not answer.why else full()

    def full() -> int:
        raise QueueFull(f"queue {name!r} is full")

    return Ask(request, read, body=value, timeout_s=timeout_s if wait else 0.0, late=full)


def take(name: str, *, wait: bool, timeout_s: float | None) -> Ask[Got]:
    """Get the next item."""

    def read(header: bytes, body: bytes) -> Got:
        answer = m.decode(header, m.TakeAnswer)
        if answer.why == "shut":
            raise QueueShutDown(f"queue {name!r} was shut down")
        return Got(answer.item, answer.delivery, answer.priority, body) if not answer.why else empty()

    def empty() -> Got:
        raise QueueEmpty(f"queue {name!r} is empty")

    request = m.Take(name, bool(wait), limited(timeout_s), number=1)
    return Ask(request, read, timeout_s=timeout_s if wait else 0.0, late=empty)


def task_done(name: str) -> Ask[bool]:
    """One item is done."""
    return Ask(m.Settle(name, "task_done", number=1), _ok)


def settle(name: str, got: Got, *, failed: bool) -> Ask[bool]:
    """This delivery is done, or has come to nothing."""
    return Ask(m.Settle(name, "fail" if failed else "ack", got.item, got.delivery, number=1), _ok)


def join(name: str, timeout_s: float | None) -> Ask[bool]:
    """Wait until all items are done; False: the time was over."""
    return Ask(m.Join(name, limited(timeout_s), number=1), _ok, timeout_s=timeout_s, late=lambda: False)


def shut(name: str, *, immediate: bool) -> Ask[bool]:
    """No more items."""
    return Ask(m.ShutQueue(name, immediate, number=1), _ok)


def withdraw(of: int) -> Ask[bool]:
    """Give up a request."""
    return Ask(m.Withdraw(of, number=1), _ok)


def limited(timeout_s: float | None) -> float | None:
    """A limit as it may travel: one beyond ten years is none."""
    return None if timeout_s is None or timeout_s > limits.SECONDS else max(0.0, timeout_s)


def _ok(header: bytes, _: bytes) -> bool:
    return m.decode(header, m.NumberedAnswer).ok
