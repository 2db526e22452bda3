"""Sends by TCP and UDP over a wire that loses, and as fast as it goes."""

from __future__ import annotations

from holdfast.lab import private_net
from holdfast.lab.cases.tcp_vs_udp import crossing, loopback
from holdfast.lab.cases.tcp_vs_udp.data import Crossing, Data, Exchange, Kept
from holdfast.lab.cases.tcp_vs_udp.relay import Relay
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

LOSSES = (0.0, 0.05, 0.15)
DELAY_S = 0.01
"""One way."""


def observe(lab: Lab) -> Data:
    """What arrives, what is kept until when, and how long it takes."""
    kept, crossings, exchanges = _over_a_wire(lab)
    return Data(
        kept=kept,
        crossings=crossings,
        exchanges=exchanges,
        bulks=loopback.bulks(lab.pick(quick=24 << 20, full=96 << 20), lab.pick(quick=3, full=5)),
        unread=loopback.confirmed_and_not_read(),
        refused=loopback.refused(),
        not_read_in_time=loopback.not_read_in_time(),
        burst=loopback.BURST,
    )


def _over_a_wire(lab: Lab) -> tuple[tuple[Kept, ...], tuple[Crossing, ...], tuple[Exchange, ...]]:
    count, rounds = lab.pick(quick=200, full=600), lab.pick(quick=5, full=15)
    try:
        if private_net.enter():
            with Relay(lab.random) as wire:
                return (
                    crossing.what_is_kept(wire),
                    tuple(crossing.crossing(wire, kind, count, loss) for loss in LOSSES for kind in ("UDP", "TCP")),
                    crossing.exchanges(wire, rounds, DELAY_S),
                )
    except OSError:
        pass
    lab.lacks(
        "a private network with a TUN device",
        Text(
            "datagrams are lost by a program, TCP runs without loss, and questions are asked over the loopback",
            "由程序丢弃数据报，TCP 不丢包，问答都在环回上进行",
        ),
    )
    return (
        loopback.kept_before_a_full_reader(),
        tuple(loopback.crossing_by_proxy(kind, count, LOSSES[1], lab.random) for kind in ("UDP", "TCP")),
        loopback.exchanges_on_loopback(rounds),
    )
