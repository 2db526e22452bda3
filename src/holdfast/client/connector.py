"""How an address becomes a connected socket: the one place where the kinds of transport are told apart."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from holdfast import config
from holdfast.client import embedded
from holdfast.client.identity import SOFTWARE
from holdfast.errors import ConnectFailed
from holdfast.transport import unix
from holdfast.transport.address import parse
from holdfast.wire.messages import Welcome

AGAIN_S: Final = 0.05
"""Between two tries to be welcomed by an agent of our own."""


class NotWelcomed(ConnectFailed):
    """The agent closed the connection before its welcome; nothing was asked yet."""


class Connector(msgspec.Struct, frozen=True):
    """Where to connect, again and again.

    Attributes:
        address: As the caller wrote it.
        path: The socket.
        is_local: The user's own agent on this machine.
        start: Start it if none runs.
        timeout_s: Longest time for one attempt.
    """

    address: str
    path: str
    is_local: bool
    start: bool
    timeout_s: float

    @classmethod
    def of(cls, address: str, state_dir: str | None, *, start: bool, timeout_s: float) -> Connector:
        """The connector for an address.

        Raises:
            ConnectFailed: not an address that can be connected to.
            SettingsError: the settings that name the state directory cannot be read.
        """
        where = parse(address)
        if where.kind == "unix":
            if state_dir is not None:
                raise ConnectFailed(f"{address}: a state directory belongs to the address 'local' only")
            return cls(address, where.path, is_local=False, start=False, timeout_s=timeout_s)
        directory = os.path.abspath(state_dir) if state_dir is not None else config.load().state_dir
        return cls(address, os.path.join(directory, embedded.SOCKET), is_local=True, start=start, timeout_s=timeout_s)

    def worth_another_try(self, error: ConnectFailed) -> bool:
        """Whether a connection that came to nothing is to be made again at once: our own agent died before its welcome.

        Its keeper, or the next connection, starts another one.
        """
        return self.is_local and self.start and isinstance(error, NotWelcomed)

    def connect(self, cancelled: Callable[[], bool] = lambda: False) -> socket.socket:
        """A connected socket, in blocking mode.

        Raises:
            ConnectFailed: nobody there, or nobody came up in time.
        """
        if not self.is_local:
            return unix.connect(self.path, timeout_s=self.timeout_s)
        directory = os.path.dirname(self.path)
        return embedded.connect(directory, start=self.start, timeout_s=self.timeout_s, cancelled=cancelled)

    def connect_nowait(self) -> socket.socket | None:
        """A connected socket if somebody listens and has room; None: ``connect`` must be asked, which waits."""
        try:
            return unix.connect(self.path, timeout_s=0.0)
        except ConnectFailed:
            return None

    def replaces(self, welcome: Welcome) -> bool:
        """Whether this agent is a private one of an older version than ours, to be replaced (its jobs go on)."""
        return self.is_local and self.start and embedded.is_older(welcome.software, SOFTWARE)
