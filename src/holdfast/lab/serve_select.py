"""One call waits for all: select(2) is handed every connection each time, and its sets end at descriptor 1 023."""

from __future__ import annotations

import select
import socket

from holdfast.lab.ready import Peer, Watch, accept_all
from holdfast.wire.endpoint import Handler

FD_SETSIZE = 1024


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed; who would not fit into the sets is turned away."""
    listener.setblocking(False)
    peers: set[Peer] = set()
    watch = Watch()
    while True:
        reading = [peer for peer in peers if not peer.wants_to_write]
        writing = [peer for peer in peers if peer.wants_to_write]
        everybody: list[socket.socket | Peer] = [listener, *reading]
        readable, writable, _ = select.select(everybody, writing, [], watch.left_s())
        for peer in writable:
            peer.write()
        for each in readable:
            if isinstance(each, Peer):
                each.read()
        if listener in readable:
            for peer in accept_all(listener, handler):
                if peer.fileno() < FD_SETSIZE:
                    peers.add(peer)
                else:
                    peer.conn.close()
        watch.look(peers)
        for peer in [peer for peer in peers if peer.over]:
            peer.conn.close()
            peers.discard(peer)
