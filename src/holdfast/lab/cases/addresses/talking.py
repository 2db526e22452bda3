"""Pairs that talk: over the network, without one, and with a wire that is a program."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from holdfast.lab import private_net
from holdfast.lab.cases.addresses.data import Talk
from holdfast.lab.cases.addresses.own_network import apart, switch
from holdfast.lab.cases.addresses.web import browse, browse_unix, over, unix_listener, web
from holdfast.lab.workbench import Lab

PAGE = "here I am"
_LIMIT_S = 1.0
CLIENT, BROWSER = "client/server", "browser/server"


class Talks(msgspec.Struct, frozen=True):
    """What a child process tells."""

    talks: tuple[Talk, ...]


def talks(lab: Lab) -> tuple[tuple[Talk, ...], str]:
    """All pairs that can be tried here, and what HTTP says to an agent of Holdfast."""
    folder = lab.folder
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = (
            _try(CLIENT, "TCP on a loopback", True, lambda: _echo_over(listener)),
            _try(BROWSER, "TCP on a loopback", True, lambda: _page_over(listener)),
            _try(BROWSER, "unix socket", True, lambda: _page_over_unix(folder / "here.sock")),
        )
    without = apart(lambda: _without_network(folder), Talks)
    by_hand = apart(_by_hand, Talks)
    with lab.agent() as host:
        served = Talk("client/server of Holdfast", "unix socket", True, bool(host.status()))
        mismatch = ""
        try:
            browse_unix(folder / "agent" / "agent.sock")
        except (OSError, http.client.HTTPException) as caught:
            mismatch = f"{type(caught).__name__}: {_readable(str(caught))}"
    found = [*here, served]
    for told in (without, by_hand):
        found += told.talks if told is not None else ()
    return tuple(found), mismatch


def _readable(text: str) -> str:
    """With one dot for signs in a row that nobody can read."""
    return re.sub(r"[^ -~]+", "·", text)


def _try(pair: str, carrier: str, network: bool, ask: Callable[[], bool]) -> Talk:
    try:
        return Talk(pair, carrier, network, ask())
    except (OSError, http.client.HTTPException) as caught:
        return Talk(pair, carrier, network, False, f"{type(caught).__name__}: {caught}")


def _echo_over(listener: socket.socket) -> bool:
    with socket.create_connection(listener.getsockname(), timeout=_LIMIT_S) as near:
        far, _ = listener.accept()
        with far:
            return _echo(near, far)


def _echo(near: socket.socket, far: socket.socket) -> bool:
    near.sendall(PAGE.encode())
    far.sendall(far.recv(100).upper())
    return near.recv(100) == PAGE.upper().encode()


def _page_over(listener: socket.socket) -> bool:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with web(listener.dup(), lambda _path, _headers: PAGE):
        return browse(url) == PAGE


def _page_over_unix(path: Path) -> bool:
    with web(unix_listener(path), lambda _path, _headers: PAGE):
        return browse_unix(path) == PAGE


def _echo_over_unix() -> bool:
    near, far = socket.socketpair()
    with near, far:
        return _echo(near, far)


def _without_network(folder: Path) -> Talks:
    """No interface is up, not even the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        switch("lo", up=False)
        return Talks(
            (
                _try(CLIENT, "TCP, no interface up", False, lambda: _echo_over(listener)),
                _try(CLIENT, "unix socket", False, _echo_over_unix),
                _try(BROWSER, "unix socket", False, lambda: _page_over_unix(folder / "web.sock")),
            )
        )


def _by_hand() -> Talks:
    """HTTP over a wire that is a program: every packet is taken out of the kernel and put back."""
    with private_net.Wire() as wire:
        over_it = threading.Event()

        def carry() -> None:
            while not over_it.is_set():
                if (held := wire.take(0.05)) is not None:
                    wire.deliver(held)

        carrier = threading.Thread(target=carry)
        carrier.start()
        try:
            return Talks((_try(BROWSER, "TCP on a wire that is a program", True, _page_over_wire),))
        finally:
            over_it.set()
            carrier.join()


def _page_over_wire() -> bool:
    with socket.socket() as listener, socket.socket() as near:
        for end in (listener, near):
            end.bind((private_net.NEAR, 0))
        listener.listen()
        near.settimeout(5.0)
        port = listener.getsockname()[1]
        with web(listener.dup(), lambda _path, _headers: PAGE), suppress(TimeoutError):
            near.connect((private_net.FAR, port))
            return over(near) == PAGE
    return False
