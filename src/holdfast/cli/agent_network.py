"""How an agent is to be reached from other machines: the flags of ``agent run`` and ``agent start``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class Network(msgspec.Struct, frozen=True):
    """Where an agent listens besides its own socket.

    Attributes:
        listen: ``tls://ADDR:PORT``, each a listener.
        any_address: Whether ``0.0.0.0`` and ``::`` are meant.
        metrics: ``ADDR:PORT`` of the Prometheus endpoint.
    """

    listen: tuple[str, ...] = ()
    any_address: bool = False
    metrics: str | None = None

    def __bool__(self) -> bool:
        return bool(self.listen or self.metrics)

    def argv(self) -> list[str]:
        """The flags that mean this."""
        flags = [word for address in self.listen for word in ("--listen", address)]
        if self.any_address:
            flags.append("--any-address")
        return flags if self.metrics is None else [*flags, "--metrics", self.metrics]


def network_options(function: F) -> F:
    """Where to listen; comes to the callback as ``listen``, ``any_address`` and ``metrics``."""
    for option in (
        click.option(
            "--metrics", metavar="ADDR:PORT", help="Serve counters for Prometheus there (extra: holdfast[metrics])."
        ),
        click.option(
            "--any-address", is_flag=True, help="Really listen on every address, where one of them is 0.0.0.0 or [::]."
        ),
        click.option(
            "--listen",
            multiple=True,
            metavar="tls://ADDR:PORT",
            help="Also serve enrolled keys there; may be repeated.",
        ),
    ):
        function = option(function)
    return function
