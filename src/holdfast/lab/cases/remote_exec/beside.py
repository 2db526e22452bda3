"""The same through Holdfast: ``host.run`` of its blocking client, an agent of this case's own."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from holdfast.client.sync import Host, connect
from holdfast.lab.cases.remote_exec import peers
from holdfast.lab.cases.remote_exec.at_the_server import TWO_COMMANDS, fill
from holdfast.lab.cases.remote_exec.data import Turns
from holdfast.lab.chaos import ChaosProxy
from holdfast.lab.chaos_plan import ConnectionPlan, Cut, Kind
from holdfast.lab.workbench import Lab
from holdfast.types import ChannelRecord
from holdfast.wire.frames import FrameParser, FrameType, encode_frame

LONG = 100_000
"""Bytes of a command; the kernel takes up to 128 KiB in one argument."""


class Beside(msgspec.Struct, frozen=True):
    """What Holdfast did."""

    in_bytes: bool
    large: int
    links: int
    texts: tuple[str, ...]
    long: bool
    stranger: str
    stranger_jobs: int
    fills: tuple[float | None, ...]
    status: int
    channels: tuple[str, str]
    digests: tuple[str, str]
    turns: Turns
    zombies: int


def beside(
    lab: Lab, *, large: str, sizes: tuple[int, ...], texts: tuple[tuple[str, str], ...], commands: int, stay_s: float
) -> Beside:
    """Everything that was asked of the notes' pair.

    Args:
        lab: The workbench.
        large: A command with a large output.
        sizes: What commands write to standard error, in bytes.
        texts: Commands that write a text, each with its encoding.
        commands: How many to run before zombies are counted.
        stay_s: How long one client stays while another asks.
    """
    stranger, jobs = _knock(lab)
    with lab.agent() as host:
        got, links = _through_cuts(host, large)
        first, second = (host.run(["echo", word]).receipt for word in ("one", "two"))
        mixed = host.run("echo OUT; echo ERR >&2; echo OUT", shell=True, text=True)
        for number in range(commands):
            host.run(["echo", str(number)])
        return Beside(
            in_bytes=_frame_in_bytes(),
            large=got,
            links=links,
            texts=tuple(host.run(command, shell=True, encoding=encoding).stdout for command, encoding in texts),
            long=len(host.run("echo " + "a" * (LONG - 5), shell=True).stdout) == LONG - 4,
            stranger=stranger,
            stranger_jobs=jobs,
            fills=tuple(peers.timed(lambda size=size: _filled(host, size)) for size in sizes),  # type: ignore[misc]
            status=host.run("exit 3", shell=True).returncode,
            channels=(mixed.stdout, mixed.stderr),
            digests=(_digest(first.stdout), _digest(second.stdout)),
            turns=_turns(host, stay_s),
            zombies=_zombies_left(),
        )


@contextmanager
def _listening(lab: Lab) -> Iterator[Host]:
    """An agent of its own that listens at a free port of the loopback."""
    state = lab.folder / "listening"
    state.mkdir(mode=0o700)
    env = {**os.environ, "HOLDFAST_STATE_DIR": str(state)}

    def agent(*words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "holdfast", "agent", *words], env=env, timeout=30, check=False, capture_output=True
        )

    agent("start", "--listen", "tls://127.0.0.1:0")
    try:
        with connect("local", state_dir=str(state)) as host:
            yield host
    finally:
        agent("stop", "--jobs")


class _Cuts:
    """The first three connections are cut, each a little later in what the agent sends."""

    def connection(self, number: int) -> ConnectionPlan:
        """The plan of one of them."""
        return ConnectionPlan(Cut(Kind.TORN, to_client=40_000, exact=True) if number < 3 else None)


def _through_cuts(host: Host, command: str) -> tuple[int, int]:
    """Bytes of a command's output through a proxy that tears its connections, and how many it took."""
    folder = Path(os.environ["HOLDFAST_STATE_DIR"])
    with ChaosProxy(f"unix://{folder}/cut.sock", f"unix://{folder}/agent.sock", _Cuts()) as proxy:
        with connect(proxy.address) as cut:
            got = len(cut.run(command, shell=True).stdout)
        return got, proxy.served


def _knock(lab: Lab) -> tuple[str, int]:
    """Come to an agent's port with TLS and no key; how it ends, and how many jobs ran for it."""
    with _listening(lab) as host:
        address = next((each for each in host.status().listeners if each.startswith("tls://")), "")
        if not address:
            return "", 0
        name, _, port = address.removeprefix("tls://").rpartition(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with socket.create_connection((name, int(port)), 5.0) as raw, context.wrap_socket(raw) as sock:
                sock.sendall(TWO_COMMANDS.encode() + b"\n")
                said = sock.recv(65536)
            told = f"{len(said)} B" if said else "EOF"
        except OSError as error:  # ssl.SSLError is one
            told = str(getattr(error, "reason", None) or error)
        return told, len(host.jobs(all=True))


def _filled(host: Host, size: int) -> str | None:
    done = host.run(fill(size), shell=True, timeout=peers.ANSWER_LIMIT_S)
    return "written" if len(done.stderr) == size and done.stdout == b"written\n" else None


def _digest(record: ChannelRecord) -> str:
    return (record.xxh3 or "")[:12]


def _turns(host: Host, stay_s: float) -> Turns:
    """One client's command lasts; another asks meanwhile."""
    began = time.monotonic()
    left = [0.0]

    def stay() -> None:
        host.run(["sleep", str(stay_s)])
        left[0] = time.monotonic() - began

    staying = threading.Thread(target=stay)
    staying.start()
    time.sleep(stay_s / 4)
    asked = time.monotonic() - began
    with connect(host.address) as other:
        other.run(["echo", "turn"])
    answered = time.monotonic() - began
    staying.join()
    return Turns(left[0], asked, answered)


def _zombies_left() -> int:
    """Zombies of Holdfast's processes, once a second was left to take them away.

    Children of this very process are not theirs: it is a sub-reaper, and inherits what is not its own.
    """
    own = os.getpid()

    def left() -> int:
        known = _below(own)
        return peers.zombies(lambda pid, parent: pid in known and parent != own)

    until = time.monotonic() + 1.0
    while (count := left()) and time.monotonic() < until:
        time.sleep(0.02)
    return count


def _below(top: int) -> set[int]:
    found: set[int] = set()
    grown = {top}
    while grown:
        grown = {child for pid in grown for child in peers.children(pid)} - found
        found |= grown
    return found


def _frame_in_bytes() -> bool:
    """Whether the parser gives a frame whole that comes byte by byte."""
    header, body = b'{"n":1}', b"hello"
    parser = FrameParser({FrameType.DATA: (100, 100)})
    frames = []
    for byte in encode_frame(FrameType.DATA, stream=1, header=header, body_bytes=len(body)) + body:
        parser.feed(bytes([byte]))
        while (frame := parser.next_frame()) is not None:
            frames.append((frame.header, bytes(frame.body)))
    return frames == [(header, body)]
