"""Nagle's algorithm on a wire whose acknowledgements come when the lab lets them."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise

from holdfast.lab.cases.sticky_packets.channels import MESSAGES
from holdfast.lab.cases.sticky_packets.data import Wired
from holdfast.lab.private_net import FAR, NEAR, Wire
from holdfast.lab.segments import Step

_QUIET_S = 0.03


def sent_over(wire: Wire, *, nagle: bool, acknowledged: bool, gap_s: float) -> Wired:
    """Send the messages, and tell which segments they became.

    Without ``acknowledged`` the first segment is held until the last message was sent. All of it has to stay below
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
            for message in MESSAGES:
                far.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, acknowledged)
                sent_at.append(time.monotonic())
                near.send(message)
                if acknowledged:
                    _carry(wire, port, steps, until_acknowledged=True)
                elif gap_s:
                    time.sleep(gap_s)
            _carry(wire, port, steps)
            gaps = [later - earlier for earlier, later in pairwise(sent_at)]
    _let_go(wire)
    return Wired(nagle, acknowledged, sum(gaps) / len(gaps), len(MESSAGES), tuple(steps))


def _carry(wire: Wire, port: int, steps: list[Step], *, until_acknowledged: bool = False) -> None:
    """Deliver what was sent and what that brings about, until nothing comes any more (or the acknowledgement has)."""
    while (held := wire.take(1.0 if until_acknowledged else 2 * _QUIET_S)) is not None:
        wire.deliver(held)  # and no look at the states of the ends, which would take longer than the pauses do
        steps.append(Step(held.segment, held.segment.source_port == port, "", ""))
        if until_acknowledged and not steps[-1].to_server:
            return


def _let_go(wire: Wire) -> None:
    """What the ends say when they are closed is not part of it."""
    while (held := wire.take(_QUIET_S)) is not None:
        wire.deliver(held)
