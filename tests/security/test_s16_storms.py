"""S16 against a living agent: a storm of cheap frames ends its own connection, and nobody else notices."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from holdfast.wire.events import LinkClosed
from holdfast.wire.frames import FrameType, encode_frame
from holdfast.wire.link import LinkEvent
from holdfast.wire.messages import Get
from tests.conftest import AgentUnderTest
from tests.security.raw import RawClient

RATE_LIMITED = 106
BLOW = 1_000
"""Frames sent at once."""
MOST = 2_000_000
"""Whoever may send so many without being stopped is not limited: it is twenty seconds' worth of the limit."""


def late_credits(number: int) -> bytes:
    """CREDIT for a stream that is over, which is dropped: it costs its sender 24 bytes."""
    return encode_frame(FrameType.CREDIT, channel=1, stream=1, position=number) * BLOW


def pongs(number: int) -> bytes:
    """Answers that nobody has asked for."""
    return encode_frame(FrameType.PONG, position=number) * BLOW


@pytest.mark.parametrize("storm", [late_credits, pongs])
def test_a_storm_ends_its_own_connection_and_no_other(agent: AgentUnderTest, storm: Callable[[int], bytes]) -> None:
    host = agent.connect()
    job = host.start(["sleep", "60"])
    with RawClient(agent.socket_path) as enemy:
        enemy.ask(Get(job="zzzzzzzzzzzz"))
        sent, end = 0, None
        while end is None and sent < MOST:
            end = _blow(enemy, storm(sent))
            sent += BLOW
            if sent % 50_000 == 0:
                assert host.run(["echo", "well"], text=True, timeout=10.0).stdout == "well\n"
    assert isinstance(end, LinkClosed), f"{sent} frames were taken"
    assert end.code == RATE_LIMITED
    assert job.is_alive()
    assert host.run(["echo", "well"], text=True, timeout=10.0).stdout == "well\n"
    with RawClient(agent.socket_path) as again:
        assert again.welcome is not None
    job.kill()


def _blow(enemy: RawClient, frames: bytes) -> LinkEvent | None:
    """Send these; what has been said to that, if the connection has ended."""
    enemy.sock.settimeout(5.0)
    try:
        enemy.sock.sendall(frames)
        enemy.sock.settimeout(0.0)
        enemy.link.receive_data(enemy.sock.recv(1 << 16), now=time.monotonic())
    except BlockingIOError:
        return None
    except (BrokenPipeError, ConnectionResetError):
        enemy.sock.settimeout(5.0)
        enemy.link.receive_data(enemy.sock.recv(1 << 16), now=time.monotonic())
    while (event := enemy.link.next_event()) is not None:
        if isinstance(event, LinkClosed):
            return event
    return None
