"""Requests over a wire that is carried by hand: their answers are lost, and the connections stay half-open."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from holdfast.lab.cases.backlog.data import Asked
from holdfast.lab.kernel_tables import entries_of, sysctl
from holdfast.lab.private_net import Wire, asking, listening

_QUIET_S: Final = 0.05


def asked(wire: Wire, number: int, came: int) -> Asked:
    """So many requests at once, and no confirmation."""
    with ExitStack() as stack:
        server = stack.enter_context(listening(number))
        port = server.getsockname()[1]
        answered: set[int] = set()
        for _ in range(came):
            client = stack.enter_context(asking(port))
            own = client.getsockname()[1]
            wire.between(own, port)
            wire.deliver(wire.expect("SYN"))
            answer = wire.take(_QUIET_S)
            if answer is not None and answer.segment.has("SYN", "ACK"):
                answered.add(own)
        half_open = sum(entry.state == "SYN_RECV" for entry in entries_of(port))
        return Asked(number, sysctl("ipv4/tcp_syncookies"), came, len(answered), half_open)
