"""Clients behind ``holdfast lab chaos``: its process, the way to the agent through it, and streams that are checked."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast.client.enrol import enrol
from holdfast.client.hosts import HostEntry, Hosts
from tests.e2e.cli_harness import Cli
from tests.e2e.harness import writer
from tests.e2e.harness.work import Work
from tests.e2e.harness.world import eventually
from tests.e2e.test_net_agent import NetAgent

NAME = "web1"
"""What tests call the agent."""


class ChaosProcess:
    """``holdfast lab chaos`` in a process of its own; ``summary`` after its end is what it says it has done.

    Args:
        cli: Calls the command line.
        to: Where bytes are passed on to.
        *flags: Further flags.
    """

    def __init__(self, cli: Cli, to: str, *flags: str) -> None:
        self.summary: dict[str, Any] = {}
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            cli.command("lab", "chaos", "--to", to, "--json", *flags), env=cli.env, stdin=subprocess.DEVNULL,
            stdout=self._words,
        )  # fmt: skip
        first = eventually(self._first_line, "the proxy listens")
        self.address: str = json.loads(first)["address"]

    def _first_line(self) -> bytes:
        assert self._process.poll() is None
        self._words.seek(0)
        line = self._words.readline()
        self._words.seek(0, 2)  # the position is the proxy's, too (open(2), "open file description")
        return line if line.endswith(b"\n") else b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._words.seek(0)
        lines = self._words.read().splitlines()
        self._words.close()
        self.summary = json.loads(lines[-1])


def admit(net: NetAgent, config_dir: str, address: str = "") -> None:
    """Enrol this user with the agent, and reach it as ``NAME`` at another address from now on, if there is one."""
    with net.owner() as host:
        invitation = host.invite().invitation
    _, entry = enrol(NAME, invitation, config_dir=config_dir, as_name="anna@box", timeout_s=10)
    if address:
        Hosts.load(config_dir).replace(HostEntry(NAME, address, entry.key))


class Stream:
    """The output of a work as it must come: recomputed piece by piece, and compared chunk by chunk.

    That each chunk equals the next bytes of its channel, and that nothing is missing at the end, leaves no room for a
    gap, nor for a byte that came twice.

    Attributes:
        taken: Bytes so far, both channels.
    """

    def __init__(self, work: Work) -> None:
        self.taken = 0
        self._pieces: Iterator[tuple[int, bytes, float]] = writer.pieces(work.seed, work.pieces, work.most)
        self._pending = {1: bytearray(), 2: bytearray()}

    def take(self, channel: int, chunk: bytes) -> None:
        """The next bytes of a channel."""
        pending = self._pending[channel]
        while len(pending) < len(chunk):
            piece = next(self._pieces, None)
            assert piece is not None, f"channel {channel}: {len(chunk) - len(pending)} bytes too many"
            self._pending[piece[0]] += piece[1]
        assert pending.startswith(chunk), f"channel {channel}: other bytes after {self.taken} of both channels"
        del pending[: len(chunk)]
        self.taken += len(chunk)

    def finish(self) -> None:
        """That was all."""
        missing = sum(len(data) for _, data, _ in self._pieces) + sum(map(len, self._pending.values()))
        assert not missing, f"{missing} bytes are missing after {self.taken}"


def config_in(tmp_path: Path) -> str:
    """Where the client keeps hosts and keys when XDG_CONFIG_HOME is ``tmp_path / "config"``."""
    return str(tmp_path / "config" / "holdfast")
