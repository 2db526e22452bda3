"""The loop of keeper and shim: poll(2), and the deaths of children as one more readable descriptor.

poll rather than epoll: a pipe without a writer reports POLLHUP for ever, and taking it out of a poll set costs no
system call, so an idle shim simply does not watch its pipes.
"""

from __future__ import annotations

import os
import select
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[int], None]

READABLE, WRITABLE = select.POLLIN, select.POLLOUT
HUNG_UP, BROKEN = select.POLLHUP, select.POLLERR

_LONGEST_SLEEP_NS = 60_000_000_000
"""poll counts time without the machine's sleep, deadlines count it: look again at least once a minute."""


class Loop:
    """Handlers by descriptor, and one for SIGCHLD. Of a process's loops the newest hears it (signal.set_wakeup_fd).

    Attributes:
        on_child: Called after children have died.
    """

    def __init__(self) -> None:
        self.on_child: Callable[[], None] | None = None
        self._poll = select.poll()
        self._handlers: dict[int, Handler] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._poll.register(self._wake_read, READABLE)

    def close(self) -> None:
        """Gives the deaths of children back to the loop that heard of them before."""
        signal.set_wakeup_fd(self._before, warn_on_full_buffer=False)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Calls ``handler(events)`` when something of ``events`` (or a hang-up or error) is there."""
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def unwatch(self, fd: int) -> None:
        """Forgets a descriptor, before it is closed; unknown ones are ignored."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def turn(self, timeout_ns: int | None) -> None:
        """Waits for events, at most so long (None: for ever), and handles them; deaths of children last.

        Output is handled before the death of its writer, so a short job needs no second look at its pipes. What a
        handler raises is written to stderr and ends the turn's other events only if it is not an ``Exception``.
        """
        if timeout_ns is None:
            timeout_ms = None
        else:  # rounded up: waking before the deadline would spin
            timeout_ms = max(0, -(-min(timeout_ns, _LONGEST_SLEEP_NS) // 1_000_000))
        child = False
        for fd, events in self._poll.poll(timeout_ms):
            if fd == self._wake_read:
                child = True
                continue
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)
        if child:
            os.read(self._wake_read, 4096)  # before looking: a death after this look wakes us again
            if self.on_child is not None:
                self.on_child()


def complain(text: str) -> None:
    """One line of our own words into the log (stderr)."""
    try:
        os.write(2, f"holdfast keeper[{os.getpid()}]: {text}\n".encode(errors="backslashreplace"))
    except OSError:
        pass  # the log is full or gone: jobs matter more


def complain_of_exception() -> None:
    """The exception being handled, with its traceback, into the log."""
    sys.__excepthook__(*sys.exc_info())


def note_children() -> None:
    """Makes the deaths of children wake the loop of this process; a fork inherits it.

    The handler does nothing, but there must be one for the wake-up descriptor to be written (signal.set_wakeup_fd).
    """
    signal.signal(signal.SIGCHLD, _noted)


def _noted(signum: int, frame: object) -> None:
    pass
