"""Bombs are refused before anything is allocated for them: at most 64 KiB of memory each."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from holdfast.errors import RemoteProtocolError
from holdfast.wire import limits
from holdfast.wire.frames import FrameType, encode_frame
from holdfast.wire.link import Link
from holdfast.wire.messages import Run, UnreadableHeader, decode_request
from holdfast.wire.phases import ALLOWED, Phase, Role
from holdfast.wire.run import unpack_items
from tests.unit.wire.pair import link_in, side_in

MOST_BYTES = 64 * 1024


@pytest.fixture(autouse=True)
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak_of(act: Callable[[], object]) -> int:
    """Most bytes allocated at once during ``act``, beyond what was there before."""
    tracemalloc.clear_traces()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    act()
    return tracemalloc.get_traced_memory()[1] - before


@pytest.mark.parametrize(("role", "phase"), [key for key in ALLOWED if key[1] is not Phase.CLOSED])
def test_length_bombs(role: Role, phase: Phase) -> None:
    for type_ in ALLOWED[role, phase]:
        for lengths in ((2**32 - 1, 0), (0, 2**32 - 1), (2**32 - 1, 2**32 - 1), (2**31, 0)):
            prefix = encode_frame(type_, body_bytes=lengths[1])
            prefix = prefix[:4] + lengths[0].to_bytes(4, "big") + prefix[8:]
            link = side_in(role, phase)
            assert peak_of(lambda link=link, prefix=prefix: link.receive_data(prefix, now=0.0)) <= MOST_BYTES  # type: ignore[misc]
            assert link.closed


def test_a_legal_announcement_allocates_nothing_before_its_bytes_come() -> None:
    link = link_in(Role.AGENT, Phase.OPEN)
    prefix = encode_frame(FrameType.REQ, stream=3, body_bytes=limits.REQUEST_BODY_BYTES)
    assert peak_of(lambda: link.receive_data(prefix, now=0.0)) <= MOST_BYTES
    assert not link.closed


def test_a_body_dripped_in_single_bytes_costs_little_more_than_its_bytes() -> None:
    link = link_in(Role.AGENT, Phase.OPEN)
    link.receive_data(encode_frame(FrameType.REQ, stream=3, body_bytes=limits.REQUEST_BODY_BYTES), now=0.0)
    size = 100_000

    def drip() -> None:
        for _ in range(size):
            link.receive_data(b"x", now=0.0)

    assert peak_of(drip) <= 2 * size + MOST_BYTES


def test_a_chunk_is_not_kept_alive_for_its_small_rest() -> None:
    link: Link = link_in(Role.AGENT, Phase.OPEN)
    rest = encode_frame(FrameType.REQ, stream=3, body_bytes=100_000) + bytes(8000)

    def feed() -> None:
        pongs = encode_frame(FrameType.PONG) * 40_000
        link.receive_data(pongs + rest, now=0.0)

    peak_of(feed)
    assert tracemalloc.get_traced_memory()[0] <= MOST_BYTES


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 200_000,
        b'{"op":"get","job":' + b"[" * 200_000,
        b'{"op":"get","x":' + b"[" * 200_000,
        b'{"op":"run","key":"k","argc":1,"groups":' + b"[" * 200_000,
        b'{"op":"run","key":"k","argc":' + b"9" * 200_000,
        b'{"op":"get","job":[' + b"1," * 500_000 + b"1]}",
        b'{"op":"signal","job":"j","signum":[' + b"{}," * 300_000,
    ],
    ids=range(7),
)
def test_json_bombs(header: bytes) -> None:
    def act() -> None:
        with pytest.raises(UnreadableHeader):
            decode_request(header)

    assert peak_of(act) <= MOST_BYTES


def test_two_million_empty_arguments_make_no_list() -> None:
    body = b"\0" * limits.REQUEST_BODY_BYTES

    def act() -> None:
        with pytest.raises(RemoteProtocolError):
            unpack_items(Run(key="k", argc=limits.ARGV_ITEMS), body)

    assert peak_of(act) <= MOST_BYTES
