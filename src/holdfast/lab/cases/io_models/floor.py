"""A server that answers without looking: what Python, epoll and this machine need, before any protocol.

Every request of the load generator has the same length, so a greeting and a request are told apart by that; the answer
was made before, and gets the request's stream number.
"""

from __future__ import annotations

import select
import socket
import sys
import time

from holdfast.lab import measure
from holdfast.lab.load import Order, Template
from holdfast.wire.endpoint import Endpoint

_STREAM = slice(12, 16)


def serve(listener: socket.socket, payload: bytes) -> None:
    """Answer whoever comes, for ever."""
    template = Template(payload)
    endpoint = Endpoint(measure.echo_upper, now=time.monotonic())
    welcome = endpoint.feed(template.hello, time.monotonic())
    answer = bytearray(endpoint.feed(template.ask(1), time.monotonic()))
    size = len(template.request)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    listening = listener.fileno()
    connections: dict[int, socket.socket] = {}
    while True:
        for fd, _ in poll.poll():
            if fd == listening:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            connection = connections[fd]
            try:
                data = connection.recv(measure.READ_BYTES)
            except ConnectionResetError:
                data = b""
            if len(data) == size:
                answer[_STREAM] = data[_STREAM]
                connection.send(answer)
            elif data:
                connection.send(welcome)
            else:
                del connections[fd]
                connection.close()


if __name__ == "__main__":
    with measure.listener() as listening:
        print(listening.getsockname()[1], flush=True)
        serve(listening, Order(0, 0, 0, 0.0).payload.encode())
        sys.exit(0)
