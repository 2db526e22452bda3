"""Closes over a wire that is carried by hand: each segment is held, and both sides are looked at before the next."""

from __future__ import annotations

import socket
import struct
import time
from typing import Final

from holdfast.lab.private_net import Wire, connected
from holdfast.lab.segments import Step

LAST_WORDS: Final = b"last words"
NO_LINGER: Final = struct.pack("ii", 1, 0)
_QUIET_S: Final = 0.05


def four(wire: Wire) -> tuple[Step, ...]:
    """One side closes, the other has something left to send."""
    with connected(wire) as (client, server):
        own = client.getsockname()[1]
        client.shutdown(socket.SHUT_WR)
        seen = [wire.step(wire.expect("FIN"), own), wire.step(wire.expect("ACK"), own)]
        server.send(LAST_WORDS)
        seen += [wire.step(wire.expect("ACK"), own), wire.step(wire.expect("ACK"), own)]
        client.recv(100)
        server.shutdown(socket.SHUT_WR)
        seen += [wire.step(wire.expect("FIN"), own), wire.step(wire.expect("ACK"), own)]
        return tuple(seen)


def three(wire: Wire) -> tuple[Step, ...]:
    """The server is asked for its end before its kernel has said that the client's has come.

    Without ``TCP_QUICKACK`` the kernel waits with a bare ACK (40 ms), so that it may go along with something.
    """
    with connected(wire) as (client, server):
        own = client.getsockname()[1]
        client.send(b"question")  # a kernel that has seen no data does not wait at all
        wire.carry(_QUIET_S)
        server.recv(100)
        server.send(b"answer")
        wire.carry(_QUIET_S)
        client.recv(100)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        client.shutdown(socket.SHUT_WR)
        held = wire.expect("FIN")
        wire.deliver(held)
        server.recv(100)
        # The states are those before the server closes: that is what has become of the first segment.
        seen = [wire.step(held, own, lost=True)]
        server.shutdown(socket.SHUT_WR)
        while seen[-1].client != "TIME_WAIT" or seen[-1].server != "CLOSED":
            seen.append(wire.step(wire.expect(), own))
        return (_arrived(seen[0]), *seen[1:])


def crossing(wire: Wire) -> tuple[Step, ...]:
    """Both say their end before they have heard the other's."""
    with connected(wire) as (client, server):
        own = client.getsockname()[1]
        client.shutdown(socket.SHUT_WR)
        server.shutdown(socket.SHUT_WR)
        both = [wire.expect("FIN"), wire.expect("FIN")]
        seen = [wire.step(held, own) for held in both]
        while {seen[-1].client, seen[-1].server} != {"TIME_WAIT"}:
            seen.append(wire.step(wire.expect("ACK"), own))
        return tuple(seen)


def one(wire: Wire) -> tuple[Step, ...]:
    """A close that throws away what there is."""
    with connected(wire) as (client, _):
        own = client.getsockname()[1]
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        client.close()
        seen = [wire.step(wire.expect("RST"), own)]
        time.sleep(_QUIET_S)
        while (more := wire.take(_QUIET_S)) is not None:
            seen.append(wire.step(more, own))
        return tuple(seen)


def _arrived(step: Step) -> Step:
    return Step(step.segment, step.to_server, step.client, step.server, step.listener)
