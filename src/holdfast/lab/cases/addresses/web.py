"""A small web server of the standard library, and clients for it: over TCP and over a unix socket."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final

Answer = Callable[[str, Mapping[str, str]], str]
"""From path and headers to the page."""
LIMIT_S: Final = 5.0
# Without it urllib would ask the proxies of the environment.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class _Server(HTTPServer):
    """Serves an endpoint that was made before, of any family."""

    def __init__(self, listener: socket.socket, answer: Answer) -> None:
        self._answer = answer
        super().__init__(("", 0), self._handler(), bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = answer(self.path, {name.lower(): value for name, value in self.headers.items()}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        return Handler

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, _ = self.socket.accept()
        return connection, ("", 0)  # a unix socket has no such pair


@contextmanager
def web(listener: socket.socket, answer: Answer) -> Iterator[None]:
    """Serve pages meanwhile, from a thread."""
    with _Server(listener, answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def unix_listener(path: Path) -> socket.socket:
    """A listening unix socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def browse(url: str, headers: Mapping[str, str] | None = None) -> str:
    """The page of a URL, asked for without a proxy.

    Raises:
        OSError: it was not reached.
    """
    with _DIRECT.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=LIMIT_S) as page:
        return str(page.read().decode())


def browse_unix(path: Path) -> str:
    """A page from a unix socket.

    Raises:
        OSError: it was not reached, or not understood.
        http.client.HTTPException: it was not understood.
    """
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(LIMIT_S)
        end.connect(str(path))
        return over(end)


def over(end: socket.socket) -> str:
    """A page over a connection that is there already. Raises as ``browse_unix``."""
    client = http.client.HTTPConnection("localhost")
    client.sock = end
    client.request("GET", "/")
    return client.getresponse().read().decode()
