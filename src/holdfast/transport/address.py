"""Addresses of agents, as people write them; pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from holdfast.errors import ConnectFailed

Kind = Literal["local", "unix"]
LATER: Final = ("tls", "ssh", "nats")
"""Schemes that belong to the address space and that this version does not connect to."""


class Address(msgspec.Struct, frozen=True):
    """Where an agent is. ``path`` is its socket, for ``unix``; a local agent's follows from its state directory."""

    kind: Kind
    path: str = ""


def parse(text: str) -> Address:
    """The address meant by ``local`` or ``unix:///path``.

    Raises:
        ConnectFailed: not an address, an unknown host, or a kind that this version does not connect to.
    """
    if text == "local":
        return Address("local")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ConnectFailed(f"unknown host {text!r}: write 'local' or 'unix:///path/agent.sock'")
    if scheme == "unix":
        if not rest.startswith("/") or rest.endswith("/") or "\0" in rest:
            raise ConnectFailed(f"{text!r} names no socket: write unix:///path/agent.sock, with an absolute path")
        return Address("unix", rest)
    if scheme in LATER:
        raise ConnectFailed(f"{text!r}: this version connects to 'local' and 'unix:///path/agent.sock' only")
    raise ConnectFailed(f"{text!r} has an unknown scheme: write 'local' or 'unix:///path/agent.sock'")
