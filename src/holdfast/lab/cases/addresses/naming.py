"""What addresses, URLs and port numbers stand for: on this machine, and in networks made for it."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from holdfast.lab.cases.addresses.data import DnsAsked, Interface, Page, Service, Twin
from holdfast.lab.cases.addresses.own_network import Child, apart, ethernet, give_address, ip_of, mac_of
from holdfast.lab.cases.addresses.web import browse, web

MAC: Final = "02:00:5e:10:20:30"
"""The second lowest bit of its first byte says that nobody has assigned it to a device."""
IP: Final = "192.168.7.10"
NAMES: Final = (("bootps", "udp"), ("bootpc", "udp"), ("domain", "udp"), ("domain", "tcp"), ("http", "tcp"))
ANSWER: Final = "192.0.2.53"
_DNS: Final = 53
_DHCP: Final = 67


def interfaces() -> tuple[Interface, ...]:
    """Those of this machine that have an IPv4 address."""
    return tuple(
        Interface(name, mac_of(name)[:8] + ":…", ip) for _, name in socket.if_nameindex() if (ip := ip_of(name))
    )


def twins(port: int) -> tuple[Twin, ...]:
    """Two networks at the same time, with the same addresses in them and the same URL."""
    gate = os.pipe()
    children = [Child(lambda name=name: _twin(name, port), gate) for name in ("first", "second")]  # type: ignore[misc]
    try:
        told = [child.told(Twin) for child in children]
    finally:
        for end in gate:
            os.close(end)
        for child in children:
            child.collect()
    return tuple(twin for twin in told if twin is not None) if all(told) else ()


def _twin(name: str, port: int) -> Twin:
    tap, interface, before = ethernet(MAC, IP)
    url = f"http://{IP}:{port}/"
    body = f"I am the {name} one"
    with web(socket.create_server((IP, port)), lambda _path, _headers: body):
        got = browse(url)
    # The interface stays until the process leaves: ``tap`` is not closed.
    assert tap >= 0
    return Twin(ip_of(interface), mac_of(interface), before, port, url, got, os.getpid())


def pages() -> tuple[Page, ...]:
    """One URL asked for twice, and with another wish; two URLs of one page."""
    count = itertools.count(1)

    def answer(path: str, headers: Mapping[str, str]) -> str:
        if path == "/visits":
            return f"visit {next(count)}"
        return "你好" if headers.get("accept-language") == "zh" else "hello"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        by_name = base.replace("127.0.0.1", "localhost")
        with web(listener.dup(), answer):
            return (
                Page(f"{base}/visits", "first time", browse(f"{base}/visits")),
                Page(f"{base}/visits", "second time", browse(f"{base}/visits")),
                Page(f"{base}/", "Accept-Language: en", browse(f"{base}/", {"Accept-Language": "en"})),
                Page(f"{base}/", "Accept-Language: zh", browse(f"{base}/", {"Accept-Language": "zh"})),
                Page(f"{by_name}/", "another name", browse(f"{by_name}/")),
            )


def services() -> tuple[Service, ...]:
    """What this machine's list says."""
    found = []
    for name, protocol in NAMES:
        port = None
        with suppress(OSError):
            port = socket.getservbyname(name, protocol)
        found.append(Service(name, protocol, port))
    return tuple(found)


class _Told(msgspec.Struct, frozen=True):
    yes: bool


def stranger_on_67() -> bool | None:
    """Whether a program that knows nothing of DHCP may have its port."""
    told = apart(_take_67, _Told)
    return None if told is None else told.yes


def _take_67() -> _Told:
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.settimeout(1.0)
        server.bind(("127.0.0.1", _DHCP))
        client.sendto(b"hello", ("127.0.0.1", _DHCP))
        return _Told(server.recv(10) == b"hello")


# --- DNS -------------------------------------------------------------------------------------------------------------


def dns() -> DnsAsked | None:
    """Be the name server of the system's own resolver; None: not allowed here, or it asks nobody by UDP."""
    server = _nameserver()
    return apart(lambda: _watched(server), DnsAsked) if server else None


def _nameserver() -> str:
    """The first name server that the resolver would ask, if it has an IPv4 address."""
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return "127.0.0.1"  # as resolv.conf(5) says
    listed = [line.split()[1] for line in lines if line.startswith("nameserver") and len(line.split()) > 1]
    if not listed:
        return "127.0.0.1"
    return listed[0] if listed[0].count(".") == 3 else ""


def _watched(nameserver: str) -> DnsAsked:
    if not nameserver.startswith("127."):
        give_address("lo:1", nameserver)
    os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
    with socket.socket(type=socket.SOCK_DGRAM) as usual, socket.socket(type=socket.SOCK_DGRAM) as other:
        usual.bind((nameserver, _DNS))
        other.bind((nameserver, 0))
        asked: list[bool] = []
        for end in (usual, other):
            end.settimeout(2.0)
        server = threading.Thread(target=_answer, args=(usual, asked))
        server.start()
        answer = ""
        with suppress(OSError):
            answer = socket.gethostbyname("lab.example.")
        server.join()
        second = threading.Thread(target=_answer, args=(other, []))
        second.start()
        elsewhere = _ask(other.getsockname())
        second.join()
    if not asked:
        raise OSError("the resolver does not ask by UDP")
    return DnsAsked(nameserver, _DNS, answer, elsewhere)


def _answer(end: socket.socket, asked: list[bool]) -> None:
    """Answer one question with ``ANSWER``: it goes back with a record behind it that points to its name (RFC 1035)."""
    with suppress(TimeoutError):
        question, asker = end.recvfrom(512)
        asked.append(True)
        size = _question_bytes(question)
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(ANSWER)
        end.sendto(head + question[12 : 12 + size] + record, asker)


def _question_bytes(message: bytes) -> int:
    """A name ends with a zero byte; type and class follow it."""
    return message.index(0, 12) + 5 - 12


def _ask(address: tuple[str, int]) -> bool:
    question = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\3lab\7example\0" + struct.pack(">HH", 1, 1)
    with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as near:
        near.settimeout(2.0)
        near.sendto(question, address)
        return near.recv(512).endswith(socket.inet_aton(ANSWER))
    return False
