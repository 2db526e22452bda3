"""How an address becomes a connection: the one place where the kinds of transport are told apart.

Rules:

* Names and keys are looked up once, when a client is opened; the name of a machine is looked up at each attempt, since
  machines move.
* What belongs to TLS, ssh or ``hosts.toml`` is imported when an address needs it: a local run loads none of it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from holdfast import config
from holdfast.client import embedded, heap
from holdfast.client.identity import SOFTWARE
from holdfast.errors import ConnectFailed, HoldfastError
from holdfast.transport import unix
from holdfast.transport.address import Address, parse
from holdfast.wire.limits import HELLO_DEADLINE_S
from holdfast.wire.messages import Welcome

if TYPE_CHECKING:
    from holdfast.client.secure import Security
    from holdfast.transport.netwatch import NetWatch
    from holdfast.transport.tls import TlsPipe

AGAIN_S: Final = 0.05
"""Before the second try to be welcomed; each further one waits twice as long, ``AGAIN_MOST_S`` at most."""
AGAIN_MOST_S: Final = 1.0


ADDRESS_GONE: Final = "this machine has lost the address that the connection was made from"
"""Why a connection is given up that nothing can come back on."""


class NotWelcomed(ConnectFailed):
    """The connection ended before the agent's welcome; nothing was asked yet."""


class Dialled(NamedTuple):
    """A connection that is up. ``tls``: what its bytes go through, the handshake done. ``close``: what else must end
    with it. ``failure``: why it has ended, if somebody can say. The last two may wait a moment.
    """

    sock: socket.socket
    tls: TlsPipe | None = None
    close: Callable[[], None] | None = None
    failure: Callable[[], HoldfastError] | None = None


class Connector(msgspec.Struct, frozen=True):
    """Where to connect, again and again.

    Attributes:
        address: As the caller wrote it.
        where: What that stands for.
        path: The socket, for ``unix`` and ``local``.
        start: Start the local agent if none runs.
        timeout_s: Longest time for one attempt, handshake included.
        security: Keys and settings, for ``tls``.
        remote: Program on the other machine, for ``ssh``.
    """

    address: str
    where: Address
    timeout_s: float
    path: str = ""
    start: bool = False
    security: Security | None = None
    remote: str = ""

    @classmethod
    def of(cls, address: str, state_dir: str | None, *, start: bool, timeout_s: float) -> Connector:
        """The connector for an address, or a name of ``hosts.toml``.

        Raises:
            ConnectFailed: not an address that can be connected to, or an unknown name.
            Unauthorized: this user is not enrolled with that agent.
            SettingsError: the settings, or ``hosts.toml``, cannot be read.
            IdentityError: this user's own key cannot be used.
        """
        heap.keep_freed_blocks()
        where, security, remote = parse(address), None, ""
        if where.kind in ("name", "tls"):
            from holdfast.client.secure import look_up

            where, security, remote = look_up(where, address)
        if where.kind == "local":
            directory = os.path.abspath(state_dir) if state_dir is not None else config.load().state_dir
            path = os.path.join(directory, embedded.SOCKET)
            return cls(address, where, timeout_s, path=path, start=start)
        if state_dir is not None:
            raise ConnectFailed(f"{address}: a state directory belongs to the address 'local' only")
        return cls(address, where, timeout_s, path=where.path, security=security, remote=remote)

    @property
    def is_local(self) -> bool:
        """The user's own agent on this machine."""
        return self.where.kind == "local"

    @property
    def greeting_s(self) -> float:
        """How long the agent's welcome may take. ssh connects, asks for passwords and logs in meanwhile."""
        return max(self.timeout_s, HELLO_DEADLINE_S) if self.where.kind == "ssh" else HELLO_DEADLINE_S

    def worth_another_try(self, error: ConnectFailed) -> bool:
        """Whether a connection that came to nothing is to be made again: it was up, and ended before the welcome.

        Our own agent died then, and its keeper, or the next connection, starts another one; or the network cut it, or
        an agent under a flood has shed it. Nobody there, or an ssh that says why it ended, is told at once.
        """
        if self.is_local:
            return self.start and isinstance(error, NotWelcomed)
        ended = isinstance(error, NotWelcomed) or isinstance(error.__cause__, ConnectionResetError)
        return ended and self.where.kind == "tls"

    def connect(
        self,
        cancelled: Callable[[], bool] = lambda: False,
        *,
        wake: socket.socket | None = None,
        timeout_s: float | None = None,
    ) -> Dialled:
        """A connection; its socket may be in any mode.

        Args:
            cancelled: Asked while waiting; True: give up.
            wake: Becomes readable when ``cancelled`` should be asked; its bytes are taken.
            timeout_s: Less time than usual.

        Raises:
            ConnectFailed: nobody there, or nobody came up in time.
            Unauthorized: the agent does not accept this user's key.
            KeyChanged: it is not the agent that is known.
        """
        limit_s = self.timeout_s if timeout_s is None else min(timeout_s, self.timeout_s)
        match self.where.kind:
            case "local":
                directory = os.path.dirname(self.path)
                return Dialled(embedded.connect(directory, start=self.start, timeout_s=limit_s, cancelled=cancelled))
            case "tls":
                from holdfast.client.secure import dial

                assert self.security is not None, "of() has looked it up"
                deadline = time.monotonic() + limit_s
                return dial(self.where, self.security, deadline=deadline, cancelled=cancelled, wake=wake)
            case "ssh":
                from holdfast.transport import ssh

                link = ssh.open(self.where, remote=self.remote or "holdfast")
                return Dialled(link.sock, close=link.close, failure=link.failure)
        return Dialled(unix.connect(self.path, timeout_s=limit_s))

    def connect_nowait(self) -> socket.socket | None:
        """A connected Unix socket if somebody listens and has room; None: ``connect`` must be asked, which waits."""
        if not self.path:
            return None
        try:
            return unix.connect(self.path, timeout_s=0.0)
        except ConnectFailed:
            return None

    def watch_network(self) -> NetWatch | None:
        """What tells of changes of this machine's network, if they matter and can be told."""
        if self.where.kind not in ("tls", "ssh"):
            return None
        from holdfast.transport import netwatch

        return netwatch.open()

    def told(self, error: HoldfastError) -> HoldfastError:
        """A refusal of the transport, with what the user can do about it."""
        return error if self.security is None else self.security.told(error)

    def replaces(self, welcome: Welcome) -> bool:
        """Whether this agent is a private one of an older version than ours, to be replaced (its jobs go on)."""
        return self.is_local and self.start and embedded.is_older(welcome.software, SOFTWARE)
