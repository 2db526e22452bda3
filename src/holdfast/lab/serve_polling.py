"""Asking all the time: no call ever waits, so the CPU never rests, whether anybody speaks or not."""

from __future__ import annotations

import socket

from holdfast.lab.ready import Peer, Watch, accept_all
from holdfast.wire.endpoint import Handler


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    listener.setblocking(False)
    peers: list[Peer] = []
    watch = Watch()
    while True:
        peers += accept_all(listener, handler)
        watch.look(peers)
        for peer in peers:
            peer.write()
            peer.read()
        for peer in [peer for peer in peers if peer.over]:
            peer.conn.close()
            peers.remove(peer)
