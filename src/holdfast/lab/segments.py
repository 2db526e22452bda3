"""TCP segments as they are on the wire: taken apart, put together again, and told beside the states of both ends. Pure.

``capture.py`` sees them pass on the loopback; ``private_net.py`` carries them by hand.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import msgspec

from holdfast.lab.blocks import Message

ETHERNET_BYTES: Final = 14
_ETHERTYPE_IPV4: Final = 0x0800
_ETHERTYPE_IPV6: Final = 0x86DD
_PROTOCOL_TCP: Final = 6
_IPV6_BYTES: Final = 40
_TCP_BYTES: Final = 20
_FLAGS: Final = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x20, "URG"), (0x10, "ACK"))
_SEQUENCE_NUMBERS: Final = 1 << 32


Identity = tuple[int, int, int, tuple[str, ...], int]


class Segment(msgspec.Struct, frozen=True):
    """The header of a TCP segment, and how many bytes it carries."""

    at_s: float
    """When it was seen, in seconds from a start that the observer has chosen."""
    source: str
    source_port: int
    target: str
    target_port: int
    seq: int
    ack: int
    """0 if the flag ACK is not set."""
    flags: tuple[str, ...]
    """Of SYN, FIN, RST, PSH, URG, ACK, in this order."""
    window: int
    """As it stands in the header, not scaled."""
    length: int
    """Bytes of data; several segments may have been merged into one on a loopback."""

    def has(self, *flags: str) -> bool:
        """Whether all of these flags are set."""
        return all(flag in self.flags for flag in flags)

    @property
    def name(self) -> str:
        """``SYN+ACK``; PSH says nothing to a reader and is left out, unless it is alone."""
        return "+".join(flag for flag in self.flags if flag != "PSH") or "+".join(self.flags) or "-"

    @property
    def next_seq(self) -> int:
        """The number that follows what it carries: SYN and FIN take one each, as a byte does."""
        return (self.seq + self.length + self.has("SYN") + self.has("FIN")) % _SEQUENCE_NUMBERS

    @property
    def identity(self) -> Identity:
        """The same for a segment that was sent again."""
        bare = self.flags == ("ACK",) and not self.length
        return self.source_port, self.seq, self.length, self.flags, self.ack if bare else 0


class Step(msgspec.Struct, frozen=True):
    """A segment, and the kernel's states of both ends once it had arrived (or had been lost)."""

    segment: Segment
    to_server: bool
    client: str
    server: str
    listener: str = ""
    """State of the listening socket; "": there is none."""
    lost: bool = False


def parse(frame: bytes, at_s: float = 0.0) -> Segment | None:
    """The TCP segment of an Ethernet frame; None: it holds none, or is cut short."""
    if len(frame) < ETHERNET_BYTES:
        return None
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind not in (_ETHERTYPE_IPV4, _ETHERTYPE_IPV6):
        return None
    return parse_packet(frame[ETHERNET_BYTES:], at_s)


def parse_packet(packet: bytes, at_s: float = 0.0) -> Segment | None:
    """The TCP segment of an IP packet of either version; None: it holds none, or is cut short.

    A later fragment has no TCP header, and none is read out of it. IPv6 with headers between IP and TCP is not read.
    """
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        size = (packet[0] & 15) * 4
        whole, _, fragment = struct.unpack_from("!HHH", packet, 2)
        if packet[9] != _PROTOCOL_TCP or fragment & 0x1FFF or size < 20:
            return None
        source, target = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
    elif version == 6 and len(packet) >= _IPV6_BYTES:
        size = _IPV6_BYTES
        whole = size + struct.unpack_from("!H", packet, 4)[0]
        if packet[6] != _PROTOCOL_TCP:
            return None
        source, target = str(IPv6Address(packet[8:24])), str(IPv6Address(packet[24:40]))
    else:
        return None
    # An offloaded packet may tell a length of 0: then it is as long as it is.
    tcp = packet[size : whole or None]
    if len(tcp) < _TCP_BYTES:
        return None
    source_port, target_port, seq, ack, offset, bits, window = struct.unpack_from("!HHIIBBH", tcp)
    header = (offset >> 4) * 4
    if header < _TCP_BYTES or header > len(tcp):
        return None
    flags = tuple(name for bit, name in _FLAGS if bits & bit)
    return Segment(
        at_s=at_s,
        source=source,
        source_port=source_port,
        target=target,
        target_port=target_port,
        seq=seq,
        ack=ack if bits & 0x10 else 0,
        flags=flags,
        window=window,
        length=len(tcp) - header,
    )


def mirrored(packet: bytes) -> bytes:
    """An IPv4 packet with source and target address exchanged; its checksums, being sums, stay right."""
    return packet[:12] + packet[16:20] + packet[12:16] + packet[20:]


def with_ack(packet: bytes, ack: int) -> bytes:
    """An IPv4 packet with a TCP segment, given another acknowledgement number and the checksum that belongs to it."""
    size = (packet[0] & 15) * 4
    tcp = bytearray(packet[size:])
    struct.pack_into("!I", tcp, 8, ack % _SEQUENCE_NUMBERS)
    struct.pack_into("!H", tcp, 16, 0)
    pseudo = packet[12:20] + struct.pack("!BBH", 0, _PROTOCOL_TCP, len(tcp))
    struct.pack_into("!H", tcp, 16, checksum(pseudo + tcp))
    return packet[:size] + bytes(tcp)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def distinct(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Without those that were sent again."""
    seen: dict[Identity, Segment] = {}
    for segment in segments:
        seen.setdefault(segment.identity, segment)
    return tuple(seen.values())


def closing(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Those that end a connection: each FIN, each bare confirmation of a FIN, each RST.

    A confirmation that goes along with data or with the other FIN needs no segment of its own.
    """
    ends = [one for one in distinct(segments) if one.has("FIN")]
    found = [one for one in distinct(segments) if one.has("FIN") or one.has("RST")]
    for end in ends:
        confirmed = next(
            (one for one in segments if one.source_port == end.target_port and one.ack == end.next_seq), None
        )
        if confirmed is not None and confirmed.name == "ACK" and not confirmed.length:
            found.append(confirmed)
    return tuple(one for one in distinct(segments) if one in found)


def first_numbers(segments: Sequence[Segment]) -> dict[int, int]:
    """By port: the number from which its side has started to count, as far as is seen."""
    first: dict[int, int] = {}
    for segment in segments:
        first.setdefault(segment.source_port, segment.seq)
        if segment.has("ACK"):  # the other side has not spoken yet: what it will say next is its start here
            first.setdefault(segment.target_port, segment.ack)
    return first


def label(segment: Segment, first: dict[int, int]) -> str:
    """``FIN+ACK seq=6 ack=1 +5 bytes``, counted from where each side has started."""
    words = [segment.name, f"seq={(segment.seq - first.get(segment.source_port, 0)) % _SEQUENCE_NUMBERS}"]
    if segment.has("ACK"):
        words.append(f"ack={(segment.ack - first.get(segment.target_port, 0)) % _SEQUENCE_NUMBERS}")
    if segment.length:
        words.append(f"{segment.length} B")
    return " ".join(words)


def messages(steps: Sequence[Step], first: dict[int, int] | None = None) -> tuple[Message, ...]:
    """Steps as arrows of a ``Sequence``: client left, server right."""
    counted = first_numbers([step.segment for step in steps]) if first is None else first
    began = steps[0].segment.at_s if steps else 0.0
    return tuple(
        Message(
            at_s=step.segment.at_s - began,
            to_right=step.to_server,
            label=label(step.segment, counted) + (" ✗" if step.lost else ""),
            left_state=step.client,
            right_state=step.server,
        )
        for step in steps
    )


def captured_messages(segments: Sequence[Segment], server_port: int) -> tuple[Message, ...]:
    """Captured segments as arrows of a ``Sequence``, without states: at full speed nobody can read them in between."""
    counted = first_numbers(segments)
    began = segments[0].at_s if segments else 0.0
    return tuple(
        Message(segment.at_s - began, segment.target_port == server_port, label(segment, counted))
        for segment in segments
    )
