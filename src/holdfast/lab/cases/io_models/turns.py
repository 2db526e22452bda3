"""A few clients that come at once, each with one question, and stay for a while."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from holdfast.lab import serving
from holdfast.lab.cases.io_models.data import Turn
from holdfast.lab.load import Template

MODELS: Final = ("blocking", "threads", "epoll")
CLIENTS: Final = 4
STAY_S: Final = 0.1
_LIMIT_S: Final = 10.0


def turns() -> tuple[Turn, ...]:
    """The same clients at a server that takes one at a time, one with threads, and one that asks the kernel."""
    return tuple(turn for model in MODELS for turn in _at(model))


def _at(model: str) -> list[Turn]:
    template = Template(b"my turn")
    question = template.ask(1)

    def visit(port: int) -> tuple[float, float, float]:
        came = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), _LIMIT_S) as client:
            client.sendall(template.hello)
            _take(client, template.welcome_bytes)
            client.sendall(question)
            _take(client, template.answer_bytes)
            answered = time.monotonic()
            time.sleep(STAY_S)
        return came, answered, time.monotonic()

    with serving.started(model) as server, ThreadPoolExecutor(CLIENTS) as threads:
        visits = sorted(threads.map(visit, [server.port] * CLIENTS), key=lambda each: each[1])
    began = min(came for came, _, _ in visits)
    return [Turn(model, *(moment - began for moment in each)) for each in visits]


def _take(client: socket.socket, size: int) -> None:
    while size:
        data = client.recv(size)
        if not data:
            raise ConnectionError("the server has closed the connection")
        size -= len(data)
