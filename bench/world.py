"""What is measured against: a private agent in a folder of its own, and the neighbour's server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Final

import holdfast
from bench import procfs, sshd
from bench.worker import ROOT, ContestantFailed, clean_env

GONE_S: Final = 20.0
SETTLE_S: Final = 15.0


class Agent:
    """A private agent, started as every user's is: by the first client that looks for it.

    Args:
        state_dir: Does not exist yet.

    Attributes:
        start_s: From the decision to start it until its WELCOME.
        pid: Its process.
        keeper_pid: Its keeper's.
    """

    def __init__(self, state_dir: str) -> None:
        self.state_dir = state_dir
        begin = time.perf_counter()
        self.host = holdfast.connect(state_dir=state_dir)
        self.start_s = time.perf_counter() - begin
        status = self.host.status()
        self.pid = int(status.agent["pid"])
        self.keeper_pid = int(status.keeper["pid"])

    def shims(self) -> list[int]:
        """The shims: all that the keeper has forked."""
        return procfs.children(self.keeper_pid)

    def wait_for_shims(self, number: int) -> None:
        """Wait until there are so many, and no longer than ``SETTLE_S``."""
        deadline = time.monotonic() + SETTLE_S
        while len(self.shims()) != number and time.monotonic() < deadline:
            time.sleep(0.05)

    def wait_for_running(self, number: int) -> None:
        """Wait until so many jobs run.

        Raises:
            ContestantFailed: they do not within ``SETTLE_S``.
        """
        deadline = time.monotonic() + SETTLE_S
        while (running := self.host.status().jobs["running"]) < number:
            if time.monotonic() > deadline:
                raise ContestantFailed(f"only {running} of {number} jobs run after {SETTLE_S:g} s")
            time.sleep(0.01)

    def stop(self) -> None:
        """See ``end``."""
        end(self.host)

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class NeighbourServer:
    """The AsyncSSH server in a process of its own.

    Args:
        folder: Exists, nobody else's (0700); keys are made in it.

    Raises:
        ContestantFailed: it did not come up.
    """

    def __init__(self, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sshd", folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, env=clean_env(),
        )  # fmt: skip
        self.key_path = os.path.join(folder, sshd.KEY)
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().decode().strip()
        if not self.port:
            self.stop()
            raise ContestantFailed("the AsyncSSH server did not start")

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

    def __enter__(self) -> NeighbourServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def end(host: holdfast.Host) -> None:
    """End agent, keeper, shims and jobs, and close the connection; what does not go in time is killed.

    All of them name the state directory on their command line (a shim is a fork of the keeper), so shims that were
    forked a moment ago are waited for as well.
    """
    state_dir = host.status().state_dir
    try:
        host.shutdown(jobs=True)
    finally:
        host.close()
        deadline = time.monotonic() + GONE_S
        while (left := procfs.naming(state_dir)) and time.monotonic() < deadline:
            time.sleep(0.01)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
