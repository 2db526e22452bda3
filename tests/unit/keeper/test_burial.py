"""Shims that die one after the other while the keeper looks: each job's processes stay with their job."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.keeper import keeper, tree
from holdfast.store import control

ONE, TWO = 100, 200


def command_of(shim: int) -> tree.Process:
    """The command of that shim's job: in the shim's session, and the keeper's child since the shim is dead."""
    return tree.Process(pid=shim + 1, state="S", parent=1, group=shim + 1, session=shim, flags=0, start_ticks=0)


class Watched(keeper.Keeper):
    """A keeper of two shims: TWO is dead, ONE dies right after the dead were counted so many times."""

    def __init__(self, counts: int) -> None:
        line = SimpleNamespace(fileno=lambda: 0, close=lambda: None)
        children: Any = {pid: SimpleNamespace(pid=pid, shim=str(pid), line=line) for pid in (ONE, TWO)}
        loop: Any = SimpleNamespace(unwatch=lambda fd: None)
        self._children, self._adopted, self._loop = children, [], loop
        self._counts = counts
        self._dead = [TWO]
        self.heirs: dict[int, list[int]] = {}

    def look(self) -> None:
        """Begin as the keeper does: with those that are dead now."""
        self._bury(self._dead_shims())

    def _dead_shims(self) -> list[Any]:
        found = [self._children[pid] for pid in self._dead]
        self._counts -= 1
        if not self._counts:
            self._dead.append(ONE)
        return found

    def _unknown(self) -> list[tree.Process]:
        return [command_of(pid) for pid in self._dead]

    def _slots(self, name: str) -> control.Slots:
        return control.Slots(claim=control.Claim(f"job{name}", 1, int(name)))

    def _hear(self, child: Any) -> bool:
        return False

    def _decide(self, child: Any, status: int, inherited: list[int]) -> None:
        self.heirs[child.pid] = inherited


@pytest.mark.parametrize(("counts", "buried"), [(1, [TWO, ONE]), (2, [TWO]), (9, [TWO])])
def test_who_dies_while_the_dead_are_counted_keeps_what_it_leaves(
    monkeypatch: pytest.MonkeyPatch, counts: int, buried: list[int]
) -> None:
    monkeypatch.setattr(os, "waitpid", lambda pid, options: (pid, 9))
    watched = Watched(counts)
    watched.look()
    assert watched.heirs == {pid: [pid + 1] for pid in buried}
