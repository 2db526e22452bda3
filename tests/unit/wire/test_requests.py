"""The body of RUN: arguments, environment, directory."""

from __future__ import annotations

import pytest

from holdfast.errors import RemoteProtocolError
from holdfast.wire.run import Run, pack_items, unpack_items


@pytest.mark.parametrize(
    ("argv", "env", "cwd"),
    [
        ((b"true",), (), None),
        ((b"a", b"", b"c d", b"\xff\xfe"), (b"K=V", b"E="), b"/tmp"),
        ((b"a",), (), b""),
        ((b"",), (b"X=1",), None),
    ],
)
def test_the_body_comes_back_byte_for_byte(argv: tuple[bytes, ...], env: tuple[bytes, ...], cwd: bytes | None) -> None:
    run = Run(key="k", argc=len(argv), envc=len(env), has_cwd=cwd is not None)
    assert unpack_items(run, pack_items(argv, env, cwd)) == (list(argv), list(env), cwd)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nul_cannot_be_part_of_an_item(place: int) -> None:
    items = [b"a", b"K=V", b"/"]
    items[place] += b"\0x"
    with pytest.raises(ValueError, match="NUL"):
        pack_items((items[0],), (items[1],), items[2])


@pytest.mark.parametrize("body", [b"", b"a", b"a\0b", b"a\0b\0c\0", b"\0" * (2 << 20)])
def test_a_body_with_other_items_than_announced_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="announced items") as caught:
        unpack_items(Run(key="k", argc=1, envc=1), body)
    assert caught.value.code == 300
