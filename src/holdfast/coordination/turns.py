"""Groups of plans: who stands in line, who has one of the places, how many places there are. Pure.

A group is there as long as somebody belongs to it or it is to behave otherwise than a new one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from holdfast.coordination.plan_records import MOST_GROUPS, GroupChanged, GroupSettings, Planned
from holdfast.coordination.queues import Delivered, Queue, Taken


class Group:
    """One group.

    Attributes:
        settings: How it is to behave.
        line: Numbers of plans; those with a place are out of it and not acknowledged.
        places: By number of the plan: the item that is out.
        members: Plans that are not over, or may be retried.
    """

    def __init__(self, settings: GroupSettings) -> None:
        self.settings = settings
        self.line = Queue(order="priority", visible_after_s=math.inf)
        self.places: dict[int, tuple[int, int]] = {}
        self.members: set[int] = set()

    @property
    def has_room(self) -> bool:
        """Whether the first in line may start."""
        return not self.settings.paused and len(self.places) < self.settings.parallel

    @property
    def forgettable(self) -> bool:
        """A new one would be the same."""
        return not self.members and self.settings == GroupSettings(self.settings.name)

    def stand(self, plan: Planned) -> None:
        """To the end of the line, among those of the same priority."""
        taken, _ = self.line.put(b"%d" % plan.number, now=0.0, priority=plan.asked.priority)
        assert isinstance(taken, Taken)
        plan.place = taken.id

    def take_place(self) -> int:
        """Who is first in line gets a place."""
        got, _ = self.line.get(now=0.0, wait=False)
        assert isinstance(got, Delivered)
        number = int(got.item.value)
        self.places[number] = got.item.id, got.item.deliveries
        return number


class Turns:
    """All groups. Plans without a group are ignored by every method."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self._stirred: set[str] = set()

    def restore(self, settings: Iterable[GroupSettings], plans: Iterable[Planned]) -> None:
        """Groups and plans as they were; those that are busy have their places, the others stand in their order."""
        for each in settings:
            self.groups[each.name] = Group(each)
        plans = [plan for plan in plans if not plan.over or plan.phase == "failed"]
        for plan in plans:
            self.join(plan)
            if plan.busy and (group := self._of(plan)) is not None:
                group.stand(plan)
                group.take_place()
        for plan in sorted(plans, key=lambda plan: plan.place):
            if plan.phase == "standing" and (group := self._of(plan)) is not None:
                group.stand(plan)

    def full(self, name: str | None) -> bool:
        """Whether there cannot be a group of this name."""
        return name is not None and name not in self.groups and len(self.groups) >= MOST_GROUPS

    def draining(self, name: str | None) -> bool:
        """Whether it takes no plans."""
        return name in self.groups and self.groups[name].settings.draining

    def change(self, change: GroupChanged) -> list[int]:
        """Let a group behave otherwise; its members, in the order of arrival."""
        group = self._group(change.name)
        settings = group.settings
        settings.parallel = settings.parallel if change.parallel is None else change.parallel
        settings.paused = settings.paused if change.paused is None else change.paused
        settings.draining = settings.draining if change.draining is None else change.draining
        self._stirred.add(change.name)
        return sorted(group.members)

    def join(self, plan: Planned) -> None:
        """It belongs to its group from now on."""
        if plan.asked.group is not None:
            self._group(plan.asked.group).members.add(plan.number)

    def leave(self, plan: Planned) -> None:
        """It does not any more."""
        if (group := self._of(plan)) is not None:
            group.members.discard(plan.number)

    def stand(self, plan: Planned) -> None:
        """To the end of the line."""
        group = self._of(plan)
        assert group is not None
        plan.phase = "standing"
        group.stand(plan)

    def step_out(self, plan: Planned) -> None:
        """It gives up its place, or its place in line, if it has one."""
        group = self._of(plan)
        if group is None:
            return
        if (item := group.places.pop(plan.number, None)) is not None:
            group.line.acknowledge(*item, now=0.0)
        elif plan.phase == "standing":
            group.line.remove(plan.place, now=0.0)

    def served(self) -> list[int]:
        """Who gets a place now, group by group in the order of their names, in each in its order."""
        found = []
        for name in sorted(self._stirred & self.groups.keys()):
            group = self.groups[name]
            while group.has_room and group.line.qsize():
                found.append(group.take_place())
            if group.forgettable:
                del self.groups[name]
        self._stirred.clear()
        return found

    def problems(self, plans: Mapping[int, Planned]) -> Iterator[str]:
        """Every invariant that is broken, in words."""
        for name, group in self.groups.items():
            members = {plan.number for plan in plans.values() if plan.asked.group == name}
            busy = {number for number in members if plans[number].busy}
            standing = sum(plans[number].phase == "standing" for number in members)
            if busy != set(group.places) or group.line.qsize() != standing:
                yield f"group {name}: {busy} are busy, {set(group.places)} have places, {standing} stand in line"
            if group.members != {n for n in members if not plans[n].over or plans[n].phase == "failed"}:
                yield f"group {name} has other members"
            if standing and group.has_room:
                yield f"group {name} has room, and somebody stands in its line"
            if group.forgettable:
                yield f"group {name} need not be there"

    def _group(self, name: str) -> Group:
        if name not in self.groups:
            self.groups[name] = Group(GroupSettings(name))
        return self.groups[name]

    def _of(self, plan: Planned) -> Group | None:
        """Its group, which may have room or nothing to do after this."""
        if plan.asked.group is None:
            return None
        self._stirred.add(plan.asked.group)
        return self.groups.get(plan.asked.group)
