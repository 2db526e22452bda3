"""The agent's line to whoever tends a job: one connection at a time on ``sock``, the newest wins.

Only processes of the same user, or root, are listened to (SO_PEERCRED, unix(7)). A peer that breaks the framing, or
does not take its messages, loses its connection and nothing else: jobs run on without any agent.
"""

from __future__ import annotations

from holdfast.keeper import loop as loops
from holdfast.keeper import messages, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_RECEIVE_BYTES = 32 * 1024
"""A usual RUN fits; larger buffers would be mapped and unmapped by the allocator on every message."""
_MOST_UNSENT_BYTES = 1 << 20
_HOLD_NS = 2_000_000
"""How long a message may wait for company: a job of 1 ms then wakes the agent once instead of twice."""


class Connection:
    """Accepts, reads whole messages, and sends.

    Args:
        loop: The loop of this process.
        listener: The listening socket, non-blocking.
        on_open: Called when a new agent is connected.
        on_message: Called with each of its messages.

    Attributes:
        held_until: When ``handle_timeout`` is due, or None.
    """

    def __init__(
        self,
        loop: loops.Loop,
        listener: sockets.Socket,
        on_open: Callable[[], None],
        on_message: Callable[[messages.Message], None],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._on_open = on_open
        self._on_message = on_message
        self._socket: sockets.Socket | None = None
        self._reader = messages.Reader()
        self._unsent = b""
        self._held = b""
        self.held_until: int | None = None
        loop.watch(listener.fileno(), loops.READABLE, self._accept)

    def send(self, message: messages.Message) -> None:
        """Sends, or keeps until the peer takes it; without a peer it is forgotten: STATE tells the next one."""
        if self._socket is not None:
            self._write(messages.frame(message))

    def send_later(self, message: messages.Message, now: int) -> None:
        """Sends with the next message, or when ``held_until`` (nanoseconds of CLOCK_BOOTTIME) has come."""
        if self._socket is not None:
            self._held += messages.frame(message)
            self.held_until = now + _HOLD_NS

    def handle_timeout(self, now: int) -> None:
        """Sends what was held back, if it is due."""
        if self.held_until is not None and now >= self.held_until:
            self._write(b"")

    def close(self) -> None:
        """Ends the connection and stops listening."""
        self._drop()
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()

    def _accept(self, events: int) -> None:
        peer = sockets.accept(self._listener)
        if peer is None:
            return
        self._drop()
        self._socket = peer
        self._reader = messages.Reader()
        self._loop.watch(peer.fileno(), loops.READABLE, self._serve)
        self._on_open()

    def _serve(self, events: int) -> None:
        if events & loops.WRITABLE:
            self._write(b"")
        if self._socket is None or not events & ~loops.WRITABLE:
            return
        peer = self._socket
        try:
            data = peer.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop()
            return
        try:
            for message in self._reader.feed(data):
                self._on_message(message)
                if self._socket is not peer:  # it was replaced, or lost while we answered
                    return
        except ValueError as exc:
            loops.complain(f"agent's connection closed: {exc}")
            self._drop()

    def _write(self, data: bytes) -> None:
        if self._socket is None:
            return
        data = self._unsent + self._held + data
        self._held, self.held_until = b"", None
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop()
            return
        rest = data[sent:]
        if len(rest) > _MOST_UNSENT_BYTES:
            self._drop()
            return
        if bool(rest) != bool(self._unsent):
            events = loops.READABLE | loops.WRITABLE if rest else loops.READABLE
            self._loop.watch(self._socket.fileno(), events, self._serve)
        self._unsent = rest

    def _drop(self) -> None:
        if self._socket is not None:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._unsent = self._held = b""
        self.held_until = None
