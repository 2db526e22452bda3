"""A change of the network reaches the session, in both drivers; a local connection does not listen for any."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.client.connector import ADDRESS_GONE, Connector
from holdfast.client.session import Session
from holdfast.transport.address import parse
from tests.socket_agent import SocketAgent


class FakeWatch:
    """Becomes readable when a test says so."""

    def __init__(self) -> None:
        self._mine, self._theirs = socket.socketpair()

    def fileno(self) -> int:
        return self._mine.fileno()

    def changed(self) -> bool:
        return bool(self._mine.recv(100))

    def change(self) -> None:
        self._theirs.send(b"x")

    def close(self) -> None:
        self._mine.close()
        self._theirs.close()


def test_it_reaches_the_session(
    play: Callable[..., None], served: SocketAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, told = FakeWatch(), threading.Event()
    monkeypatch.setattr(Connector, "watch_network", lambda self: watch)
    monkeypatch.setattr(Session, "network_changed", lambda self, *, now: told.set())

    async def scenario(host: Any) -> None:
        watch.change()
        assert await asyncio.to_thread(told.wait, 10)
        assert (await host.run(["ok"])).stdout == b"fine"

    play(scenario)
    assert watch.fileno() == -1, "closed with the connection"


@pytest.mark.parametrize("ours", [True, False])
def test_a_connection_from_an_address_that_has_gone_is_given_up(
    play: Callable[..., None], served: SocketAgent, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    watch, changed = FakeWatch(), threading.Event()
    reasons: list[str] = []
    monkeypatch.setattr(Connector, "watch_network", lambda self: watch)
    monkeypatch.setattr("holdfast.transport.netwatch.is_ours", lambda local: ours)
    monkeypatch.setattr(Session, "disconnected", lambda self, reason, *, now: reasons.append(reason))
    monkeypatch.setattr(Session, "network_changed", lambda self, *, now: changed.set())

    async def scenario(host: Any) -> None:
        watch.change()
        assert await asyncio.to_thread(changed.wait, 10)
        assert reasons == ([] if ours else [ADDRESS_GONE])

    play(scenario)


@pytest.mark.parametrize(
    ("address", "watched"), [("local", False), ("unix:///a", False), ("tls://a", True), ("ssh://a", True)]
)
def test_who_listens(address: str, watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    watch: Any = FakeWatch()
    monkeypatch.setattr("holdfast.transport.netwatch.open", lambda: watch)
    connector = Connector(address, parse(address), 1.0)
    assert (connector.watch_network() is watch) is watched
    watch.close()


def test_ssh_has_longer_to_greet() -> None:
    assert Connector("ssh://a", parse("ssh://a"), 30.0).greeting_s == 30.0
    assert Connector("tls://a", parse("tls://a"), 30.0).greeting_s == 5.0
