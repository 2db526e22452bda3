"""What the servers of the lab share and what is measured of them: listener, service, and the kernel's figures.

The service is the same for all: a STATUS request of ``holdfast/1`` with a body is answered with that body in upper
case.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from holdfast.lab import proc
from holdfast.wire.endpoint import Reply
from holdfast.wire.messages import AnyRequest, DoneAnswer, ErrorCode, Failure, Status

ECHO: Final = Status()
"""The request; what is to be answered in upper case is its body."""
BACKLOG: Final = 4096
"""Asked for; the kernel gives at most net.core.somaxconn."""
READ_BYTES: Final = 65536
_NOT_NOW: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED)
_NOT_NOW_S: Final = 0.02
_LEAST_WAIT_S: Final = 0.001
_LONGEST_WAIT_S: Final = 3600.0


def echo_upper(request: AnyRequest, body: bytes) -> Reply | Failure:
    """The service."""
    if isinstance(request, Status):
        return Reply(DoneAnswer(), body=body.upper())
    return Failure(ErrorCode.INVALID, "this server knows one request: a body to be put in upper case", ran="no")


def listener(port: int = 0, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket of the loopback; port 0: any free one."""
    return socket.create_server(("127.0.0.1", port), backlog=backlog)


def accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """Connections as they come, until the listener is closed; while no descriptor is left they wait in its queue."""
    while True:
        try:
            conn, _ = listener.accept()
        except OSError as error:
            if error.errno not in _NOT_NOW:
                raise
            time.sleep(_NOT_NOW_S)
        else:
            yield conn


def seconds_until(deadline: float | None) -> float:
    """Seconds of waiting that are left: never 0, which would mean not to wait at all; None: there is no deadline."""
    if deadline is None:
        return _LONGEST_WAIT_S
    return max(_LEAST_WAIT_S, min(_LONGEST_WAIT_S, deadline - time.monotonic()))


class Usage(msgspec.Struct, frozen=True):
    """What a process and all below it have used so far, or hold now."""

    cpu_s: float
    pss_bytes: int
    """Memory of its own (Pss_Anon of proc_pid_smaps(5)); what several processes share is counted in parts."""
    voluntary: int
    """How often a thread gave the CPU away since it had to wait."""
    involuntary: int
    """And how often it was taken away."""
    threads: int
    processes: int


def usage(pid: int) -> Usage:
    """Figures of a process and its descendants; those that end meanwhile are left out."""
    found = [each for each in map(_usage, [pid, *proc.descendants(pid)]) if each is not None]
    return Usage(
        sum(each.cpu_s for each in found),
        sum(each.pss_bytes for each in found),
        sum(each.voluntary for each in found),
        sum(each.involuntary for each in found),
        sum(each.threads for each in found),
        len(found),
    )


def _usage(pid: int) -> Usage | None:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        tasks = os.listdir(f"/proc/{pid}/task")
        ran_ns = [int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0]) for task in tasks]
        switches = [Path(f"/proc/{pid}/task/{task}/status").read_text() for task in tasks]
    except OSError:  # it has gone
        return None
    return Usage(
        cpu_s=sum(ran_ns) / 1e9,  # the times of proc_pid_stat(5) count in hundredths of a second
        pss_bytes=_number(rollup, "Pss_Anon:") * 1024,
        voluntary=sum(_number(text, "voluntary_ctxt_switches:") for text in switches),
        involuntary=sum(_number(text, "nonvoluntary_ctxt_switches:") for text in switches),
        threads=len(tasks),
        processes=1,
    )


def _number(text: str, name: str) -> int:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)
