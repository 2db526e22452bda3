"""Which call goes to which worker: one line of waiting calls, and a lane for each worker. Pure.

Rules:

* A call goes to a free worker at once; workers are started while calls wait and more are allowed.
* A busy worker is sent calls ahead of need as far as they are short: about ``AHEAD_S`` of its work, so that it never
  waits for us, and none where a call takes longer than that. What it takes ahead is its share of the line, so that the
  last calls of a large map end everywhere at about the same time.
* A worker gives back what it has not begun when a call turns out long; such calls go to the front of the line, in
  their order, and that worker is sent nothing ahead until its calls are short again.
* When a worker is gone, the calls that it had not begun go to the front of the line.
* A call is claimed when its turn comes; one that its caller has given up before is dropped then. So thousands can be
  given up at once, and none both given up and sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from typing import Protocol

    class Schedulable(Protocol):
        """A call: all that the schedule wants to know of it. ``claim``: whether it is still wanted; from then on it
        cannot be given up, until ``unclaim``. ``size``: bytes.
        """

        @property
        def size(self) -> int: ...
        @property
        def given_up(self) -> bool: ...
        def claim(self) -> bool: ...
        def unclaim(self) -> None: ...


C = TypeVar("C", bound="Schedulable")

AHEAD_S: Final = 0.005
"""Work that a busy worker is given ahead of need: more than a round trip on one machine and a turn of Python's
interpreter lock (5 ms); little enough that nobody minds if another worker stands idle for so long at the end."""
AHEAD_MOST: Final = 512
"""Calls sent ahead to one worker, however short they are."""
AHEAD_BYTES: Final = 1 << 20
"""Arguments sent ahead to one worker: nothing is gained by having large ones there early."""
SLOW_S: Final = 2 * AHEAD_S
"""What the calls of a worker are taken to last after it has given some back."""


class Lane(Generic[C]):
    """One worker as the schedule sees it.

    Attributes:
        name: What the owner knows the worker by.
        slots: Calls that it runs at a time.
        left: Calls that it may still begin before it is replaced; None: no limit.
        ready: It is there.
        retired: It is given nothing more.
        calls: What it was given and has not answered, by number, in the order given.
        size: Bytes of all these.
        last: Number of the call that it was given last; numbers count up from 1.
        per_call_s: How long its calls take, as far as is known; None: nothing has come back yet.
        ahead: Calls that it may be given beside those it runs.
    """

    __slots__ = ("ahead", "calls", "last", "left", "name", "per_call_s", "ready", "retired", "size", "slots")

    def __init__(self, name: str, slots: int, left: int | None) -> None:
        self.name = name
        self.slots = slots
        self.left = left
        self.ready = False
        self.retired = False
        self.calls: dict[int, C] = {}
        self.size = 0
        self.last = 0
        self.per_call_s: float | None = None
        self.ahead = 0

    @property
    def free(self) -> int:
        """Calls that it would begin at once."""
        return self._allowed(self.slots - len(self.calls))

    @property
    def room(self) -> int:
        """Calls that it may be given now."""
        ahead = self.ahead if self.size < AHEAD_BYTES else 0
        return self._allowed(self.slots + ahead - len(self.calls))

    @property
    def used_up(self) -> bool:
        """Whether it will be given nothing more, and has answered what it was given."""
        return (self.retired or self.left == 0) and not self.calls

    def _allowed(self, count: int) -> int:
        if not self.ready or self.retired:
            return 0
        return max(0, count) if self.left is None else max(0, min(count, self.left))

    def took(self, seconds: float) -> None:
        """A call of its took so long, on the average of those that have just come back.

        Longer ones count at once, shorter ones by and by: a map of short calls with a long one now and then is sent
        few ahead, which costs little, and nobody waits behind the long one.
        """
        known = self.per_call_s
        self.per_call_s = seconds if known is None or seconds > known else max(seconds, known / 2)
        self.ahead = min(AHEAD_MOST, int(AHEAD_S * self.slots / max(self.per_call_s, 1e-9)))


class Schedule(Generic[C]):
    """The line and the lanes of one pool.

    Args:
        workers: Most workers at a time.
        slots: Calls that one worker runs at a time.
        most_calls: Calls after which a worker is replaced (``max_tasks_per_child``); None: never.
    """

    def __init__(self, *, workers: int, slots: int = 1, most_calls: int | None = None) -> None:
        self.workers = workers
        self._slots = slots
        self._most_calls = most_calls
        self._waiting: deque[C] = deque()
        self._lanes: dict[str, Lane[C]] = {}
        self._free: dict[Lane[C], None] = {}
        self._open: dict[Lane[C], None] = {}

    @property
    def lanes(self) -> list[Lane[C]]:
        """All workers, the oldest first."""
        return list(self._lanes.values())

    @property
    def waiting(self) -> int:
        """Calls in the line; those that were given up count only behind one that was not."""
        waiting = self._waiting
        while waiting and waiting[0].given_up:
            waiting.popleft()
        return len(waiting)

    @property
    def has_free(self) -> bool:
        """Whether some worker would begin a call at once."""
        return bool(self._free)

    @property
    def idle(self) -> bool:
        """Whether no call is anywhere."""
        return not self.waiting and not any(lane.calls for lane in self._lanes.values())

    # --- calls -------------------------------------------------------------------------------------------------------

    def add(self, calls: Iterable[C]) -> None:
        """More calls, at the end of the line."""
        self._waiting.extend(calls)

    def dispatch(self) -> list[tuple[Lane[C], list[tuple[int, C]]]]:
        """Give out what can be given now: to each lane its numbered calls, in order."""
        given: list[tuple[Lane[C], list[tuple[int, C]]]] = []
        waiting = self._waiting
        while waiting:
            if self._free:
                lane = next(reversed(self._free))  # the one that was busy last is the warmest
                most = lane.free
            elif self._open:
                lane = next(iter(self._open))
                most = min(lane.room, 1 + len(waiting) // len(self._lanes))
            else:
                break
            calls = self._take(lane, most)
            if calls:
                given.append((lane, calls))
            self._open.pop(lane, None)  # the others first, the next time
            self._note(lane)
        return given

    def answered(self, lane: Lane[C], numbers: Sequence[int], *, per_call_s: float | None = None) -> list[C | None]:
        """These calls of a worker have come to their end.

        Args:
            lane: The worker.
            numbers: Their numbers.
            per_call_s: How long they took there, on the average; None: not known.

        Returns:
            The calls; None for a number that is not with this worker.
        """
        calls = [lane.calls.pop(number, None) for number in numbers]
        for call in calls:
            if call is not None:
                lane.size -= call.size
        if per_call_s is not None:
            lane.took(per_call_s)
        self._note(lane)
        return calls

    def returned(self, lane: Lane[C], numbers: Iterable[int], *, slow: bool = False) -> None:
        """These calls came back unbegun, and go to the front of the line. ``slow``: because another one takes long."""
        found = [lane.calls.pop(number) for number in sorted(numbers) if number in lane.calls]
        self._put_back(lane, found)
        if slow:
            lane.took(SLOW_S * lane.slots)
        self._note(lane)

    # --- workers -----------------------------------------------------------------------------------------------------

    def starts_wanted(self) -> int:
        """How many workers to start now."""
        if not self._waiting:
            return 0
        lanes = [lane for lane in self._lanes.values() if not lane.retired]
        coming = sum(1 for lane in lanes if not lane.ready)
        wanted = -(-self.waiting // self._slots) - coming
        return max(0, min(wanted, self.workers - len(lanes)))

    def enter(self, name: str) -> Lane[C]:
        """A worker is being started; it takes calls from ``ready`` on."""
        lane = self._lanes[name] = Lane(name, self._slots, self._most_calls)
        return lane

    def ready(self, lane: Lane[C]) -> None:
        """This worker is there."""
        lane.ready = True
        self._note(lane)

    def retire(self, lane: Lane[C]) -> None:
        """This worker is given nothing more, and no longer counts as one."""
        lane.retired = True
        self._note(lane)

    def leave(self, lane: Lane[C], *, unbegun: Iterable[int] = ()) -> dict[int, C]:
        """This worker is gone.

        Args:
            lane: The worker.
            unbegun: Numbers of its calls that another one may have.

        Returns:
            Its other calls, by number.
        """
        self._lanes.pop(lane.name, None)
        self._free.pop(lane, None)
        self._open.pop(lane, None)
        lane.ready = False
        self.returned(lane, unbegun)
        calls, lane.calls = lane.calls, {}
        return calls

    def clear(self) -> list[C]:
        """Take every call out, wherever it is."""
        calls = [call for lane in self._lanes.values() for call in lane.calls.values()]
        calls += self._waiting
        self._waiting.clear()
        for lane in self._lanes.values():
            lane.calls.clear()
            lane.size = 0
            self._note(lane)
        return calls

    def drop_waiting(self) -> list[C]:
        """Take out the calls that wait in the line, but for as many as workers that are coming will begin."""
        calls = list(self._waiting)
        kept = self._slots * sum(not lane.ready and not lane.retired for lane in self._lanes.values())
        self._waiting = deque(calls[:kept])
        return calls[kept:]

    def validate(self) -> None:
        """All invariants; for tests.

        Raises:
            AssertionError: one does not hold.
        """
        seen: set[int] = {id(call) for call in self._waiting}
        count = len(self._waiting)
        for lane in self._lanes.values():
            seen.update(id(call) for call in lane.calls.values())
            count += len(lane.calls)
            assert list(lane.calls) == sorted(lane.calls), f"{lane.name} holds its calls out of order"
            assert lane.size == sum(call.size for call in lane.calls.values()), f"{lane.name} counts bytes wrongly"
            assert (lane in self._free) == (lane.free > 0), f"{lane.name} is free and not known as such, or the reverse"
            assert (lane in self._open) == (lane.room > 0), f"{lane.name} has room and is not known so, or the reverse"
            assert len(lane.calls) <= lane.slots + AHEAD_MOST, f"{lane.name} holds {len(lane.calls)} calls"
        assert len(seen) == count, "a call is in two places"
        assert sum(not lane.retired for lane in self._lanes.values()) <= self.workers, "more workers than allowed"

    # --- inside ------------------------------------------------------------------------------------------------------

    def _take(self, lane: Lane[C], most: int) -> list[tuple[int, C]]:
        waiting, held, number, size = self._waiting, lane.calls, lane.last, lane.size
        taken: list[tuple[int, C]] = []
        while waiting and len(taken) < most:
            if size >= AHEAD_BYTES and len(held) >= lane.slots:
                break
            call = waiting.popleft()
            if not call.claim():
                continue
            number += 1
            size += call.size
            held[number] = call
            taken.append((number, call))
        lane.last, lane.size = number, size
        if lane.left is not None:
            lane.left -= len(taken)
        return taken

    def _put_back(self, lane: Lane[C], calls: list[C]) -> None:
        for call in calls:
            call.unclaim()
        self._waiting.extendleft(reversed(calls))
        lane.size -= sum(call.size for call in calls)
        if lane.left is not None:
            lane.left += len(calls)

    def _note(self, lane: Lane[C]) -> None:
        if lane.free > 0:
            self._free[lane] = None
        else:
            self._free.pop(lane, None)
        if lane.room > 0:
            self._open[lane] = None
        else:
            self._open.pop(lane, None)
