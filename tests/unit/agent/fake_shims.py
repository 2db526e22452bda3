"""A keeper and shims as sockets and files, driven by the test: every word of theirs is said on purpose."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast.keeper import messages
from holdfast.store import control

_FLOCK = struct.Struct("hhqqi4x")
_ENDS = itertools.count(1_699_990_001)
"""One job ends after the other."""


class FakeShim:
    """One shim: a directory with its files, a listening socket, and what the agent has said on it.

    Attributes:
        heard: Messages of the agent, oldest first.
        run: The job it was given last.
        stage: What STATE tells.
        retired: RETIRE was heard while nothing was left to do; the directory is then the keeper's to remove.
    """

    def __init__(self, shims_dir: Path, name: str) -> None:
        self.id = name
        self.directory = shims_dir / name
        self.directory.mkdir(parents=True, mode=0o700)
        self.ctl = control.create(str(self.directory / "ctl"))
        self._lock()
        for spool in ("out", "err"):
            (self.directory / spool).touch(mode=0o600)
        self.heard: list[messages.Message] = []
        self.run: messages.Run | None = None
        self.stage = messages.IDLE
        self.lengths = [0, 0, 0]
        self.supervisor = control.BY_SHIM
        self.exit_slot: bytes | None = None
        self.obeys_release = True
        self._listener: socket.socket | None = None
        self._conn: socket.socket | None = None
        self._reader = messages.Reader()
        self.listen()

    def _lock(self) -> None:
        """A lock of the open file, which a look at the process's own locks does see (fcntl(2), F_OFD_SETLK)."""
        fcntl.fcntl(self.ctl, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))

    def listen(self) -> None:
        """Serve ``sock``."""
        path = self.directory / "sock"
        path.unlink(missing_ok=True)
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.setblocking(False)
            self._listener.bind(f"/proc/self/fd/{directory}/sock")
            self._listener.listen(8)
        finally:
            os.close(directory)

    def pump(self) -> bool:
        """Accept and read; whether anything happened."""
        active = False
        if self._listener is not None:
            try:
                conn, _ = self._listener.accept()
            except BlockingIOError:
                pass
            else:
                active = True
                self._drop()
                conn.setblocking(False)
                self._conn, self._reader = conn, messages.Reader()
                self.say(self.state())
                if self.exit_slot is not None:
                    self.say(messages.Exited(self.exit_slot))
        while self._conn is not None:
            try:
                data = self._conn.recv(65536)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data = b""
            active = True
            if not data:
                self._drop()
                break
            for message in self._reader.feed(data):
                self.heard.append(message)
                self._obey(message)
        return active

    def _obey(self, message: messages.Message) -> None:
        if isinstance(message, messages.Run):
            self.run, self.stage = message, messages.STARTING
        elif isinstance(message, messages.Release) and self.obeys_release:
            control.erase(self.ctl)
            for name, mark in (("out", messages.TAKEN_OUT), ("err", messages.TAKEN_ERR)):
                if message.taken & mark:
                    (self.directory / name).touch(mode=0o600)
                else:
                    os.truncate(self.directory / name, 0)
            (self.directory / "in").unlink(missing_ok=True)
            self.stage, self.exit_slot, self.lengths = messages.IDLE, None, [0, 0, 0]

    def state(self) -> messages.State:
        """What it says first on a connection."""
        run = self.run if self.stage != messages.IDLE else None
        return messages.State(
            4000, self.stage, run.job if run else "", run.attempt if run else 0,
            77 if self.stage >= messages.RUNNING else 0, self.lengths[1], self.lengths[2], 0, self.supervisor,
        )  # fmt: skip

    def say(self, message: messages.FromShim) -> None:
        """Tell the agent, if it is there."""
        if self._conn is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                self._conn.sendall(messages.frame(message))

    def say_bytes(self, data: bytes) -> None:
        """Any bytes."""
        assert self._conn is not None
        self._conn.sendall(data)

    # --- a job's life ------------------------------------------------------------------------------------------------

    def claim(self, **more: Any) -> None:
        """Write CLAIM."""
        assert self.run is not None
        control.write(self.ctl, control.Claim(self.run.job, self.run.attempt, **more))

    def start(self, *, told: bool = True, pid: int = 77) -> None:
        """CLAIM, spawn, STARTED."""
        self.claim()
        assert self.run is not None
        wall = 1_699_990_000_000_000_000
        control.write(self.ctl, control.Started(self.run.job, self.run.attempt, pid, wall))
        self.stage = messages.RUNNING
        if told:
            self.say(messages.Started(self.run.job, self.run.attempt, pid, wall))

    def write(self, channel: int, data: bytes, *, told: bool = True) -> None:
        """Output of the command."""
        with open(self.directory / ("in", "out", "err")[channel], "ab") as file:
            file.write(data)
        self.lengths[channel] += len(data)
        if told:
            self.say(messages.Grew(self.lengths[1], self.lengths[2]))

    def note(self, **facts: Any) -> None:
        """Write NOTE."""
        assert self.run is not None
        control.write(self.ctl, control.Note(self.run.job, self.run.attempt, **facts))

    def exit(
        self,
        code: int = 0,
        *,
        told: bool = True,
        signum: int = 0,
        cause: int | None = None,
        ended: float | None = None,
        **more: Any,
    ) -> None:
        """Write EXIT."""
        assert self.run is not None
        record = control.Exit(
            self.run.job,
            self.run.attempt,
            signum or code << 8,
            cause if cause is not None else (control.SIGNALED if signum else control.EXITED),
            out_bytes=self.lengths[1],
            err_bytes=self.lengths[2],
            started_wall_ns=1_699_990_000_000_000_000,
            ended_wall_ns=int((ended or next(_ENDS)) * 1e9),
            supervisor=self.supervisor,
            **more,
        )
        self.exit_slot = control.write(self.ctl, record)
        self.stage = messages.DONE
        if told:
            self.say(messages.Exited(self.exit_slot))

    def fail_start(self, *, errno_: int = errno.ENOENT, stage: int = control.AT_EXECUTABLE) -> None:
        """The command could not be started."""
        self.claim()
        assert self.run is not None
        record = control.Exit(
            self.run.job, self.run.attempt, None, control.START_FAILED, errno=errno_, stage=stage,
            ended_wall_ns=1_700_000_002_000_000_000,
        )  # fmt: skip
        self.exit_slot = control.write(self.ctl, record)
        self.stage = messages.DONE
        self.say(messages.Exited(self.exit_slot))

    # --- its end -----------------------------------------------------------------------------------------------------

    def _drop(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def die(self) -> None:
        """The process is gone: no lock, nobody at the socket. The files stay."""
        self._drop()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self.ctl >= 0:
            os.close(self.ctl)
            self.ctl = -1

    def be_adopted(self) -> None:
        """The keeper goes on with the job, on the same socket."""
        self.ctl = os.open(self.directory / "ctl", os.O_RDWR | os.O_CLOEXEC)
        self._lock()
        self.supervisor = control.BY_KEEPER
        self.listen()


class FakeKeeper:
    """The keeper's end of the packet socket. Forks shims when they are wanted, unless told to be ``lazy``."""

    def __init__(self, state_dir: Path, pid: int = 0xABC) -> None:
        self.pid = pid
        self.shims: list[FakeShim] = []
        self.heard: list[messages.Message] = []
        self.lazy = False
        self._shims_dir = state_dir / "shims"
        self._sock: socket.socket | None = None

    def socket(self) -> socket.socket:
        """A new socket for an agent; what lives is told on it at once."""
        self.close_socket()
        theirs, self._sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.setblocking(False)
        self.say(messages.Hello(self.pid, bytes(16)))
        for shim in self.shims:
            if shim.ctl >= 0 and shim.supervisor == control.BY_SHIM:
                self.say(messages.Forked(shim.id, 4000))
        return theirs

    def say(self, message: messages.Message) -> None:
        """Tell the agent."""
        if self._sock is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                self._sock.send(messages.encode(message))

    def fork(self) -> FakeShim:
        """A new shim, told to the agent."""
        shim = FakeShim(self._shims_dir, f"{1000 + len(self.shims):x}-{self.pid:x}-{len(self.shims):x}")
        self.shims.append(shim)
        self.say(messages.Forked(shim.id, 4000))
        return shim

    def bury(self, shim: FakeShim, *, adopted: bool) -> None:
        """Tell what became of a dead shim's job."""
        if adopted:
            shim.be_adopted()
        self.say(messages.Died(shim.id, 4000, 9, adopted))

    def pump(self) -> bool:
        """Read what the agent says; whether anything happened."""
        active = False
        while self._sock is not None:
            try:
                packet = self._sock.recv(messages.MAX_PACKET_BYTES)
            except (BlockingIOError, ConnectionResetError):
                break
            if not packet:
                break
            active = True
            message = messages.decode(packet)
            self.heard.append(message)
            if isinstance(message, messages.Want) and not self.lazy:
                for _ in range(message.number):
                    self.fork()
        for shim in self.shims:
            active = shim.pump() or active
        return active

    def close_socket(self) -> None:
        """As if the keeper had died."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def close(self) -> None:
        """Let go of everything."""
        self.close_socket()
        for shim in self.shims:
            shim.die()
