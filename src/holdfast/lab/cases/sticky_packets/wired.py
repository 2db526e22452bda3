"""Nagle's algorithm on a wire whose acknowledgements come when the lab lets them."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise

from holdfast.lab.cases.sticky_packets.channels import MESSAGES
from holdfast.lab.cases.sticky_packets.data import Wired
from holdfast.lab.private_net import FAR, NEAR, Held, Wire
from holdfast.lab.segments import Step

_QUIET_S = 0.03


def sent_over(wire: Wire, *, nagle: bool, acknowledged: bool, gap_s: float) -> Wired:
    """Send the messages, and tell which segments they became.

    Without ``acknowledged`` what is sent is held until the last message was. All of it has to stay below
    200 ms, after which the kernel would send again.
    """
    with socket.socket() as listener, socket.socket() as near:
        listener.bind((NEAR, 0))
        listener.listen()
        near.bind((NEAR, 0))
        port = near.getsockname()[1]
        steps: list[Step] = []
        asking = threading.Thread(target=near.connect, args=((FAR, listener.getsockname()[1]),))
        asking.start()
        for flags in (("SYN",), ("SYN", "ACK"), ("ACK",)):
            wire.step(wire.expect(*flags), port)
        asking.join()
        far, _ = listener.accept()
        with far:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not nagle)
            sent_at: list[float] = []
            sent = 0
            held: list[Held] = []
            for message in MESSAGES:
                far.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, acknowledged)
                sent_at.append(time.monotonic())
                sent += near.send(message)
                if acknowledged:
                    _carry(wire, port, steps, sent)
                else:
                    held += _appear(wire, gap_s)
            if not acknowledged:
                for each in held:
                    _deliver(wire, each, port, steps)
                _carry(wire, port, steps, sent)
            gaps = [later - earlier for earlier, later in pairwise(sent_at)]
    _let_go(wire)
    return Wired(nagle, acknowledged, sum(gaps) / len(gaps), len(MESSAGES), tuple(steps))


def _appear(wire: Wire, seconds: float) -> list[Held]:
    """What is sent within this time, held."""
    found = []
    deadline = time.monotonic() + seconds
    while (held := wire.take(deadline - time.monotonic())) is not None:
        found.append(held)
    return found


def _carry(wire: Wire, port: int, steps: list[Step], size: int) -> None:
    """Deliver what is sent, and what that brings about, until so many bytes in all were acknowledged."""
    while (held := wire.take(1.0)) is not None:
        _deliver(wire, held, port, steps)
        segment = held.segment
        if segment.source_port != port and (segment.ack - steps[0].segment.seq) % (1 << 32) >= size:
            return


def _deliver(wire: Wire, held: Held, port: int, steps: list[Step]) -> None:
    """Let it arrive, without a look at the states of the ends, which would take longer than the pauses do."""
    wire.deliver(held)
    steps.append(Step(held.segment, held.segment.source_port == port, "", ""))


def _let_go(wire: Wire) -> None:
    """What the ends say when they are closed is not part of it."""
    while (held := wire.take(_QUIET_S)) is not None:
        wire.deliver(held)
