"""Where an agent listens beside its local socket: addresses of the settings become bound sockets, or one clear line.

Sockets are bound before journal and keeper are touched, so a mistake is told before anything is started, and the keeper
can be told the port that a 0 became. They are served only after recovery; until then clients wait in the backlog.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Final

from holdfast.config import FLAG
from holdfast.errors import ConnectFailed, Refused, SettingsError
from holdfast.transport import address as addresses
from holdfast.transport import tcp
from holdfast.wire.codes import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.config import Settings

LOOPBACK: Final = "127.0.0.1"


class Bound:
    """The bound sockets of an agent.

    Args:
        settings: ``listen``, ``metrics`` and ``any_address`` count.
        embedded: A private agent: it opens only what its own command line asks for, whatever the file says.
        log: Takes one line for the agent's log.
        restarted: Its keeper has started it: jobs need it, so an address that cannot be had now is left for ``again``,
            and metrics are gone without.

    Raises:
        SettingsError: an address that cannot be used; nothing is left bound.

    Attributes:
        tls: Listening sockets for enrolled keys.
        metrics: The one for Prometheus, or None.
        missing: Addresses that are to be tried again.
    """

    def __init__(
        self, settings: Settings, *, embedded: bool, log: Callable[[str], None], restarted: bool = False
    ) -> None:
        self._settings = settings
        self._log = log
        self.tls: list[socket.socket] = []
        self.metrics: socket.socket | None = None
        self.missing: list[str] = []
        try:
            for text in settings.listen if self._asked("listen", embedded) else ():
                self._listen(text, restarted)
            if settings.metrics and self._asked("metrics", embedded):
                if importlib.util.find_spec("prometheus_client") is None:
                    raise SettingsError("--metrics needs prometheus-client: pip install 'holdfast[metrics]'")
                self._measure(settings.metrics, restarted)
        except BaseException:
            self.close()
            raise

    def _listen(self, text: str, restarted: bool) -> None:
        try:
            self.tls.append(self._bind(text, *_tls_place(text)))
        except SettingsError as exc:
            if not restarted:
                raise
            self._log(f"{exc}; it is tried again")
            self.missing.append(text)

    def _measure(self, text: str, restarted: bool) -> None:
        try:
            self.metrics = self._bind(text, *host_and_port(text))
        except SettingsError as exc:
            if not restarted:
                raise
            self._log(f"{exc}; no metrics are served")

    @property
    def metrics_url(self) -> str:
        """Where Prometheus finds the counters; empty: nowhere."""
        return "" if self.metrics is None else f"http://{tcp.format_peer(self.metrics.getsockname())}/metrics"

    def again(self) -> list[socket.socket]:
        """Try what is missing; gives the sockets that could be bound now."""
        before, missing, self.missing = len(self.tls), self.missing, []
        for text in missing:
            try:
                self.tls.append(self._bind(text, *_tls_place(text)))
            except SettingsError:
                self.missing.append(text)
        return self.tls[before:]

    def _asked(self, field: str, embedded: bool) -> bool:
        return not embedded or self._settings.origins.get(field) == FLAG

    def argv(self) -> list[str]:
        """The flags that bind the same again, ports as they are now; what a file says is read again from it."""
        origins, found = self._settings.origins, []
        if origins.get("listen") == FLAG:
            for listener in self.tls:
                found += ["--listen", f"tls://{tcp.format_peer(listener.getsockname())}"]
            for text in self.missing:
                found += ["--listen", text]
        if origins.get("metrics") == FLAG:
            text = self._settings.metrics if self.metrics is None else tcp.format_peer(self.metrics.getsockname())
            found += ["--metrics", text]
        if self._settings.any_address:
            found.append("--any-address")
        return found

    def close(self) -> None:
        """Let go of all that nobody serves."""
        for listener in (*self.tls, self.metrics):
            if listener is not None:
                listener.close()

    def _bind(self, text: str, host: str, port: int) -> socket.socket:
        try:
            found = socket.getaddrinfo(host or LOOPBACK, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            numeric = str(found[0][4][0])
            if ipaddress.ip_address(numeric.partition("%")[0]).is_unspecified:
                if not self._settings.any_address:
                    raise SettingsError(
                        f"{text} is every address of this host, in each network it is in: name one address, "
                        "or say --any-address"
                    )
                self._log(f"warning: {text} is every address of this host (--any-address)")
            return tcp.bind_listener(numeric, port)
        except OSError as exc:
            why = exc.strerror if isinstance(exc, socket.gaierror) or exc.errno is None else os.strerror(exc.errno)
            raise SettingsError(f"cannot listen on {text}: {why or exc}") from exc  # not what the library puts around


def _tls_place(text: str) -> tuple[str, int]:
    try:
        address = addresses.parse(text)
    except ConnectFailed as exc:
        raise SettingsError(f"cannot listen: {exc}") from exc
    if address.kind != "tls":
        raise SettingsError(f"cannot listen on {text}: write tls://ADDRESS:PORT; the local socket is always served")
    return address.host, address.port


def host_and_port(text: str) -> tuple[str, int]:
    """Both parts of ``ADDR:PORT``; IPv6 in brackets.

    Raises:
        SettingsError: this is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"{text!r} is no ADDR:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def reachable_at(listening: list[str], given: str) -> str:
    """The address that an invitation names.

    Args:
        listening: Where the agent listens.
        given: What its admin says, with or without ``tls://`` and port; empty: it is to be found out.

    Raises:
        Refused: the agent does not listen, or listens everywhere and nobody says where it is reached.
        ConnectFailed: what was given is no address.
    """
    if not listening:
        raise Refused(
            "this agent does not listen on a network: `holdfast agent stop`, then "
            "`holdfast agent start --listen tls://ADDRESS`",
            code=ErrorCode.STATE,
        )
    first = addresses.parse(listening[0])
    if given:
        text = given if "://" in given else f"tls://{given}"
        try:
            asked = addresses.parse(f"{text}:{first.port}")  # it named no port, then
        except ConnectFailed:
            asked = addresses.parse(text)
        if asked.kind != "tls":
            raise Refused(f"{given}: an invitation names a tls:// address", code=ErrorCode.INVALID)
        return f"tls://{tcp.format_peer((asked.host, asked.port))}"
    for text in listening:
        if not ipaddress.ip_address(addresses.parse(text).host.partition("%")[0]).is_unspecified:
            return text
    raise Refused(
        "this agent listens on every address of its host: say which one its clients use, --address tls://HOST[:PORT]",
        code=ErrorCode.INVALID,
    )
