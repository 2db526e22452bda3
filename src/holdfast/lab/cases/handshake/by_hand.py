"""Handshakes over a wire carried by hand: each segment is held, and both sides are looked at before the next."""

from __future__ import annotations

import socket
from typing import Final

from holdfast.lab.cases.handshake.data import Early, FastOpen, Forged
from holdfast.lab.kernel_tables import set_sysctl, state_of, tcp_info
from holdfast.lab.private_net import FAR, NEAR, Wire, accepted, asking, listening
from holdfast.lab.segments import Step, with_ack

WORD: Final = b"hello"
OFF_BY: Final = 1000
_FAST_OPEN_WITHOUT_COOKIES: Final = 0x1 | 0x2 | 0x4 | 0x200
"""For clients, for servers, and neither asks for the cookie of an earlier visit (the kernel's ip-sysctl.rst)."""
_QUIET_S: Final = 0.05


def steps(wire: Wire) -> tuple[Step, ...]:
    """The three segments."""
    with listening() as server:
        port = server.getsockname()[1]
        with asking(port) as client:
            own = client.getsockname()[1]
            wire.between(own, port)
            return tuple(wire.step(wire.expect(*flags), own) for flags in (("SYN",), ("SYN", "ACK"), ("ACK",)))


def early(wire: Wire) -> Early:
    """The client's ACK is lost, and data follow it."""
    with listening() as server:
        port = server.getsockname()[1]
        with asking(port) as client:
            own = client.getsockname()[1]
            wire.between(own, port)
            wire.step(wire.expect("SYN"), own)
            wire.step(wire.expect("SYN", "ACK"), own)
            wire.expect("ACK")  # and it is gone
            states = tcp_info(client).state, state_of(port, own)
            before = accepted(server)
            taken = client.send(WORD)
            out = tcp_info(client).segments_out
            data = wire.step(wire.expect("ACK", "PSH"), own)
            connection = before or accepted(server, 1.0)
            if connection is None:
                raise TimeoutError("not accepted")
            with connection:
                connection.settimeout(1)
                client.settimeout(1)
                read = len(connection.recv(100))
                connection.send(WORD)
                wire.carry(_QUIET_S)
                answered = len(client.recv(100))
            return Early(*states, before is not None, taken, data.server, read, answered, out)


def forged(wire: Wire) -> Forged:
    """A third segment that confirms what the server never sent."""
    with listening() as server:
        port = server.getsockname()[1]
        with asking(port) as client:
            own = client.getsockname()[1]
            wire.between(own, port)
            wire.step(wire.expect("SYN"), own)
            wire.step(wire.expect("SYN", "ACK"), own)
            third = wire.expect("ACK")
            wire.deliver(third, packet=with_ack(third.packet, third.segment.ack + OFF_BY))
            answer = wire.take(_QUIET_S * 4)  # kept away from the client, who knows nothing of this
            after = state_of(port, own)
            right = wire.step(third, own)
            return Forged(OFF_BY, answer.segment.name if answer else "", after, right.server)


def fast_open(wire: Wire) -> FastOpen | None:
    """The SYN carries a word, and the server answers it before the third segment."""
    if not set_sysctl("ipv4/tcp_fastopen", _FAST_OPEN_WITHOUT_COOKIES):
        return None
    with listening() as server, socket.socket() as client:
        port = server.getsockname()[1]
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
        client.setblocking(False)
        client.bind((NEAR, 0))
        own = client.getsockname()[1]
        wire.between(own, port)
        try:
            client.sendto(WORD, socket.MSG_FASTOPEN, (FAR, port))
        except BlockingIOError:
            pass
        asked = wire.expect("SYN")
        if not asked.segment.length:
            return None
        seen = [wire.step(asked, own)]
        connection = accepted(server, 1.0)
        if connection is None:
            return None
        with connection:
            connection.setblocking(False)
            state = tcp_info(connection).state
            read = len(connection.recv(100))
            connection.send(WORD)
            seen.append(wire.step(wire.expect("SYN", "ACK"), own))
            answered = 0
            while answered == 0:
                held = wire.expect("ACK")
                seen.append(wire.step(held, own))
                if seen[-1].to_server:
                    continue
                if state_of(port, own) == state:
                    answered = len(client.recv(100))
            while (more := wire.take(_QUIET_S)) is not None:
                seen.append(wire.step(more, own))
            return FastOpen(tuple(seen), read, state, answered)


def simultaneous(wire: Wire) -> tuple[Step, ...]:
    """Both ask, and their requests cross."""
    with socket.socket() as place:  # a port that nobody has
        place.bind((NEAR, 0))
        other = place.getsockname()[1]
    with asking(other) as client:
        own = client.getsockname()[1]
        wire.between(own, other)
        with asking(own, own_port=other):
            crossing = [wire.expect("SYN"), wire.expect("SYN")]
            seen = [wire.step(held, own) for held in crossing]
            while (seen[-1].client, seen[-1].server) != ("ESTABLISHED", "ESTABLISHED"):
                seen.append(wire.step(wire.expect(), own))
            return tuple(seen)
