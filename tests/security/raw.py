"""A client that is nothing but a socket and a Link: it asks what no proper client would."""

from __future__ import annotations

import os
import socket
import time
from types import TracebackType
from typing import Self

from holdfast.wire.link import Answered, Failed, Link, LinkClosed, LinkEvent, Welcomed
from holdfast.wire.messages import Failure, Hello, Request
from holdfast.wire.phases import Role

ANSWER_S = 10.0


class RawClient:
    """Connected and welcomed.

    Args:
        path: A Unix socket.
    """

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ANSWER_S)
        self.sock.connect(path)
        self.link = Link(Role.CLIENT, now=time.monotonic(), hello=Hello(1, 1, os.urandom(8).hex(), "raw/1"))
        welcomed = self._next()
        assert isinstance(welcomed, Welcomed), welcomed
        self.welcome = welcomed.welcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self.sock.close()

    def ask(self, request: Request, body: bytes = b"") -> object:
        """The answer to a request: a ``Failure``, or whatever else came."""
        stream = self.link.request(request, body)
        while True:
            event = self._next()
            if isinstance(event, Failed) and event.stream == stream:
                return event.failure
            if isinstance(event, Answered) and event.stream == stream:
                return event
            if isinstance(event, LinkClosed):
                return event

    def _next(self) -> LinkEvent:
        while (event := self.link.next_event()) is None:
            self.sock.sendall(self.link.data_to_send())
            data = self.sock.recv(1 << 16)
            self.link.receive_data(data, now=time.monotonic())
        return event


__all__ = ["Failure", "RawClient"]
