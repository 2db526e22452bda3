"""Contestants that are not there: told with the reason, and nobody else is kept from measuring."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench import openssh_server
from bench.arena import Arena
from bench.contestant import Order
from bench.openssh_server import missing
from bench.samples import ContestantFailed
from bench.sizes import SIZES


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    with closing(Arena(str(tmp_path), SIZES["smoke"])) as made:
        yield made


def test_without_openssh_its_column_says_not_installed(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    turns = arena.turns(1, {"openssh": lambda _: 1.0})
    assert turns.failed == {"openssh": "not installed (ssh, ssh-keygen, sshd)"}
    assert not turns.readings


def test_a_server_alone_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual case on a laptop: the client is there, ``sshd`` is a package of its own."""
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if name == "sshd" else f"/usr/bin/{name}")
    assert missing() == "not installed (sshd)"


def test_a_server_that_root_cannot_start_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may deny the mount that stands for a directory which only the system's service makes."""
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr(openssh_server, "_needs_a_namespace", lambda: True)
    monkeypatch.setattr(openssh_server, "_may_have_a_namespace", lambda: False)
    assert missing() == "not installed (the directory /run/sshd)"


def test_without_asyncssh_its_column_says_not_installed(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    turns = arena.turns(1, {"asyncssh": lambda _: 1.0})
    assert turns.failed["asyncssh"].startswith("not installed")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("execnet", "not installed (execnet, which the extra `bench` has)"),
        ("mitogen", "not installed (mitogen, which the extra `bench` has)"),
        ("ray", "not installed (ray)"),
        ("dask", "not installed (distributed)"),
    ],
)
def test_without_its_module_a_neighbour_of_calls_is_not_installed(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    """Ray and Dask are in no extra: they are measured where somebody has them."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert arena.turns(1, {name: lambda _: 1.0}).failed == {name: words}


def test_without_a_redis_server_or_its_client_redis_is_not_installed(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    words = "not installed (redis-server; redis, which the extra `bench` has)"
    assert arena.turns(1, {"redis": lambda _: 1.0}).failed == {"redis": words}


def test_a_contestant_that_fails_while_it_warms_up_is_out(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local pool knows no queue: its order fails, and nothing of it is measured."""
    turns = arena.turns(1, {"processes": lambda _: pytest.fail("it was measured")}, warm=[Order("queue", 1)])
    assert turns.failed == {"processes": "processes: NotImplementedError: queue"}


def test_what_could_not_be_started_is_not_tried_again(arena: Arena) -> None:
    """Three contestants share an agent: it fails once, with one reason, and costs its patience once."""
    tries: list[int] = []

    def fails() -> closing[Arena]:
        tries.append(1)
        raise OSError("no such device")

    for _ in range(2):
        with pytest.raises(ContestantFailed, match="no such device"):
            arena._once("agent", fails)
    assert tries == [1]
