"""A bare client of shared objects: one socket, one thread, what is asked and what is answered; and its cuts."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import TypeVar

from holdfast.errors import ConnectFailed
from holdfast.transport import unix
from holdfast.wire import coordination as c
from holdfast.wire import messages as m
from holdfast.wire.events import Answered, Failed, LinkEvent
from holdfast.wire.link import Link
from holdfast.wire.phases import Phase, Role

T = TypeVar("T")

ANSWER_S = 20.0
"""An answer that does not come within this does not come."""


class Sharer:
    """A client process, as the agent sees it. Requests that are not answered are asked again on each connection.

    Args:
        path: The agent's socket.
        instance: Its id; None: a random one.
    """

    def __init__(self, path: str, instance: str | None = None) -> None:
        self.path = path
        self.instance = instance or os.urandom(16).hex()
        self.number = 0
        self._open: dict[int, tuple[m.Request, bytes]] = {}
        self._stream_of: dict[int, int] = {}
        self._answers: dict[int, Answered | Failed] = {}
        self._seen: list[int] = []
        self._socket: socket.socket | None = None
        self.connect()

    # --- the connection ----------------------------------------------------------------------------------------------

    def connect(self, within_s: float = ANSWER_S) -> None:
        """Another connection, as soon as there is an agent; what is not answered is asked again, in order."""
        self.cut()
        deadline = time.monotonic() + within_s
        while True:
            try:
                self._greet()
                break
            except (OSError, ConnectFailed):
                self.cut()
                assert time.monotonic() < deadline, f"no agent at {self.path}"
                time.sleep(0.01)
        for number in sorted(self._open):
            self._send(number)

    def cut(self) -> None:
        """The connection breaks, without a word."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._stream_of.clear()

    def _greet(self) -> None:
        self._socket = unix.connect(self.path, timeout_s=5.0)
        self._link = Link(Role.CLIENT, now=time.monotonic(), hello=m.Hello(1, 1, self.instance))
        while self._link.phase is not Phase.OPEN:
            self._pump(time.monotonic() + 5.0)

    def _pump(self, deadline: float) -> None:
        """Send what there is; take what comes, or the end."""
        assert self._socket is not None
        out = self._link.data_to_send()
        if out:
            self._socket.sendall(out)
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        with suppress(TimeoutError):
            data = self._socket.recv(1 << 18)
            self._link.receive_data(data, now=time.monotonic())
            if not data:
                raise ConnectionResetError
        while (event := self._link.next_event()) is not None:
            self._take(event)
        if self._link.phase not in (Phase.PRE, Phase.OPEN):  # the agent goes
            raise ConnectionResetError

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, (Answered, Failed)):
            number = self._stream_of.pop(event.stream, None)
            if number is not None:
                del self._open[number]
                self._answers[number] = event

    # --- requests ----------------------------------------------------------------------------------------------------

    def ask(self, kind: type[c.Numbered], *args: object, body: bytes = b"", **options: object) -> int:
        """Ask for something; its number."""
        seen, self._seen = tuple(self._seen), []
        self.number += 1
        request = kind(*args, number=self.number, seen=seen, **options)
        return self.send(request, body, self.number)

    def plain(self, request: m.Request, body: bytes = b"") -> int:
        """Ask for something that has no number of its own."""
        self.number += 1
        return self.send(request, body, self.number)

    def send(self, request: m.Request, body: bytes, number: int) -> int:
        """Send it, also after a reconnection."""
        self._open[number] = request, body
        with suppress(OSError):
            self._send(number)
        return number

    def _send(self, number: int) -> None:
        request, body = self._open[number]
        if self._socket is None or self._link.phase is not Phase.OPEN:
            return
        self._stream_of[self._link.request(request, body)] = number
        self._socket.sendall(self._link.data_to_send())

    def told(self, number: int, within_s: float = ANSWER_S) -> bool:
        """Whether it is answered within this time. Connects again where that is needed."""
        deadline = time.monotonic() + within_s
        while number not in self._answers:
            if time.monotonic() >= deadline:
                return False
            try:
                self._pump(deadline)
            except OSError:
                self.connect()
        return True

    def failure(self, number: int) -> m.Failure:
        """Why it was refused."""
        assert self.told(number), "no answer"
        answer = self._answers.pop(number)
        self._seen.append(number)
        assert isinstance(answer, Failed), answer
        return answer.failure

    def answer(self, number: int, kind: type[T]) -> T:
        """What it was answered."""
        return self.answer_and_body(number, kind)[0]

    def answer_and_body(self, number: int, kind: type[T]) -> tuple[T, bytes]:
        """What it was answered, and the body of that."""
        assert self.told(number), "no answer"
        answer = self._answers.pop(number)
        self._seen.append(number)
        assert isinstance(answer, Answered), answer
        return m.decode(answer.header, kind), answer.body

    # --- what is asked most ------------------------------------------------------------------------------------------

    def open(self, name: str, kind: c.ObjectKind = "lock", **options: object) -> bool:
        """Open an object; whether it was made."""
        what = c.ObjectAsked(kind, **options)  # type: ignore[arg-type]
        return self.answer(self.ask(c.Open, name, what), c.OpenAnswer).made

    def want(self, name: str, owner: int = 1) -> int:
        """Ask for a lock; the number."""
        return self.ask(c.Acquire, owner, {name: 1})

    def lock(self, name: str, owner: int = 1) -> int:
        """Have a lock; the token."""
        return self.got(self.want(name, owner))

    def got(self, number: int) -> int:
        """The token of a lock that was asked for."""
        answer = self.answer(number, c.AcquireAnswer)
        assert answer.granted, answer
        return answer.token

    def release(self, name: str, owner: int = 1) -> None:
        """Give a lock back."""
        self.answer(self.ask(c.Release, owner, name), c.NumberedAnswer)
