"""The body of a job: exact bytes there and back, and what makes two bodies the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.jobs.body import Body, body_hash, pack, unpack
from holdfast.jobs.spec import JobSpec

ITEM = st.binary(max_size=12).map(lambda data: data.replace(b"\0", b""))
NAME = st.binary(min_size=1, max_size=6).map(lambda data: data.replace(b"\0", b"x").replace(b"=", b"y"))
BODIES = st.builds(
    Body,
    argv=st.lists(ITEM, min_size=1, max_size=5).map(tuple),
    env=st.lists(st.tuples(NAME, ITEM).map(b"=".join), max_size=4).map(tuple),
    cwd=ITEM,
)


@given(BODIES)
def test_there_and_back(body: Body) -> None:
    assert unpack(pack(body)) == body


@given(BODIES, BODIES)
def test_different_bodies_have_different_forms_and_hashes(one: Body, other: Body) -> None:
    assert (pack(one) == pack(other)) == (one == other)
    if (one.argv, sorted(one.env), one.cwd) != (other.argv, sorted(other.env), other.cwd):
        assert body_hash(one, JobSpec()) != body_hash(other, JobSpec())


def test_empty_arguments_survive() -> None:
    body = Body((b"", b"", b"x", b""), (b"A=", b"B==="), b"")
    assert unpack(pack(body)) == body


@pytest.mark.parametrize(
    "body", [Body(()), Body((b"a\0b",)), Body((b"a",), (b"A=\0",)), Body((b"a",), (), b"/\0"), Body((b"a",), (b"=x",))]
)
def test_what_cannot_be_executed_is_refused(body: Body) -> None:
    with pytest.raises(ValueError, match=r"NUL|variable|argument"):
        pack(body)


@pytest.mark.parametrize("data", [b"", b"x", b"=a\0\0", b"=a\0b\0\0\0\0", b"=a\0\0\0\0/\0\0"])
def test_what_was_not_packed_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"body|mark"):
        unpack(data)


def test_a_key_stands_for_what_is_executed_and_not_for_its_looks() -> None:
    packed = pack(Body((b"make",), (b"A=1", b"B=2"), b"/srv"))
    same = body_hash(unpack(packed), JobSpec())
    assert body_hash(Body((b"make",), (b"B=2", b"A=1"), b"/srv"), JobSpec()) == same
    for spec in (JobSpec(label="x"), JobSpec(on_disconnect="kill"), JobSpec(stdin=True), JobSpec(durability="power")):
        assert body_hash(unpack(packed), spec) == same
    for spec in (JobSpec(shell=True), JobSpec(user="root"), JobSpec(timeout_s=1.0), JobSpec(limits={"nofile": (1, 2)})):
        assert body_hash(unpack(packed), spec) != same
    assert body_hash(Body((b"make", b""), (b"A=1", b"B=2"), b"/srv"), JobSpec()) != same
