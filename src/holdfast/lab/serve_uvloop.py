"""The coroutines of ``serve_asyncio`` on uvloop: the same code, a loop written in C."""

from __future__ import annotations

import socket

import uvloop

from holdfast.lab.serve_asyncio import serve_with
from holdfast.wire.endpoint import Handler


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    serve_with(uvloop.new_event_loop, listener, handler)
