"""Addresses of agents, as people write them; pure."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from holdfast.errors import ConnectFailed

Kind = Literal["local", "unix", "tls", "ssh", "name"]

DEFAULT_PORT: Final = 7420
"""Where an agent listens unless told otherwise."""
FORMS: Final = "'local', 'unix:///path/agent.sock', 'tls://HOST:7420', 'ssh://USER@HOST' or a name of hosts.toml"

_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?")
_USER: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@\\+-]*\$?")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")


class Address(msgspec.Struct, frozen=True):
    """Where an agent is.

    Attributes:
        kind: How it is reached; ``name``: ``host`` is to be looked up in hosts.toml.
        path: The socket, for ``unix``; a local agent's follows from its state directory.
        host: Name or number, without brackets.
        port: 1 to 65535; 0: ssh's own choice, or any free one for a listener.
        user: Who to log in as, for ``ssh``; empty: ssh's own choice.
    """

    kind: Kind
    path: str = ""
    host: str = ""
    port: int = 0
    user: str = ""

    @property
    def text(self) -> str:
        """As a person would write it."""
        if self.kind in ("local", "name"):
            return self.host or "local"
        if self.kind == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{self.kind}://{user}{host}" + (f":{self.port}" if self.port or self.kind == "tls" else "")


def parse(text: str) -> Address:
    """The address meant by a text of one of ``FORMS``.

    Raises:
        ConnectFailed: not an address (layer ``name``), or a kind that this version does not connect to.
    """
    if text == "local":
        return Address("local")
    scheme, separator, rest = text.partition("://")
    if not separator:
        if not _NAME.fullmatch(text):
            raise _wrong(f"unknown host {text!r}: write {FORMS}")
        return Address("name", host=text)
    if scheme == "unix":
        if not rest.startswith("/") or rest.endswith("/") or "\0" in rest:
            raise _wrong(f"{text!r} names no socket: write unix:///path/agent.sock, with an absolute path")
        return Address("unix", rest)
    if scheme == "tls":
        host, port = _place(text, rest, DEFAULT_PORT, "tls://HOST:7420")
        return Address("tls", host=host, port=port)
    if scheme == "ssh":
        user, at, place = rest.rpartition("@")
        if at and not _USER.fullmatch(user):
            raise _wrong(f"{text!r} names no user: write ssh://USER@HOST")
        host, port = _place(text, place, 0, "ssh://USER@HOST")
        return Address("ssh", host=host, port=port, user=user)
    if scheme == "nats":
        raise _wrong(f"{text!r}: this version does not connect to fleets; write {FORMS}")
    raise _wrong(f"{text!r} has an unknown scheme: write {FORMS}")


def _place(text: str, rest: str, port: int, form: str) -> tuple[str, int]:
    """Host and port. A host never begins with a dash: ssh(1) would take it for an option."""
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        good = bool(bracket) and ":" in host and _IPV6.fullmatch(host) is not None
    else:
        host, colon, after = rest.partition(":")
        after = colon + after
        good = _HOST.fullmatch(host) is not None
    if not good:
        raise _wrong(f"{text!r} names no host: write {form} (an IPv6 address in brackets)")
    if after:
        digits = after[1:]
        if not after.startswith(":") or not (digits.isascii() and digits.isdigit()) or int(digits) > 65535:
            raise _wrong(f"{text!r} names no port: write {form}, with a port from 1 to 65535")
        port = int(digits)
    return host, port


def _wrong(message: str) -> ConnectFailed:
    return ConnectFailed(message, layer="name")
