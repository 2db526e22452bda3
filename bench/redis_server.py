"""The neighbour Redis: a ``redis-server`` of this run on a unix socket, where the system has one.

Every change is in its log (``appendonly``) before it is answered, so that nothing answered is lost when the server is
killed, and is flushed when the system likes: what Holdfast's agent promises for shared objects, too.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from typing import Final

from bench.samples import ContestantFailed
from bench.worker import clean_env

START_S: Final = 10.0
STOP_S: Final = 10.0


def missing() -> str:
    """Which part of Redis is not installed; empty: all there."""
    absent = [] if shutil.which("redis-server") else ["redis-server"]
    absent += [] if importlib.util.find_spec("redis") else ["redis, which the extra `bench` has"]
    return f"not installed ({'; '.join(absent)})" if absent else ""


def version() -> str:
    """Of the server."""
    if shutil.which("redis-server") is None:
        return "not installed"
    words = subprocess.run(
        ["redis-server", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    ).stdout.split()
    return next((word.removeprefix("v=") for word in words if word.startswith("v=")), "unknown")


class RedisServer:
    """A running server.

    Args:
        folder: Exists, nobody else's (0700), at most 90 bytes long; for the socket and the log.

    Attributes:
        path: Of the socket.

    Raises:
        ContestantFailed: not installed, or it did not come up.
    """

    def __init__(self, folder: str) -> None:
        if why := missing():
            raise ContestantFailed(why)
        self.path = os.path.join(folder, "redis.sock")
        settings = {
            "port": "0", "unixsocket": self.path, "unixsocketperm": "600", "dir": folder, "save": "",
            "appendonly": "yes", "appendfsync": "no",
        }  # fmt: skip
        self._process = subprocess.Popen(
            ["redis-server", *(word for name, value in settings.items() for word in (f"--{name}", value))],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, env=clean_env(),
        )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(self.path)
                return
            except OSError as exc:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise ContestantFailed(f"redis-server did not start: {exc}") from None
                time.sleep(0.01)

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
