"""The agent without processes, for every test of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent.world import Client, World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes a world of given limits; at the end, all invariants must hold in it."""
    worlds: list[World] = []

    def make(**options: Any) -> World:
        state_dir = tmp_path / f"state{len(worlds)}"
        state_dir.mkdir(mode=0o700)
        worlds.append(World(state_dir, **options))
        return worlds[-1]

    yield make
    try:
        for world in worlds:
            world.check()
    finally:
        for world in worlds:
            world.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """An agent with the default limits."""
    return make_world()


@pytest.fixture
def client(world: World) -> Client:
    """A client of it."""
    return world.client()
