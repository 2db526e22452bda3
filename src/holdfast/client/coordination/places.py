"""Where the objects of blocking handles are: the desk of a connection, or of this process's own one.

A handle that was pickled names its agent. Where it is opened again, it goes through a connection of that process: to
the agent whose job this is, if it is the same one, else to the address that the handle was made with.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.client.coordination.desk_threads import Desk, desk_of
from holdfast.functions import current

if TYPE_CHECKING:
    from holdfast.client.drive_threads import Connection
    from holdfast.client.sync import Host


class Where(NamedTuple):
    """An agent, as a pickled handle names it. ``socket``: of a local one; ``agent``: its id, where it is known."""

    address: str
    socket: str
    agent: str


OWN: Final = Where("local", "", "")
"""The user's own agent."""


class Place:
    """The desk of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def desk(self) -> Desk:
        """Where to ask."""
        return desk_of(self._connection)

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own agent on this machine."""
        return self._connection.is_local

    @property
    def where(self) -> Where:
        """What a pickled handle carries."""
        own = self._connection
        return Where(own.address, own.socket_path, own.welcome.agent)


class SharedPlace:
    """The desk of a connection that this process opens when it needs one, and again after a fork."""

    def __init__(self, where: Where | None = None) -> None:
        self._where = where or OWN

    def desk(self) -> Desk:
        """Where to ask; connects if need be."""
        return desk_of(shared_host(self._where)._connection)

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own agent on this machine."""
        return self._where.address == "local"

    @property
    def where(self) -> Where:
        """What a pickled handle carries."""
        return self._where if self._where.socket else Place(shared_host(self._where)._connection).where


AnyPlace = Place | SharedPlace

_hosts: Final[dict[tuple[int, Where], Host]] = {}
_opening: Final = threading.RLock()


def shared_host(where: Where = OWN) -> Host:
    """This process's connection to an agent; it stays open until the process ends."""
    key = (os.getpid(), where)
    host = _hosts.get(key)
    if host is not None and not host._connection.is_closed:
        return host
    with _opening:
        host = _hosts.get(key)
        if host is None or host._connection.is_closed:
            host = _hosts[key] = _connect(where)
        return host


def _connect(where: Where) -> Host:
    from holdfast.client.sync import connect

    if current.state_dir and where.agent and os.environ.get("HOLDFAST_AGENT") == where.agent:
        return connect("local", state_dir=current.state_dir, start=False)  # we are a worker of that agent
    if where.address == "local" and where.socket:
        return connect("local", state_dir=os.path.dirname(where.socket))
    return connect(where.address)


def _forget_after_fork() -> None:
    """The parent's connections are not ours, and neither is a lock that another thread may have held."""
    global _opening
    _opening = threading.RLock()  # type: ignore[misc]
    _hosts.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
