"""Making shims: a directory, files, pipes and sockets, and a fork of the keeper that lives on them."""

from __future__ import annotations

import gc
import os
import resource
import time

from holdfast.keeper import loop as loops
from holdfast.keeper import shim, sockets, tender
from holdfast.store import control

_CRASHED = 70
"""Exit status of a shim that met a mistake of our own (EX_SOFTWARE, sysexits.h); its job is adopted."""
_FILES = ("ctl", "out", "err", "in", "sock")


class Child:
    """A living shim, seen from the keeper: its id, and our duplicates of what its job depends on."""

    __slots__ = ("err_pipe", "line", "listener", "out_pipe", "pid", "ready", "shim", "stdin")

    def __init__(self, name: str, pid: int, place: tender.Place, line: sockets.Socket) -> None:
        self.shim = name
        self.pid = pid
        self.out_pipe = place.out_pipe
        self.err_pipe = place.err_pipe
        self.listener = place.listener
        self.line = line
        self.ready = False
        self.stdin: tuple[int, int] | None = None

    def drop_stdin(self) -> None:
        """Closes our duplicates of the job's stdin."""
        if self.stdin is not None:
            for fd in self.stdin:
                os.close(fd)
            self.stdin = None

    def close(self) -> None:
        """Closes the duplicates, if nobody adopts with them."""
        self.drop_stdin()
        self.listener.close()
        os.close(self.out_pipe)
        os.close(self.err_pipe)


class Nursery:
    """Where shims come from. ``directory`` is the open ``shims/``."""

    def __init__(self, state_dir: str, boot_id: bytes) -> None:
        path = os.path.join(state_dir, "shims")
        os.makedirs(path, mode=0o700, exist_ok=True)
        self.directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._boot_id = boot_id
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # a keeper needs more than the commands get
        wanted = os.environ.get("HOLDFAST_COMMAND_NOFILE", "")  # an agent has raised its own, and we inherit that
        self._limits = (min(int(wanted), hard) if wanted.isdigit() else soft, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._limits[1], self._limits[1]))
        self._core = _without_core()
        self._count = 0

    def fork(self) -> Child:
        """A new shim. It is alive when this returns, and ready when it has said so.

        Raises:
            OSError: something is exhausted; nothing is left behind.
        """
        self._count += 1
        name = f"{time.time_ns():x}-{os.getpid():x}-{self._count:x}"
        opened: list[int] = []
        lines: list[sockets.Socket] = []
        try:
            place, ours, theirs = self._make_place(name, opened, lines)
            gc.freeze()
            pid = os.fork()
        except BaseException:
            for fd in opened:
                os.close(fd)
            for one in lines:
                one.close()
            self.remove(name)
            raise
        if pid == 0:
            self._become_shim(place, theirs)
        for fd in (place.directory, place.ctl, place.out, place.err):
            os.close(fd)
        theirs.close()
        return Child(name, pid, place, ours)

    def remove(self, name: str) -> None:
        """Removes a shim's directory with the files that we know of."""
        try:
            directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.directory)
        except OSError:  # the agent was faster
            return
        try:
            for file in _FILES:
                try:
                    os.unlink(file, dir_fd=directory)
                except FileNotFoundError:
                    pass
            os.rmdir(name, dir_fd=self.directory)
        except OSError as exc:
            loops.complain(f"cannot remove the directory of shim {name}: {exc}")
        finally:
            os.close(directory)

    def there(self) -> set[str]:
        """The ids of all shims that have a directory."""
        return set(os.listdir(self.directory))

    def _make_place(
        self, name: str, opened: list[int], lines: list[sockets.Socket]
    ) -> tuple[tender.Place, sockets.Socket, sockets.Socket]:
        os.mkdir(name, 0o700, dir_fd=self.directory)
        opened.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.directory))
        opened.append(control.create("ctl", dir_fd=opened[0]))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        for spool in ("out", "err"):
            opened.append(os.open(spool, flags, 0o600, dir_fd=opened[0]))
        for _ in range(2):
            read, write = os.pipe()
            os.close(write)
            opened.append(read)
        listener = sockets.listen(f"/proc/self/fd/{opened[0]}/sock", 8)  # short, wherever the state directory lies
        lines += (listener, *sockets.packet_pair())
        directory, ctl, out, err, out_pipe, err_pipe = opened
        return tender.Place(directory, ctl, out_pipe, err_pipe, out, err, listener), lines[1], lines[2]

    def _become_shim(self, place: tender.Place, line: sockets.Socket) -> None:
        """In the child; never returns. The keeper's objects stay referenced, so none of them closes a descriptor."""
        try:
            os.setsid()
            kept = sorted((0, 1, 2, *place[:6], place.listener.fileno(), line.fileno()))
            for below, above in zip(kept, [*kept[1:], self._limits[1]], strict=True):
                os.closerange(below + 1, above)
            resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)
            resource.setrlimit(resource.RLIMIT_CORE, self._core)
            shim.run(place, line, self._boot_id)
        except BaseException:
            loops.complain_of_exception()
            os._exit(_CRASHED)
        os._exit(0)


def _without_core() -> tuple[int, int]:
    """No core of the keeper: it would hold the environment and input of jobs. Gives the limits that commands get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    wanted = os.environ.get("HOLDFAST_COMMAND_CORE", "")  # an agent has lowered its own, and we inherit that
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if not wanted.removeprefix("-").isdigit():
        return soft, hard
    number = int(wanted)  # -1 is RLIM_INFINITY
    return (number if hard == resource.RLIM_INFINITY or 0 <= number <= hard else hard), hard
