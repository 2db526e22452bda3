"""Sends messages that stick and messages that are told apart."""

from __future__ import annotations

import sys

from holdfast.lab import private_net
from holdfast.lab.cases.sticky_packets import channels, headers
from holdfast.lab.cases.sticky_packets.data import Data, Wired
from holdfast.lab.cases.sticky_packets.wired import sent_over
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab
from holdfast.wire.frames import FrameType, encode_frame

PAUSE_S = 0.01


def observe(lab: Lab) -> Data:
    """Where messages stick, who merges them on the way, and what tells them apart."""
    wired = _over_a_wire(lab)
    bytes_in_json, factor = headers.bytes_in_json()
    return Data(
        passages=(
            channels.through_tcp(nodelay=False, gap_s=0.0),
            channels.through_tcp(nodelay=True, gap_s=0.0),
            channels.through_tcp(nodelay=True, gap_s=PAUSE_S),
            *channels.through_others(),
        ),
        ways=channels.in_many_ways(),
        wired=wired,
        corked_s=tuple(channels.corked_and_forgotten() for _ in range(lab.pick(quick=2, full=5))),
        large_sent=channels.LARGE,
        large_reads=channels.one_large_send(),
        framings=headers.framings(lab.random),
        one_reads=headers.one_reads(),
        announced=headers.announced(lab.random),
        bytes_in_json=bytes_in_json,
        base64_factor=factor,
        program=lab.program("p01"),
        repaired=lab.program("p01", "repaired"),
        codes=headers.codes(),
        too_large=headers.too_large(),
        swapped=headers.swapped(),
        byte_order=sys.byteorder,
        texts=headers.texts(),
        frame_prefix_hex=encode_frame(FrameType.DATA, channel=1, stream=7, position=4096, body_bytes=507).hex(" "),
    )


def _over_a_wire(lab: Lab) -> tuple[Wired, ...]:
    """Nagle's algorithm while a segment is not acknowledged, while all are, and switched off."""
    try:
        if private_net.enter():
            with private_net.Wire() as wire:
                return (
                    sent_over(wire, nagle=True, acknowledged=False, gap_s=PAUSE_S),
                    sent_over(wire, nagle=True, acknowledged=True, gap_s=0.0),
                    sent_over(wire, nagle=False, acknowledged=False, gap_s=PAUSE_S),
                )
    except OSError:
        pass
    lab.lacks(
        "a private network with a TUN device",
        Text(
            "acknowledgements are not held by hand; a receiver that delays them on the loopback stands in",
            "确认不能由实验亲手扣住，改用环回上推迟确认的接收方",
        ),
    )
    return ()
