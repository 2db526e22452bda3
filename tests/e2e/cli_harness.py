"""The command line as its users have it: a process, with the state directory of an agent under test."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any

BYTECODE_DIR = os.path.join(tempfile.gettempdir(), f"holdfast-test-bytecode-{os.getuid()}")
"""Start-up is measured and waited for often; it is not to compile everything each time."""
RUN_S = 60.0


class Cli:
    """Calls ``holdfast`` with a state directory.

    Args:
        state_dir: The agent's.
        **env: Further variables.
    """

    def __init__(self, state_dir: str, **env: str) -> None:
        self.state_dir = state_dir
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "PYTHON"))}
        for name in ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS"):
            self.env.pop(name, None)
        self.env |= {"HOLDFAST_STATE_DIR": state_dir, "PYTHONPYCACHEPREFIX": BYTECODE_DIR, "LC_ALL": "C.UTF-8", **env}

    def command(self, *args: str) -> list[str]:
        """The whole command line."""
        return [sys.executable, "-m", "holdfast", *args]

    def __call__(
        self, *args: str, stdin: int | IO[Any] | None = subprocess.DEVNULL, input: bytes | None = None, **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        if input is not None:
            options["input"] = input
        else:
            options["stdin"] = stdin
        return subprocess.run(self.command(*args), capture_output=True, env=self.env, timeout=RUN_S, **options)

    def popen(self, *args: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start it, in a session of its own, with pipes at its output."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(self.command(*args), env=self.env, start_new_session=True, **options)

    def sh(self, script: str) -> subprocess.CompletedProcess[bytes]:
        """A bash script in which ``holdfast`` is this one."""
        quoted = " ".join(f"'{word}'" for word in self.command())
        whole = f'holdfast() {{ {quoted} "$@"; }}\n{script}'
        return subprocess.run(
            ["bash", "-c", whole], capture_output=True, env=self.env, timeout=RUN_S, stdin=subprocess.DEVNULL
        )


def eventually(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """What the condition gives once it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
    return found
