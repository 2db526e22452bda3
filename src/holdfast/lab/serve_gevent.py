"""A greenlet for each connection: code that seems to wait, and a loop that runs another one instead.

It is the code of ``serve_threads``, with sockets of gevent.
"""

from __future__ import annotations

import socket

import gevent.socket
from gevent.pool import Pool

from holdfast.lab.measure import accepted
from holdfast.lab.serve_threads import serve_one
from holdfast.wire.endpoint import Handler


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    greenlets = Pool()
    with gevent.socket.socket(fileno=listener.detach()) as waiting:
        for conn in accepted(waiting):
            greenlets.spawn(serve_one, conn, handler)
