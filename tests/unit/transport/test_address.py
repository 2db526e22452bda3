"""Addresses as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ConnectFailed
from holdfast.transport.address import Address, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("local", Address("local")),
        ("unix:///run/a.sock", Address("unix", "/run/a.sock")),
        ("tls://host", Address("tls", host="host", port=7420)),
        ("tls://10.0.0.5:17420", Address("tls", host="10.0.0.5", port=17420)),
        ("tls://127.0.0.1:0", Address("tls", host="127.0.0.1", port=0)),
        ("tls://[::1]", Address("tls", host="::1", port=7420)),
        ("tls://[fe80::1%eth0]:99", Address("tls", host="fe80::1%eth0", port=99)),
        ("ssh://db", Address("ssh", host="db")),
        ("ssh://anna@db.internal:2222", Address("ssh", host="db.internal", port=2222, user="anna")),
        ("ssh://first.last@corp@jump", Address("ssh", host="jump", user="first.last@corp")),
        ("web9", Address("name", host="web9")),
        ("db.internal", Address("name", host="db.internal")),
    ],
)
def test_what_can_be_connected_to(text: str, address: Address) -> None:
    assert parse(text) == address
    assert parse(address.text) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "unknown host ''"),
        ("-oProxyCommand=x", "unknown host"),
        ("web 9", "unknown host"),
        ("unix://a.sock", "absolute path"),
        ("unix:///dir/", "names no socket"),
        ("tls://", "names no host"),
        ("tls://:7420", "names no host"),
        ("tls://::1:7420", "names no host"),
        ("tls://host:", "names no port"),
        ("tls://host:65536", "names no port"),
        ("tls://host:-1", "names no port"),
        ("tls://host:٣", "names no port"),
        ("tls://me@host", "names no host"),
        ("tls://[::1", "names no host"),
        ("tls://[host]:1", "names no host"),
        ("ssh://-oProxyCommand=touch/x", "names no host"),
        ("ssh://-l@host", "names no user"),
        ("ssh://a b@host", "names no user"),
        ("ssh://@host", "names no user"),
        ("nats://broker/host", "does not connect to fleets"),
        ("ftp://host", "unknown scheme"),
    ],
)
def test_what_cannot_says_why(text: str, words: str) -> None:
    with pytest.raises(ConnectFailed, match=words) as caught:
        parse(text)
    assert caught.value.ran == "no"
    assert caught.value.layer == "name"
    assert "\n" not in str(caught.value)


@given(st.text(), st.sampled_from(["", "tls://", "ssh://", "ssh://a@", "unix://"]))
def test_any_text_is_an_address_or_is_refused(text: str, scheme: str) -> None:
    try:
        address = parse(scheme + text)
    except ConnectFailed:
        return
    assert parse(address.text) == address
    assert not address.host.startswith("-")
    assert not address.user.startswith("-")
    assert "\0" not in address.host + address.user + address.path
