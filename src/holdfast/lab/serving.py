"""The servers by name: which there are, whether one can run here, and one running in a process of its own.

``python -m holdfast.lab.serving MODEL`` listens at a free port, prints its number and serves until SIGTERM.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Final, NamedTuple

from holdfast.lab import measure
from holdfast.wire.endpoint import Handler

MODELS: Final = (
    "blocking",
    "threads",
    "fork",
    "pool",
    "polling",
    "select",
    "epoll",
    "gevent",
    "asyncio",
    "uvloop",
    "io_uring",
)
"""One connection at a time; a thread each; a process each; threads of a pool; asking without waiting; select; epoll;
greenlets; coroutines; the same on uvloop; completions. The module of ``threads`` is ``serve_threads``."""

Serve = Callable[[socket.socket, Handler], None]
_NEEDS: Final = {"gevent": "gevent", "uvloop": "uvloop", "io_uring": "liburing"}
_END_S: Final = 5.0


class Server(NamedTuple):
    """A server that runs."""

    pid: int
    port: int
    process: subprocess.Popen[str]


def available(model: str) -> str | None:
    """None if it can run here, else why not."""
    needed = _NEEDS.get(model)
    if needed is not None and find_spec(needed) is None:
        return f"{needed} is not installed (pip install 'holdfast[lab]')"
    if model == "io_uring":
        from holdfast.lab.completions import refused

        return refused()
    return None


@contextmanager
def started(model: str) -> Iterator[Server]:
    """A server in a process of its own; it and all that it has started are gone afterwards.

    Raises:
        RuntimeError: it did not come up.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast.lab.serving", model],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server {model} did not come up: it ended with {process.wait()}")
        yield Server(process.pid, int(line), process)
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        process.stdout.close()


def serve_of(model: str) -> Serve:
    """Its ``serve(listener, handler)``."""
    serve: Serve = import_module(f"holdfast.lab.serve_{model}").serve
    return serve


def main(model: str) -> None:
    """Serve until SIGTERM."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if model == "gevent":
        from gevent import monkey

        monkey.patch_all()  # before the listener is made
    with measure.listener() as listening:
        print(listening.getsockname()[1], flush=True)
        serve_of(model)(listening, measure.echo_upper)


if __name__ == "__main__":
    main(sys.argv[1])
