"""One call waits for all, and gives only those with news: the kernel keeps the list (epoll(7), level-triggered)."""

from __future__ import annotations

import select
import socket

from holdfast.lab.ready import Peer, Watch, accept_all
from holdfast.wire.endpoint import Handler


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    peers: dict[int, Peer] = {}
    writing: set[int] = set()
    watch = Watch()

    def settle(peer: Peer) -> None:
        """Ask the kernel for what the peer waits for now; close it if it is over."""
        fd = peer.fileno()
        if peer.over:
            writing.discard(fd)
            del peers[fd]
            peer.conn.close()  # takes it out of the kernel's list, too
        elif peer.wants_to_write and fd not in writing:
            writing.add(fd)
            poll.modify(fd, select.EPOLLOUT)
        elif fd in writing and not peer.wants_to_write:
            writing.discard(fd)
            poll.modify(fd, select.EPOLLIN)

    with poll:
        while True:
            for fd, events in poll.poll(watch.left_s()):
                if fd == listener.fileno():
                    for peer in accept_all(listener, handler):
                        peers[peer.fileno()] = peer
                        poll.register(peer, select.EPOLLIN)
                    continue
                peer = peers[fd]
                if events & ~select.EPOLLIN:  # it can be written, or has hung up: writing finds out
                    peer.write()
                peer.read()
                settle(peer)
            for peer in watch.look(peers.values()):
                settle(peer)
