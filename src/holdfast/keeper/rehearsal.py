"""Jobs that the keeper runs in its own process before it forks: what running changes in memory, all shims then share.

A page of memory is shared between the forks of a process until one of them writes to it, and the interpreter writes
where a program merely runs: it specialises instructions (PEP 659), and fills caches of attributes and types. Each shim
would do that for itself and pay for the pages. So the keeper plays the shim before its first fork, with real commands,
a real connection and the shim's own code.

Nothing of it is on disk: control file and spools are anonymous (memfd_create(2)), the socket has an abstract address
(unix(7)), so a keeper that is killed meanwhile leaves nothing behind.
"""

from __future__ import annotations

import os

from holdfast.keeper import linux, messages, shim, sockets, tender
from holdfast.keeper import loop as loops

JOBS = 12
"""Python 3.11 looks at a function when it is called for the eighth time, and from then on at each instruction."""
_LONGEST_NS = 1_000_000_000
_ENV = (b"PATH=/usr/bin:/bin", b"HOME=/", b"LANG=C.UTF-8")


def rehearse(boot_id: bytes, *, jobs: int = JOBS) -> None:
    """Plays a shim and forgets it; takes about a millisecond for each job.

    To be called by a process that has no children, while its own loop is not turning.

    Args:
        boot_id: As in CLAIM.
        jobs: How many to run.

    Raises:
        OSError: something is exhausted or forbidden. Shims work as well without a rehearsal, they are only larger.
    """
    loop = loops.Loop()
    line, keeper = sockets.packet_pair()
    try:
        played = shim.Shim(loop, _make_place(), keeper, boot_id)
        try:
            _play(played, jobs)
        finally:
            played.close()
    finally:
        keeper.close()
        line.close()
        loop.close()


def _make_place() -> tender.Place:
    opened: list[int] = []
    try:
        opened.extend(os.memfd_create(name, os.MFD_CLOEXEC) for name in ("ctl", "out", "err"))
        for _ in range(2):
            read, write = os.pipe()
            os.close(write)
            opened.append(read)
        opened.append(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        listener = sockets.listen("", 1)  # no name: the kernel finds an abstract one
    except BaseException:
        for fd in opened:
            os.close(fd)
        raise
    ctl, out, err, out_pipe, err_pipe, directory = opened
    return tender.Place(directory, ctl, out_pipe, err_pipe, out, err, listener)


def _play(played: shim.Shim, jobs: int) -> None:
    give_up = linux.boot_ns() + _LONGEST_NS
    agent = sockets.connect(played.place.listener.getsockname())
    try:
        reader = messages.Reader()
        released = b""
        for number in range(jobs):
            job = f"rehearsal{number}"
            argv = (b"echo", b"rehearsal") if number % 2 else (b"true",)
            agent.send(released + messages.frame(messages.Run(job, 1, argv, _ENV)))
            while not any(isinstance(message, messages.Exited) for message in _heard(agent, reader)):
                if linux.boot_ns() > give_up:
                    raise TimeoutError("the rehearsal takes too long; shims will be larger")
                played.turn(give_up)
            released = messages.frame(messages.Release(job, 1))
    finally:
        agent.close()


def _heard(agent: sockets.Socket, reader: messages.Reader) -> list[messages.Message]:
    try:
        return reader.feed(agent.recv(messages.MAX_PACKET_BYTES))
    except BlockingIOError:
        return []
