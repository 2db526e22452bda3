"""The layers between us and an agent on another machine; which of them an error blames, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from holdfast.errors import (
    ConnectFailed,
    HoldfastError,
    IdentityError,
    KeyChanged,
    ProtocolError,
    Refused,
    SettingsError,
    Unauthorized,
    VersionMismatch,
)

State = Literal["ok", "warn", "fail", "skip"]

TLS_LAYERS: Final = ("name", "route", "port", "tls", "key", "version", "policy", "clock", "disk")
SSH_LAYERS: Final = ("ssh", "holdfast", "version", "clock", "disk")
ON_THE_WAY: Final = frozenset({"name", "route", "port", "tls", "key", "ssh", "holdfast", "version"})
"""Where one of these fails, the host is not reached."""

ADVICE: Final[Mapping[str, str]] = {
    "name": "check the spelling: `holdfast hosts` lists the names, and `getent hosts` asks for an address",
    "route": "check the network, a VPN, and firewalls in between",
    "port": "on the host, `holdfast agent status` tells where its agent listens; a firewall may be in between",
    "tls": "something else than an agent may answer there, or a proxy in between",
    "key": "ask somebody there for `holdfast agent invite`, then `holdfast host rm` and `holdfast host add` here",
    "ssh": "try `ssh` itself: it must log in without a question",
    "holdfast": 'install holdfast there, or say in hosts.toml where it is (remote = "/path/holdfast")',
    "version": "install the same version on both machines",
    "policy": "ask somebody who is admin there; `holdfast agent audit` on the host tells the reason",
    "clock": "set the clocks of both machines by the network (NTP); start keys and invitations are judged by their age",
    "disk": "make room there: `holdfast prune`, or delete files",
}


class Check(msgspec.Struct, frozen=True):
    """One finding. ``advice`` says what to do, where there is something to do."""

    name: str
    state: State
    text: str
    advice: str = ""


def layer_of(error: HoldfastError, layers: tuple[str, ...]) -> str:
    """Which of these layers an error of connecting blames; the last one on the way where it names none."""
    layer = error.layer if isinstance(error, ConnectFailed) else None
    if layer in layers:
        return layer
    if isinstance(error, VersionMismatch | ProtocolError):
        return "version"
    if isinstance(error, Unauthorized | KeyChanged | IdentityError) and "key" in layers:
        return "key"
    if isinstance(error, SettingsError):
        return layers[0]  # hosts.toml, which says what the name stands for
    if isinstance(error, Refused) and "policy" in layers:
        return "policy"
    return [name for name in layers if name in ON_THE_WAY][-1]


def broken(
    error: HoldfastError,
    layers: tuple[str, ...],
    known: Mapping[str, str],
    untried: frozenset[str] = frozenset(),
) -> Iterator[Check]:
    """A finding for each layer: those before the broken one are fine, those behind it cannot be looked at.

    Args:
        error: What the way ended with.
        layers: All, in order.
        known: What is to be told of a layer that is fine.
        untried: Layers before the broken one that nobody has come to.
    """
    culprit = layer_of(error, layers)
    state: State = "ok"
    for name in layers:
        if name == culprit:
            text = str(error)
            told = "`" in text or isinstance(error, IdentityError | SettingsError)  # it says itself what to do
            yield Check(name, "fail", text, "" if told else ADVICE[name])
            state = "skip"
        elif name in untried:
            yield Check(name, "skip", f"not tried, because {culprit} failed before")
        else:
            yield Check(name, state, known.get(name, "") if state == "ok" else f"not checked, because {culprit} failed")
