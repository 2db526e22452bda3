"""The kernel's tables are read as it writes them."""

from __future__ import annotations

import struct
import sys

import pytest

from holdfast.lab.kernel_tables import Entry, parse_counters, parse_table, parse_tcp_info

little = pytest.mark.skipif(sys.byteorder != "little", reason="the samples are of a little-endian machine")

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000006 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 03 00000005:00000000 01:00000064 00000000     0        0 0 1 0
   2: 010200C0:1F90 020200C0:C350 FF 00000000:00000000 01:00000064 00000000     0        0 0 1 0

"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000001000000:1F90 B80D01200000000067452301EFCDAB89:C350 06 00000000:00000000 03:00
"""


@little
def test_a_table_of_ipv4() -> None:
    assert parse_table(TCP) == (
        Entry("127.0.0.1", 8080, "0.0.0.0", 0, "LISTEN", 0, 6),
        Entry("127.0.0.1", 8080, "127.0.0.1", 50000, "SYN_RECV", 5, 0, 1.0),
        Entry("192.0.2.1", 8080, "192.0.2.2", 50000, "FF", 0, 0, 1.0),
    )


@little
def test_a_table_of_ipv6() -> None:
    assert parse_table(TCP6) == (Entry("::1", 8080, "2001:db8::123:4567:89ab:cdef", 50000, "TIME_WAIT", 0, 0),)


def test_an_empty_table() -> None:
    assert parse_table("") == ()


def test_counters_come_in_two_lines() -> None:
    text = "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 3 14\nIpExt: InNoRoutes\nIpExt: 0\n"
    assert parse_counters(text) == {"SyncookiesSent": 3, "ListenDrops": 14, "InNoRoutes": 0}


def test_what_the_kernel_knows_of_a_socket() -> None:
    data = bytearray(232)
    data[0], data[5] = 10, 32
    struct.pack_into("@II", data, 24, 6, 5)
    struct.pack_into("@QQII", data, 120, 11, 0, 3, 2)
    info = parse_tcp_info(bytes(data))
    assert (info.state, info.syn_data, info.waiting, info.limit) == ("LISTEN", True, 6, 5)
    assert (info.acknowledged, info.segments_out, info.segments_in) == (11, 3, 2)
