"""So many threads and no more: one more client waits until somebody goes, however idle the others are."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from holdfast.lab.measure import accepted
from holdfast.lab.serve_threads import serve_one
from holdfast.wire.endpoint import Handler

THREADS: Final = 64


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    free = ThreadPoolExecutor(THREADS, thread_name_prefix="serve")
    for conn in accepted(listener):
        free.submit(serve_one, conn, handler)
