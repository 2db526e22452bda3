"""The agents that are measured, each in a folder of its own: a user's private one, and one on the network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final

import holdfast
from bench import procfs
from bench.samples import ContestantFailed
from bench.worker import ROOT, clean_env
from holdfast.errors import ConnectFailed

GONE_S: Final = 20.0
SETTLE_S: Final = 15.0
COMMAND_S: Final = 30.0
_AGENT_SETTINGS: Final = """\
max_connections = 15000
max_connections_per_principal = 15000
max_strangers = 500
max_strangers_per_source = 500
"""
"""One machine stands for all clients: a hundred hosts at once, thousands that are idle. ``sshd`` gets the same."""


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


class NetworkAgent:
    """An agent as an operator runs it, listening for TLS on loopback, and one enrolled client: all by the command line.

    Args:
        folder: Does not exist yet; state of the agent, settings of agent and client.
        program: Is the agent when it is given ``--state-dir`` and ``--listen``; None: ``holdfast agent run``.

    Attributes:
        state_dir: Of the agent.
        client_env: What makes a process the enrolled client.
        pid: Its process.

    Raises:
        ContestantFailed: it did not come up, or did not enrol the client; with the last words.
    """

    NAME: Final = "bench"
    """What the client calls it."""

    def __init__(self, folder: str, program: list[str] | None = None) -> None:
        self.state_dir = os.path.join(folder, "state")
        agent_dir, client_dir = (os.path.join(folder, name) for name in ("agent", "client"))
        os.makedirs(os.path.join(agent_dir, "holdfast"), 0o700)
        with open(os.path.join(agent_dir, "holdfast", "config.toml"), "w", encoding="utf-8") as file:
            file.write(_AGENT_SETTINGS)
        self.client_env = {"XDG_CONFIG_HOME": client_dir, "HOLDFAST_STATE_DIR": os.path.join(folder, "none")}
        agent_env = clean_env() | {"XDG_CONFIG_HOME": agent_dir}
        self._log = open(os.path.join(folder, "log"), "w+b")  # noqa: SIM115 - closed by `stop`
        self._host: holdfast.Host | None = None  # over the unix socket
        program = program or [*command_line(), "agent", "run"]
        self._process = subprocess.Popen(
            [*program, "--state-dir", self.state_dir, "--listen", "tls://127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=ROOT, env=agent_env,
        )  # fmt: skip
        try:
            self._host = self._connected()
            self.pid = int(self._host.status().agent["pid"])
            operator_env = agent_env | {"HOLDFAST_STATE_DIR": self.state_dir}
            invitation = _said([*command_line(), "agent", "invite"], operator_env)
            _said([*command_line(), "host", "add", self.NAME, "-"], clean_env() | self.client_env, invitation)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, its keeper, its shims and jobs."""
        try:
            if self._process.poll() is None and self._host is not None:
                end(self._host)
        finally:
            if self._process.poll() is None:
                self._process.terminate()
            try:
                self._process.wait(GONE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._log.close()

    def _connected(self) -> holdfast.Host:
        deadline = time.monotonic() + SETTLE_S
        while True:
            try:
                return holdfast.connect(state_dir=self.state_dir, start=False)
            except ConnectFailed as exc:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self._log.seek(0)
                    words = self._log.read().decode(errors="replace").strip().splitlines()
                    raise ContestantFailed(f"the agent did not start: {words[-1] if words else exc}") from None
                time.sleep(0.02)

    def __enter__(self) -> NetworkAgent:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def command_line() -> list[str]:
    """``holdfast`` as it is installed beside this Python."""
    script = Path(sys.executable).with_name("holdfast")
    return [str(script)] if script.exists() else [sys.executable, "-m", "holdfast"]


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


def _said(command: list[str], env: dict[str, str], text: str = "") -> str:
    """What a command says.

    Raises:
        ContestantFailed: it fails, or says nothing for ``COMMAND_S``.
    """
    try:
        done = subprocess.run(
            command, env=env, input=text, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ContestantFailed(f"{' '.join(command[1:])}: nothing for {COMMAND_S:g} s") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise ContestantFailed(f"{' '.join(command[1:])} ended with {done.returncode}: {words[-1] if words else ''}")
    return done.stdout
