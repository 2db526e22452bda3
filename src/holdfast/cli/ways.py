"""The way to the host that was named, and its parts taken one by one: for ``doctor`` and ``host ping``."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.cli.session import LOCAL
from holdfast.config import Settings
from holdfast.errors import ConnectFailed, HoldfastError, SettingsError
from holdfast.transport.address import Kind, parse

if TYPE_CHECKING:
    from holdfast.client.hosts import HostEntry, Hosts

REMOTE: Final = ("tls", "ssh")


class Way(msgspec.Struct, frozen=True):
    """Where a host is, and how one gets there.

    Attributes:
        name: As the user wrote it.
        address: What it stands for; the same where it is an address itself.
        kind: Kind of that address.
        timeout_s: Longest time for each part of the way.
        config_dir: Where hosts.toml and the keys are.
        key: Fingerprint of the agent's key, if it is enrolled.
        remote: Path of holdfast there, for ssh.
    """

    name: str
    address: str
    kind: Kind
    timeout_s: float
    config_dir: str
    key: str = ""
    remote: str = ""

    def measure(self) -> tuple[float | None, float | None]:
        """Seconds for the TCP connection and for the TLS handshake, made for this alone; None where there are none.

        Raises:
            ConnectFailed: the way ends at ``layer``.
            Unauthorized: the agent is not enrolled, or another key is there.
        """
        if self.kind != "tls":
            return None, None
        from holdfast.client.hosts import Hosts, not_enrolled
        from holdfast.client.secure import security, shake_hands
        from holdfast.transport import tcp

        hosts = Hosts.load(self.config_dir)
        entry = entry_of(hosts, self.name)
        where = parse(self.address)
        begun = time.perf_counter()
        with tcp.connect(where.host, where.port, timeout_s=self.timeout_s) as sock:
            connected = time.perf_counter()
            if entry is None:
                raise not_enrolled(self.address)
            keys = security(self.config_dir, hosts, entry)
            pipe = keys.pipe()
            try:
                shake_hands(sock, pipe, where, deadline=time.monotonic() + self.timeout_s)
            except HoldfastError as error:
                raise keys.told(error) from error.__cause__
            ready = time.perf_counter()
            pipe.close()
            with suppress(OSError):
                sock.send(pipe.outgoing())  # the agent sees a whole handshake, and an orderly end
            return connected - begun, ready - connected

    def reach(self) -> dict[str, str]:
        """What is found at the layers below TLS, by their names; nothing is said to whoever answers.

        Raises:
            ConnectFailed: with ``layer`` ``name``, ``route`` or ``port``.
        """
        if self.kind != "tls":
            return {}
        from holdfast.transport import tcp

        where = parse(self.address)
        begun = time.perf_counter()
        with tcp.connect(where.host, where.port, timeout_s=self.timeout_s) as sock:
            took = time.perf_counter() - begun
            peer = tcp.format_peer(sock.getpeername())
        return {"route": f"{peer} answers", "port": f"TCP in {1000 * took:.1f} ms"}


def way_of(settings: Settings) -> Way:
    """The way to the host of the settings.

    Raises:
        ConnectFailed: no such name, or not an address.
        SettingsError: hosts.toml cannot be read.
    """
    from holdfast.client.hosts import Hosts

    hosts = Hosts.load(settings.config_dir)
    where = parse(settings.host)
    entry = hosts.find(settings.host) if where.kind == "name" else hosts.by_address(settings.host)
    address = settings.host if entry is None or where.kind != "name" else entry.address
    return Way(
        settings.host,
        address,
        parse(address).kind,
        settings.connect_timeout_s,
        settings.config_dir,
        "" if entry is None else entry.key,
        "" if entry is None else entry.remote,
    )


def entry_of(hosts: Hosts, text: str) -> HostEntry | None:
    """The entry of a name, or of an address."""
    return hosts.get(text) or (hosts.by_address(text) if "://" in text else None)


def is_remote(settings: Settings) -> bool:
    """Whether this host is reached through a network, or would be if it were known."""
    if settings.host == LOCAL or settings.host.startswith("unix://"):
        return False
    try:
        return way_of(settings).kind in REMOTE
    except (ConnectFailed, SettingsError):
        return True
