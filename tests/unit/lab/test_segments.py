"""Segments are read out of bytes that were made by hand, of every length, and of none."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from holdfast.lab.segments import (
    ETHERNET_BYTES,
    Segment,
    Step,
    captured_messages,
    checksum,
    closing,
    distinct,
    label,
    messages,
    mirrored,
    parse,
    parse_packet,
    with_ack,
)

SYN, FIN, RST, PSH, ACK = 0x02, 0x01, 0x04, 0x08, 0x10


def tcp(bits: int, data: bytes = b"", *, seq: int = 7, ack: int = 9, options: bytes = b"") -> bytes:
    """A TCP segment from port 1000 to 80, without a checksum."""
    offset = (20 + len(options)) // 4 << 4
    return struct.pack("!HHIIBBHHH", 1000, 80, seq, ack, offset, bits, 64, 0, 0) + options + data


def ipv4(
    payload: bytes, *, protocol: int = 6, fragment: int = 0, options: bytes = b"", length: int | None = None
) -> bytes:
    """A packet from 192.0.2.1 to 192.0.2.2."""
    size = 20 + len(options)
    whole = size + len(payload) if length is None else length
    first = 0x40 | size // 4
    head = struct.pack("!BBHHHBBH", first, 0, whole, 0, fragment, 64, protocol, 0)
    return head + ip_address("192.0.2.1").packed + ip_address("192.0.2.2").packed + options + payload


def ipv6(payload: bytes, *, following: int = 6) -> bytes:
    """A packet from ::1 to ::1."""
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + ip_address("::1").packed * 2 + payload


def ethernet(packet: bytes, kind: int = 0x0800) -> bytes:
    """A frame of a loopback: its addresses are zero."""
    return bytes(12) + struct.pack("!H", kind) + packet


def read(packet: bytes) -> Segment:
    found = parse_packet(packet)
    assert found is not None
    return found


def test_every_field_is_read() -> None:
    found = parse(ethernet(ipv4(tcp(PSH | ACK, b"hello"))), 1.5)
    assert found == Segment(1.5, "192.0.2.1", 1000, "192.0.2.2", 80, 7, 9, ("PSH", "ACK"), 64, 5)
    assert found.name == "ACK"
    assert found.next_seq == 12


def test_options_of_ip_and_tcp_are_no_data() -> None:
    assert read(ipv4(tcp(ACK, b"abc", options=bytes(12)), options=bytes(8))).length == 3


def test_padding_of_a_short_frame_is_no_data() -> None:
    assert read(ipv4(tcp(ACK)) + bytes(6)).length == 0


def test_a_packet_whose_length_is_left_open_is_as_long_as_it_is() -> None:
    assert read(ipv4(tcp(ACK, b"abc"), length=0)).length == 3


def test_ipv6_is_read_too() -> None:
    found = parse(ethernet(ipv6(tcp(SYN, seq=0xFFFFFFFF)), 0x86DD))
    assert found is not None
    assert (found.source, found.flags, found.next_seq, found.ack) == ("::1", ("SYN",), 0, 0)


@pytest.mark.parametrize(
    ("bits", "name"),
    [(SYN, "SYN"), (SYN | ACK, "SYN+ACK"), (FIN | ACK, "FIN+ACK"), (RST, "RST"), (PSH, "PSH"), (0, "-")],
)
def test_flags_have_names(bits: int, name: str) -> None:
    assert read(ipv4(tcp(bits))).name == name


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(13),
        ethernet(b""),
        ethernet(ipv4(tcp(SYN)), 0x0806),
        ethernet(ipv4(tcp(SYN), protocol=17)),
        ethernet(ipv4(tcp(SYN), fragment=3)),
        ethernet(ipv6(tcp(SYN), following=0), 0x86DD),
        ethernet(ipv4(tcp(SYN)[:12] + b"\xf0" + tcp(SYN)[13:])),
        ethernet(ipv4(tcp(SYN)[:12] + b"\x10" + tcp(SYN)[13:])),
        ethernet(b"\x41" + ipv4(tcp(SYN))[1:]),
        ethernet(b"\x90" + ipv4(tcp(SYN))[1:]),
    ],
)
def test_what_holds_no_segment_gives_none(frame: bytes) -> None:
    assert parse(frame) is None


def test_no_piece_of_a_frame_fails() -> None:
    for whole in (ethernet(ipv4(tcp(SYN, options=bytes(8)))), ethernet(ipv6(tcp(SYN)), 0x86DD)):
        for size in range(len(whole)):
            assert parse(whole[:size]) is None


def test_no_byte_that_is_changed_makes_it_fail() -> None:
    whole = ethernet(ipv4(tcp(ACK, b"ab")))
    for place in range(ETHERNET_BYTES, len(whole)):
        for value in (0, 1, 0x0F, 0xF0, 0xFF):
            parse(whole[:place] + bytes([value]) + whole[place + 1 :])


def summed(packet: bytes) -> int:
    """0 for a TCP checksum that is right."""
    return checksum(packet[12:20] + struct.pack("!BBH", 0, 6, len(packet) - 20) + packet[20:])


@pytest.mark.parametrize("data", [b"", b"odd", b"even"])
def test_an_exchanged_acknowledgement_brings_its_checksum_and_a_mirror_needs_none(data: bytes) -> None:
    packet = with_ack(ipv4(tcp(ACK, data)), (1 << 32) + 5)
    assert read(packet).ack == 5
    assert summed(packet) == 0
    assert summed(mirrored(packet)) == 0
    assert mirrored(mirrored(packet)) == packet
    assert read(mirrored(packet)).source == "192.0.2.2"


def test_a_segment_sent_again_is_one_and_confirmations_are_several() -> None:
    syn, data = read(ipv4(tcp(SYN))), read(ipv4(tcp(ACK, b"x")))
    one, two = read(ipv4(tcp(ACK, ack=9))), read(ipv4(tcp(ACK, ack=10)))
    assert distinct([syn, syn, data, one, two, data, one]) == (syn, data, one, two)


def ending(to_server: bool, flags: str, seq: int, ack: int, length: int = 0) -> Segment:
    source, target = (1000, 80) if to_server else (80, 1000)
    return Segment(0.0, "a", source, "b", target, seq, ack, tuple(flags.split()), 64, length)


def test_what_ends_a_connection_is_told_from_data_and_their_confirmations() -> None:
    end, confirmed = ending(True, "FIN ACK", 5, 9), ending(False, "ACK", 9, 6)
    data, got = ending(False, "PSH ACK", 9, 6, 10), ending(True, "ACK", 6, 19)
    other_end, last = ending(False, "FIN ACK", 19, 6), ending(True, "ACK", 6, 20)
    four = (end, confirmed, data, got, other_end, last)
    assert closing(four) == (end, confirmed, other_end, last)
    assert closing((end, data, got, other_end, last)) == (end, other_end, last)  # confirmed along with the data
    assert closing((data, got)) == ()
    assert closing((end, data, ending(True, "RST", 6, 0))) == (end, ending(True, "RST", 6, 0))


def test_labels_count_from_where_each_side_has_started() -> None:
    asked = Segment(2.0, "a", 1000, "b", 80, 0xFFFFFFFF, 0, ("SYN",), 64, 0)
    answered = Segment(2.5, "b", 80, "a", 1000, 10, 0, ("SYN", "ACK"), 64, 0)
    assert label(asked, {}) == "SYN seq=4294967295"
    first, second = captured_messages([asked, answered], 80)
    assert (first.to_right, first.label, first.at_s) == (True, "SYN seq=0", 0.0)
    assert (second.to_right, second.label, second.at_s) == (False, "SYN+ACK seq=0 ack=1", 0.5)


def test_a_capture_that_begins_late_counts_both_sides_from_there() -> None:
    end, other_end = ending(True, "FIN ACK", 5000, 9000), ending(False, "FIN ACK", 9000, 5001)
    assert [each.label for each in captured_messages([end, other_end], 80)] == [
        "FIN+ACK seq=0 ack=0",
        "FIN+ACK seq=0 ack=1",
    ]


def test_steps_bring_the_states() -> None:
    asked = Segment(2.0, "a", 1000, "b", 80, 5, 0, ("SYN",), 64, 3)
    (arrow,) = messages([Step(asked, True, "SYN_SENT", "LISTEN", "LISTEN", lost=True)])
    assert (arrow.label, arrow.left_state, arrow.right_state) == ("SYN seq=0 3 B ✗", "SYN_SENT", "LISTEN")
    assert messages([]) == ()
