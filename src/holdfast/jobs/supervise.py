"""The agent's side of keeper and shims: sockets to them, the pool of idle shims, and nothing that decides about jobs.

Rules of this module:

* A shim serves one job at a time and is idle again right after RELEASE, so RUN may follow it in the same breath.
* Messages to a shim are small; whatever its socket does not take at once waits here and goes out when it can.
* A shim's end is told twice: its socket closes, and its keeper says what became of its job. Only the keeper's word
  (or the absence of any keeper) says whether a command ran.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from functools import partial
from typing import Final, Protocol

from holdfast.keeper import messages
from holdfast.store import control
from holdfast.store.files import CHANNEL_NAMES
from holdfast.store.spool import Spool
from holdfast.types import ShimId

WARM_SHIMS: Final = 4
"""Idle shims kept ready: a start costs one spawn, not two forks."""
IDLE_SHIMS: Final = 128
"""Most idle shims between two sweeps; a burst finds them warm again, and each is 0.6 MiB at the most."""
BYE_S: Final = 2.0
"""How long the last word to a busy keeper may take."""
ASK_AGAIN_S: Final = 0.02
"""When a keeper whose queue is full is asked again."""
RELEASE_S: Final = 0.25
"""How long RELEASE may wait to go out together with the shim's next job: one wake-up of the shim less a job."""
SWEEP_S: Final = 5.0
"""How often surplus idle shims are sent home."""
_RECEIVE_BYTES: Final = 64 * 1024


class Watcher(Protocol):
    """What a crew tells the rooms above it."""

    def shim_ready(self, shim: Shim, state: messages.State) -> None:
        """A shim is connected and says what it is doing; an idle one is in the pool already."""

    def shim_said(self, shim: Shim, message: messages.FromShim) -> None:
        """STARTED, GREW, EXITED, STUCK or REJECTED."""

    def shim_closed(self, shim: Shim) -> None:
        """A shim's socket closed; the keeper's word follows if there is a keeper."""

    def shim_died(self, shim: ShimId, *, adopted: bool) -> None:
        """The keeper's word about a shim that ended."""

    def keeper_closed(self) -> None:
        """The keeper is gone; jobs go on under their shims."""


class Shim:
    """One shim as the agent sees it: a directory, a socket, and the scratch spools it writes.

    Attributes:
        id: Its name, that of its directory.
        directory: Absolute path.
        job: Whatever the room above put there: its job while it has one.
        keeperless: Its keeper is gone, so it is not used for another job.
    """

    __slots__ = (
        "_crew",
        "_out",
        "_reader",
        "_sock",
        "_spools",
        "directory",
        "id",
        "idle",
        "job",
        "keeperless",
        "state",
        "unsaid",
    )

    def __init__(self, crew: Crew, shim: ShimId, directory: str, sock: socket.socket) -> None:
        self.id = shim
        self.directory = directory
        self.job: object | None = None
        self.state: messages.State | None = None
        self.keeperless = False
        self.idle = False
        self.unsaid = b""
        self._crew = crew
        self._sock = sock
        self._reader = messages.Reader()
        self._out: deque[bytes] = deque()
        self._spools: dict[int, Spool] = {}

    def send(self, message: messages.ToShim) -> None:
        """Send, or keep until the socket takes it. A shim that is gone takes nothing; its end is told elsewhere."""
        self.send_framed(messages.frame(message))

    def send_framed(self, data: bytes) -> None:
        """As ``send``, with the frame made already. An order held back goes first, in the same write."""
        if self.unsaid:
            data, self.unsaid = self.unsaid + data, b""
        if self._out:
            self._out.append(data)
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(data):
            self._out.append(data[sent:])
            self._crew.loop.add_writer(self._sock, self._flush)

    def spool(self, channel: int) -> Spool:
        """The scratch spool of channel 1 or 2, open for reading; it stays this object's.

        Raises:
            StorageError: it cannot be opened.
        """
        spool = self._spools.get(channel)
        if spool is None:
            spool = self._spools[channel] = Spool.open(self.spool_path(channel))
        return spool

    def spool_path(self, channel: int) -> str:
        """Where the scratch spool of a channel lies."""
        return os.path.join(self.directory, CHANNEL_NAMES[channel])

    def give_up_spool(self, channel: int) -> Spool | None:
        """An open scratch spool that is being taken over; from now on it is the caller's."""
        return self._spools.pop(channel, None)

    def close_spools(self) -> None:
        """Nobody reads this job here any more; an idle shim holds no descriptor of ours but its socket."""
        for spool in self._spools.values():
            spool.close()
        self._spools.clear()

    def close(self) -> None:
        """Forget the shim; nothing is told to it."""
        if self._sock.fileno() >= 0:
            self._crew.loop.remove_reader(self._sock)
            self._crew.loop.remove_writer(self._sock)
            self._sock.close()
        self.close_spools()

    def on_readable(self) -> None:
        """Take all that the shim says; called by the loop.

        All of it: where the other side goes with words of ours unread, the socket is in error (ECONNRESET behind its
        last words). libuv tells that once and watches no more (uv__poll_io): who stops there never hears of the end.
        """
        while self._sock.fileno() >= 0:
            try:
                data = self._sock.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._crew.lose(self)
                return
            try:
                heard = self._reader.feed(data)
            except ValueError as exc:
                self._crew.distrust(self, exc)
                return
            for message in heard:
                try:
                    self._crew.hear(self, message)  # type: ignore[arg-type]
                except Exception as exc:  # the words that follow it must be heard all the same
                    self._crew.complain(f"what shim {self.id} said was not dealt with", exc)

    def _flush(self) -> None:
        out = self._out
        while out:
            try:
                sent = self._sock.send(out[0])
            except BlockingIOError:
                return
            except OSError:
                out.clear()
                break
            if sent < len(out[0]):
                out[0] = out[0][sent:]
                return
            out.popleft()
        if self._sock.fileno() >= 0:
            self._crew.loop.remove_writer(self._sock)


class Crew:
    """Keeper and shims of one agent."""

    def __init__(self, loop: asyncio.AbstractEventLoop, state_dir: str, watcher: Watcher) -> None:
        self.loop = loop
        self.shims: dict[ShimId, Shim] = {}
        self.keeper_pid: int | None = None
        self._shims_dir = os.path.join(state_dir, "shims")
        self._watcher = watcher
        self._keeper: socket.socket | None = None
        self._idle: list[Shim] = []
        self._wanted = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._coming: set[ShimId] = set()
        self._needed = 0
        self._unsaid: list[Shim] = []
        self._unsaid_timer: asyncio.TimerHandle | None = None

    # --- the keeper --------------------------------------------------------------------------------------------------

    def join(self, keeper: socket.socket, keeper_pid: int | None) -> None:
        """Work with this keeper from now on; what it has said already is heard before this returns."""
        keeper.setblocking(False)
        self._keeper = keeper
        self.keeper_pid = keeper_pid
        self._wanted = 0
        self.loop.add_reader(keeper, self._on_keeper)
        self._on_keeper()
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)

    def keeps(self, shim: ShimId) -> bool:
        """Whether the present keeper forked this shim: the middle part of an id is its keeper's process id."""
        parts = shim.split("-")
        return self.keeper_pid is not None and len(parts) == 3 and parts[1] == f"{self.keeper_pid:x}"

    def want(self, number: int) -> None:
        """See to it that ``number`` shims more are idle or on their way."""
        if number <= self._wanted + len(self._idle):
            return
        if not self._needed:
            self.loop.call_soon(self._ask_keeper)  # once a turn of the loop: a crowd of jobs asks with one message
        self._needed = max(self._needed, number)

    def _ask_keeper(self) -> None:
        number, self._needed = self._needed, 0
        missing = number - self._wanted - len(self._idle)
        if missing <= 0 or self._keeper is None:
            return
        if self._tell_keeper(messages.Want(missing)):
            self._wanted += missing
        else:  # it is busy forking, and what it was asked for comes first
            self._needed = number
            self.loop.call_later(ASK_AGAIN_S, self._ask_keeper)

    def _arrived(self, shim: ShimId) -> None:
        """A wanted shim is idle, or will never be."""
        if shim in self._coming:
            self._coming.discard(shim)
            self._wanted -= 1

    def bye(self) -> None:
        """The agent ends in order: idle shims end, busy ones finish, then the keeper leaves."""
        if self._keeper is not None:
            self._keeper.setblocking(True)  # the last word must arrive, even if it is busy
            self._keeper.settimeout(BYE_S)
            self._tell_keeper(messages.Bye())

    def _tell_keeper(self, message: messages.ToKeeper) -> bool:
        """False if it did not take the message; its end, if that is why, is told by the reader."""
        if self._keeper is None:
            return False
        try:
            self._keeper.send(messages.encode(message))
        except OSError:
            return False
        return True

    def _on_keeper(self) -> None:
        while self._keeper is not None:
            try:
                packet = self._keeper.recv(messages.MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._keeper_closed()
                return
            try:
                self._hear_keeper(messages.decode(packet))
            except Exception as exc:
                self.complain("what the keeper said was not dealt with", exc)

    def _hear_keeper(self, message: messages.Message) -> None:
        if isinstance(message, messages.Forked):
            if self._wanted > len(self._coming):
                self._coming.add(ShimId(message.shim))  # it counts as wanted until it says that it is idle
            if not self.connect(ShimId(message.shim)):
                self._arrived(ShimId(message.shim))
        elif isinstance(message, messages.Died):
            shim = self.shims.get(ShimId(message.shim))
            if shim is not None:  # of an adopted job, too: this socket is the dead one's and may not have closed yet
                shim.on_readable()
                self.lose(shim)
            self._watcher.shim_died(ShimId(message.shim), adopted=message.adopted)
        elif isinstance(message, messages.ForkFailed):
            self._wanted = max(len(self._coming), self._wanted - message.number)
            if message.errno:
                self.loop.call_later(1.0, self.want, 1)
        elif isinstance(message, messages.Hello):
            self.keeper_pid = message.keeper_pid

    def _keeper_closed(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        self.loop.remove_reader(keeper)
        keeper.close()
        self.keeper_pid = None
        for shim in list(self.shims.values()):
            shim.keeperless = True
        for shim in self._idle:
            shim.idle = False
            shim.send(messages.Retire())
        self._idle.clear()
        self._wanted = 0
        self._coming.clear()
        self._watcher.keeper_closed()

    # --- shims -------------------------------------------------------------------------------------------------------

    def connect(self, shim_id: ShimId, *, keeperless: bool = False) -> bool:
        """Connect to a shim (or to the keeper that tends its job); False when nobody serves its socket."""
        if shim_id in self.shims:
            return True
        directory = os.path.join(self._shims_dir, shim_id)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:  # the socket's own path may be longer than the 107 bytes of an address
                sock.connect(f"/proc/self/fd/{dir_fd}/sock")
            finally:
                os.close(dir_fd)
        except OSError as exc:
            sock.close()
            if exc.errno == errno.EAGAIN:  # its backlog is full: it lives
                self.loop.call_later(0.05, partial(self.connect, shim_id, keeperless=keeperless))
                return True
            return False
        shim = self.shims[shim_id] = Shim(self, shim_id, directory, sock)
        shim.keeperless = keeperless
        self.loop.add_reader(sock, shim.on_readable)
        return True

    def take_idle(self) -> Shim | None:
        """An idle shim, the one used last (its memory is warm), or None."""
        if not self._idle:
            return None
        shim = self._idle.pop()
        shim.idle = False
        return shim

    def put_back(self, shim: Shim) -> None:
        """A shim that was taken but not used."""
        shim.job = None
        shim.idle = True
        self._idle.append(shim)

    def release(self, shim: Shim, job: str, attempt: int, *, taken: int = 0, last: bool = False) -> bool:
        """The shim's job is recorded; True if the shim is idle now, False if it goes home.

        ``last``: it stays with what its job has left running, and takes no other.
        """
        shim.job = None
        shim.close_spools()
        release = messages.frame(messages.Release(job, attempt, taken))
        adopter = shim.state is not None and shim.state.supervisor == control.BY_KEEPER  # the shim itself is dead
        if last or adopter or shim.keeperless or len(self._idle) >= IDLE_SHIMS or self._keeper is None:
            shim.send_framed(release + messages.frame(messages.Retire()))
            return False
        shim.unsaid = release
        self._unsaid.append(shim)
        if self._unsaid_timer is None:
            self._unsaid_timer = self.loop.call_later(RELEASE_S, self._say_unsaid)
        shim.idle = True
        self._idle.append(shim)
        return True

    def hear(self, shim: Shim, message: messages.FromShim) -> None:
        """One message of a shim."""
        if isinstance(message, messages.State):
            first = shim.state is None
            shim.state = message
            self._arrived(shim.id)
            if first and message.stage == messages.IDLE:
                if shim.keeperless or self._keeper is None or len(self._idle) >= IDLE_SHIMS:
                    shim.send(messages.Retire())
                    return
                shim.idle = True
                self._idle.append(shim)
            self._watcher.shim_ready(shim, message)
        else:
            self._watcher.shim_said(shim, message)

    def lose(self, shim: Shim) -> None:
        """A shim's socket closed."""
        if self.shims.get(shim.id) is not shim:
            return
        del self.shims[shim.id]
        self._arrived(shim.id)
        if shim.idle:
            self._idle.remove(shim)
        self._watcher.shim_closed(shim)
        shim.close()

    def distrust(self, shim: Shim, reason: ValueError) -> None:
        """What it says cannot be read any further: a new connection tells all that counts again."""
        self.complain(f"the connection to shim {shim.id} is made anew", reason)
        self.lose(shim)
        self.connect(shim.id, keeperless=shim.keeperless)

    def complain(self, text: str, exc: Exception) -> None:
        """A mistake of somebody's, for the log; work goes on."""
        self.loop.call_exception_handler({"message": text, "exception": exc})

    @property
    def idle_count(self) -> int:
        """Shims that wait for a job."""
        return len(self._idle)

    def close(self) -> None:
        """Say what was held back, and let go of all sockets."""
        if self._unsaid_timer is not None:
            self._unsaid_timer.cancel()
        self._say_unsaid()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for shim in list(self.shims.values()):
            shim.close()
        self.shims.clear()
        if self._keeper is not None:
            self.loop.remove_reader(self._keeper)
            self._keeper.close()
            self._keeper = None

    def _say_unsaid(self) -> None:
        self._unsaid_timer = None
        shims, self._unsaid = self._unsaid, []
        for shim in shims:
            if shim.unsaid:
                shim.send_framed(b"")

    def _sweep(self) -> None:
        self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)
        while len(self._idle) > WARM_SHIMS:
            shim = self._idle.pop(0)
            shim.idle = False
            shim.send(messages.Retire())


def shim_directories(state_dir: str) -> list[ShimId]:
    """The shims that have a directory, living or not."""
    try:
        return [ShimId(name) for name in sorted(os.listdir(os.path.join(state_dir, "shims")))]
    except FileNotFoundError:
        return []


def keeper_lives(shim: ShimId) -> bool:
    """Whether the keeper that forked this shim, whichever it is, is there (its process id is in the shim's id)."""
    try:
        pid = int(shim.split("-")[1], 16)
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"keeper/__main__.py" in file.read()
    except (IndexError, ValueError, OSError):
        return False


def tended(state_dir: str, shim: ShimId) -> tuple[control.Slots, bool]:
    """The slots of a shim's control file, and whether somebody (the shim, or the keeper) tends its job.

    Raises:
        OSError: there is no control file, or it cannot be read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(os.path.join(state_dir, "shims", shim, "ctl"), flags)
    try:
        return control.read(fd), control.is_locked(fd)
    finally:
        os.close(fd)
