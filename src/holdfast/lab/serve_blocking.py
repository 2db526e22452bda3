"""One connection at a time: who comes meanwhile waits in the kernel's queue until the one before has gone."""

from __future__ import annotations

import socket

from holdfast.lab.measure import accepted
from holdfast.lab.serve_threads import serve_one
from holdfast.wire.endpoint import Handler


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, one after the other, until the listener is closed."""
    for conn in accepted(listener):
        serve_one(conn, handler)
