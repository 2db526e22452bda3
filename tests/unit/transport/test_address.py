"""Addresses as people write them."""

from __future__ import annotations

import pytest

from holdfast.errors import ConnectFailed
from holdfast.transport.address import Address, parse


def test_what_can_be_connected_to() -> None:
    assert parse("local") == Address("local")
    assert parse("unix:///run/a.sock") == Address("unix", "/run/a.sock")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("web9", "unknown host 'web9'"),
        ("", "unknown host ''"),
        ("unix://a.sock", "absolute path"),
        ("unix:///dir/", "names no socket"),
        ("tls://host:7420", "this version connects to"),
        ("ssh://me@host", "this version connects to"),
        ("ftp://host", "unknown scheme"),
    ],
)
def test_what_cannot_says_why(text: str, words: str) -> None:
    with pytest.raises(ConnectFailed, match=words) as caught:
        parse(text)
    assert caught.value.ran == "no"
