"""A thread for what must not hold up the connection's own: callbacks of users, and prints of workers."""

from __future__ import annotations

import codecs
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codecs import IncrementalDecoder
    from typing import TextIO


class Aside:
    """Does one thing after the other, in a thread that starts with the first of them.

    While the interpreter ends it may start none any more (Python 3.12.0 and 3.12.1): whoever waits then does it.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._acts: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._threadless = False
        self._closed = False

    def do(self, act: Callable[[], None]) -> None:
        """Do this after all that was given before. It must not raise. After ``close`` it is done by the caller."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._acts.put(act)
                if self._thread is None and not self._threadless:
                    self._start()
        if closed:
            act()

    def close(self) -> None:
        """Take nothing more; the thread ends when it has done what it was given."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._acts.put(None)

    def join(self) -> None:
        """Wait for the thread's end, after ``close``; at once in that thread itself."""
        with self._lock:  # it is known a moment before it is started
            thread = self._thread
        if self._threadless:
            self._work()
        elif thread is not None and thread is not threading.current_thread():
            thread.join()

    def stand_in(self) -> None:
        """Do what was given if there is no thread for it; to be called now and then until ``join``."""
        while self._threadless and not self._acts.empty():
            act = self._acts.get()
            if act is None:
                self._acts.put(None)  # closed meanwhile: ``join`` is to find it
                return
            act()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._threadless = True
        else:
            self._thread = thread

    def _work(self) -> None:
        while (act := self._acts.get()) is not None:
            act()
            del act  # nothing that was done is kept alive by waiting for the next


class Outlet:
    """Where the prints of one worker go: ``sys.stdout`` and ``sys.stderr`` as they are at that moment."""

    def __init__(self) -> None:
        self._decoders: dict[int, IncrementalDecoder] = {}

    def write(self, channel: int, data: bytes) -> None:
        """Write bytes of stdout (1) or stderr (2): as they are where that takes bytes, else as text.

        A stream that is closed, or that nobody reads any more, takes nothing, and nobody is told.
        """
        stream = sys.stdout if channel == 1 else sys.stderr
        if stream is None:
            return
        try:
            self._write(stream, channel, data)
        except (OSError, ValueError):
            pass

    def _write(self, stream: TextIO, channel: int, data: bytes) -> None:
        binary = getattr(stream, "buffer", None)
        if binary is not None:
            stream.flush()
            binary.write(data)
            binary.flush()
            return
        decoder = self._decoders.get(channel)
        if decoder is None:
            decoder = self._decoders[channel] = codecs.getincrementaldecoder("utf-8")("replace")
        stream.write(decoder.decode(data))
        stream.flush()
