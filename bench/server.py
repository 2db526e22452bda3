"""The process of a neighbour's or a bare server, written in Python: prints its port, ends with its standard input."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from bench.samples import ContestantFailed
from bench.worker import ROOT, clean_env

GONE_S: Final = 20.0


class Server:
    """A running server.

    Args:
        module: What ``python -m`` runs.
        *args: Its arguments.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        pid: Its process.

    Raises:
        ContestantFailed: it did not come up.
    """

    def __init__(self, module: str, *args: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, env=clean_env(),
        )  # fmt: skip
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().decode().strip()
        if not self.port:
            self.stop()
            raise ContestantFailed(f"{module} did not start")

    def stop(self) -> None:
        """End it."""
        process = self._process
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(GONE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
