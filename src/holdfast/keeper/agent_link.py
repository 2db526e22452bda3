"""The keeper's line to its agent, and the agent's restart when it crashes.

The first agent made the keeper; every later one is the keeper's child, started with ``--keeper-fd``. An agent that goes
without BYE has crashed. One that ends with status 75 found its state directory in another agent's hands: then this
keeper starts no more of them and only sees its own shims off.
"""

from __future__ import annotations

import os
import signal

from holdfast.keeper import linux, messages, sockets
from holdfast.keeper import loop as loops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Master(Protocol):
        """What the keeper does for its agent."""

        def agent_wants(self, number: int) -> None: ...
        def agent_left(self) -> None: ...
        def agent_came(self) -> None: ...


KEEPER_FD_OPTION = "--keeper-fd"
HELD_BY_ANOTHER = 75
_LIVED_WELL_NS = 1_000_000_000
"""After so long a life the next crash is a new trouble, and the first restart comes at once again."""
_FIRST_WAIT_NS, _LONGEST_WAIT_NS = 100_000_000, 5_000_000_000


class AgentLink:
    """One agent at a time, and the way to the next.

    Attributes:
        pid: The agent's process, if it is our child; else 0.
        restart_at: When the next agent is to be started (CLOCK_BOOTTIME), or None.
    """

    def __init__(self, loop: loops.Loop, fd: int, argv: list[str], boot_id: bytes, master: Master) -> None:
        self._loop = loop
        self._argv = argv
        self._boot_id = boot_id
        self._master = master
        self._socket: sockets.Socket | None = None
        self._unsent: list[bytes] = []
        self._left = False
        self._wait_ns = 0
        self._since = linux.boot_ns()
        self.pid = 0
        self.restart_at: int | None = None
        self._attach(sockets.adopt(fd))

    def send(self, message: messages.Message) -> None:
        """Tells the agent, as soon as it listens; if there is none, nobody: the next one is told all that counts."""
        if self._socket is not None:
            self._unsent.append(messages.encode(message))
            self._flush()

    def died(self, status: int) -> None:
        """Our child, the agent, was reaped, with this wait status."""
        self.pid = 0
        self._detach()
        if self._left:
            return
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == HELD_BY_ANOTHER:
            loops.complain("another agent holds the state directory; seeing the remaining jobs off")
            self.leave()
            return
        loops.complain(f"the agent ended without a word (wait status {status:#x})")
        self._plan_restart()

    def handle_timeout(self, now: int) -> None:
        """Starts the next agent, if that is due."""
        if self.restart_at is None or now < self.restart_at or self._left:
            return
        self.restart_at = None
        ours, theirs = sockets.packet_pair()
        argv = [*self._argv, KEEPER_FD_OPTION, str(theirs.fileno())]
        os.set_inheritable(theirs.fileno(), True)
        try:
            self.pid = os.posix_spawnp(
                argv[0], argv, os.environ, setsid=True, setsigmask=(),
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
            )  # fmt: skip
        except OSError as exc:
            loops.complain(f"cannot start the agent: {exc}")
            ours.close()
            self._plan_restart()
            return
        finally:
            theirs.close()
        self._since = now
        self._attach(ours)

    def _attach(self, ours: sockets.Socket) -> None:
        ours.setblocking(False)
        self._socket = ours
        self._unsent = []
        self._loop.watch(ours.fileno(), loops.READABLE, self._serve)
        self.send(messages.Hello(os.getpid(), self._boot_id))
        self._master.agent_came()

    def _detach(self) -> None:
        if self._socket is not None:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._unsent = []

    def _serve(self, events: int) -> None:
        if events & loops.WRITABLE:
            self._flush()
        while self._socket is not None:
            try:
                packet = self._socket.recv(messages.MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lost()
                return
            self._obey(packet)

    def _obey(self, packet: bytes) -> None:
        try:
            message = messages.decode(packet)
        except ValueError as exc:
            loops.complain(f"the agent said something unknown: {exc}")
            return
        match message:
            case messages.Want(number):
                self._master.agent_wants(number)
            case messages.Bye():
                self.leave()

    def _lost(self) -> None:
        self._detach()
        if not self._left and not self.pid:  # the first agent; of our own child the death will be seen
            loops.complain("the agent's end of the socket was closed without BYE")
            self._plan_restart()

    def _plan_restart(self) -> None:
        if not self._argv:
            self.leave()
            return
        now = linux.boot_ns()
        if now - self._since >= _LIVED_WELL_NS:
            self._wait_ns = 0
        self.restart_at = now + self._wait_ns
        self._wait_ns = min(max(2 * self._wait_ns, _FIRST_WAIT_NS), _LONGEST_WAIT_NS)

    def leave(self) -> None:
        """No further agent is started, and the keeper knows that none will come."""
        self._left = True
        self.restart_at = None
        self._master.agent_left()

    def _flush(self) -> None:
        if self._socket is None:
            return
        try:
            while self._unsent:
                self._socket.send(self._unsent[0])
                del self._unsent[0]
        except BlockingIOError:
            pass
        except OSError:  # its end is closed; reading says so in a moment
            self._unsent = []
        events = loops.READABLE | loops.WRITABLE if self._unsent else loops.READABLE
        self._loop.watch(self._socket.fileno(), events, self._serve)
