"""Three network namespaces in a row: a client's, a router's, an agent's (ip-netns(8), veth(4)).

The router is there so that packets can get lost where neither end sees it: a black-hole route drops them in one
direction and tells nobody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from types import TracebackType
from typing import Final, Self

CLIENT: Final = "10.231.1.2"
CLIENT_ELSEWHERE: Final = "10.231.1.77"
AGENT: Final = "10.231.2.2"
ROUTER_TO_CLIENT: Final = "10.231.1.1"
ROUTER_TO_AGENT: Final = "10.231.2.1"


@cache
def missing() -> str:
    """Why namespaces cannot be made here; ``""`` if they can."""
    for tool in ("ip", "nsenter"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    name = f"hf{os.getpid()}t"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces may not be made here: {made.stderr.strip()}"
    try:
        link = ["ip", "-n", name, "link", "add", "hf0", "type", "veth", "peer", "name", "hf1"]
        tried = subprocess.run(link, capture_output=True, text=True)
        if tried.returncode:
            return f"veth pairs may not be made here: {tried.stderr.strip()}"
        forward = ["nsenter", f"--net=/run/netns/{name}", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
        tried = subprocess.run(forward, capture_output=True, text=True)
        return f"forwarding may not be turned on here: {tried.stderr.strip()}" if tried.returncode else ""
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


class Namespaces:
    """The three of them; a context manager. With a namespace all that is in it goes."""

    def __init__(self) -> None:
        self.client, self.router, self.agent = (f"hf{os.getpid()}{letter}" for letter in "cra")
        self._made: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()

    def _make(self) -> None:
        for name in (self.client, self.router, self.agent):
            _ip("netns", "add", name)
            self._made.append(name)
            # IPv6 addresses come seconds after their link: changes of the network that no test has made
            no_ipv6 = "test ! -d /proc/sys/net/ipv6 || echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6 > /dev/null"
            subprocess.run(self.inside(name, ["sh", "-c", no_ipv6]), check=True)
            _ip("-n", name, "link", "set", "lo", "up")
        for end, device, address, there in (
            (self.client, "toclient", CLIENT, ROUTER_TO_CLIENT),
            (self.agent, "toagent", AGENT, ROUTER_TO_AGENT),
        ):
            _ip("-n", end, "link", "add", "hf0", "type", "veth", "peer", "name", device, "netns", self.router)
            _ip("-n", self.router, "address", "add", f"{there}/24", "dev", device)
            _ip("-n", self.router, "link", "set", device, "up")
            _ip("-n", end, "address", "add", f"{address}/24", "dev", "hf0")
            self.link_up(end)
        forward = ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
        subprocess.run(self.inside(self.router, forward), check=True)

    def _remove(self) -> None:
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False)

    def inside(self, name: str, command: list[str]) -> list[str]:
        """The command line that runs this one in that network, and changes nothing else for it."""
        return ["nsenter", f"--net=/run/netns/{name}", *command]

    def link_down(self, end: str) -> None:
        """Unplug client or agent; its routes go with the link."""
        _ip("-n", end, "link", "set", "hf0", "down")

    def link_up(self, end: str) -> None:
        """Plug it in."""
        _ip("-n", end, "link", "set", "hf0", "up")
        gateway = ROUTER_TO_CLIENT if end == self.client else ROUTER_TO_AGENT
        _ip("-n", end, "route", "replace", "default", "via", gateway)

    def move_client(self) -> None:
        """It has another address from now on, as after a change of networks."""
        _ip("-n", self.client, "address", "del", f"{CLIENT}/24", "dev", "hf0")
        _ip("-n", self.client, "address", "add", f"{CLIENT_ELSEWHERE}/24", "dev", "hf0")
        self.link_up(self.client)

    def drop(self, *to: str) -> None:
        """Packets to these addresses disappear on the way."""
        for address in to:
            _ip("-n", self.router, "route", "add", "blackhole", f"{address}/32")

    def drop_nothing(self) -> None:
        """The way is as it was."""
        _ip("-n", self.router, "route", "flush", "type", "blackhole")


def _ip(*args: str) -> None:
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    assert not done.returncode, f"ip {' '.join(args)}: {done.stderr}"
