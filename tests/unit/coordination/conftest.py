from __future__ import annotations

import pytest

from tests.unit.coordination.space_world import Client, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def anna(world: World) -> Client:
    return Client(world, "anna___________1")


@pytest.fixture
def bert(world: World) -> Client:
    return Client(world, "bert___________1")
