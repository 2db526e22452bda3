"""What the demo is made of: its voice, and a client process whose output is collected while it runs."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, TextIO

SHOWN_EVERY_S = 1.2
WIDEST = 86
"""Longest command that is shown whole, so that a line fits into a hundred columns."""


class BrokenPromise(Exception):
    """Something is not as it must be; the demo ends with code 1."""


def promise(kept: bool, text: str) -> None:
    """Go on only if this is so.

    Raises:
        BrokenPromise: it is not; ``text`` names what should have been.
    """
    if not kept:
        raise BrokenPromise(text)


class Stage:
    """Prints the story: one line a step, with the seconds since the beginning. Safe from several threads."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._color = out.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
        self._begin = time.monotonic()
        self._lock = threading.Lock()

    def heading(self, text: str) -> None:
        self._print(f"\n{self._paint('1', text)}")

    def tell(self, text: str) -> None:
        self._print(f"{self._clock()}  {text}")

    def accident(self, text: str) -> None:
        self._print(f"{self._clock()}  {self._paint('1;31', text)}")

    def typed(self, command: str) -> None:
        command = command if len(command) <= WIDEST else f"{command[: WIDEST - 4]} ..."
        self._print(f"{self._clock()}  {self._paint('1', f'$ {command}')}")

    def quote(self, text: str) -> None:
        self._print(f"          {self._paint('2', f'| {text}')}")

    def check(self, kept: bool, text: str) -> None:
        """Print a check that holds; a check that does not ends the demo."""
        promise(kept, text)
        self._print(f"      {self._paint('32', 'ok')}  {text}")

    def broken(self, text: str) -> None:
        self._print(f"\n{self._paint('1;31', 'BROKEN')}: {text}")

    def end(self, text: str) -> None:
        self._print(f"\n{self._paint('1;32', text)} {time.monotonic() - self._begin:.1f} seconds.")

    def _clock(self) -> str:
        return f"{time.monotonic() - self._begin:6.1f} s"

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text

    def _print(self, text: str) -> None:
        with self._lock:
            try:
                print(text, file=self._out, flush=True)
            except BrokenPipeError:  # whoever read the story has gone; it goes on unseen, and its exit code stays true
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())


class Client:
    """A running ``holdfast`` whose stdout and stderr are collected; our own words and a few lines are shown live.

    Attributes:
        process: The process.
        stdout: What it has written so far.
        stderr: The same for stderr.
    """

    def __init__(self, name: str, command: list[str], env: dict[str, str], stage: Stage) -> None:
        self.name = name
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._stage = stage
        self._grown = threading.Condition()
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._threads = [
            threading.Thread(
                target=self._collect, args=(self.process.stdout, self.stdout, self._show_sample), daemon=True
            ),
            threading.Thread(
                target=self._collect, args=(self.process.stderr, self.stderr, self._show_own_words), daemon=True
            ),
        ]
        self._shown_at = 0.0
        self._told = 0
        for thread in self._threads:
            thread.start()

    def wait_for(self, size: int, *, timeout_s: float = 30.0) -> None:
        """Wait until so many bytes of stdout are here.

        Raises:
            BrokenPromise: they did not come, or the client ended before.
        """
        deadline = time.monotonic() + timeout_s
        with self._grown:
            while len(self.stdout) < size:
                promise(
                    self._grown.wait(0.2) or self._threads[0].is_alive(),
                    f"the {self.name} lives to see byte {size} (it ended after {len(self.stdout)}; stderr: "
                    f"{bytes(self.stderr[-300:])!r})",
                )
                promise(time.monotonic() < deadline, f"byte {size} reaches the {self.name} within {timeout_s:g} s")

    def wait(self, *, timeout_s: float) -> int:
        """Its exit code, once everything it wrote is collected.

        Raises:
            BrokenPromise: it did not end in time.
        """
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise BrokenPromise(f"the {self.name} ends within {timeout_s:g} s") from None
        self._close()
        return code

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close()

    def _close(self) -> None:
        for thread in self._threads:
            thread.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _collect(self, stream: IO[bytes], into: bytearray, show: object) -> None:
        while data := os.read(stream.fileno(), 65536):
            with self._grown:
                into += data
                self._grown.notify_all()
            show()  # type: ignore[operator]

    def _show_sample(self) -> None:
        """The last whole line of stdout, about once a second."""
        now = time.monotonic()
        if now - self._shown_at >= SHOWN_EVERY_S:
            self._shown_at = now
            line = bytes(self.stdout[-200:]).rpartition(b"\n")[0].rpartition(b"\n")[2]
            self._stage.quote(line.decode("ascii", "replace")[:48] + " ...")

    def _show_own_words(self) -> None:
        """Lines of stderr that are Holdfast's own."""
        end = self.stderr.rfind(b"\n") + 1
        for line in bytes(self.stderr[self._told : end]).splitlines():
            if line.startswith(b"holdfast:"):
                self._stage.quote(line.decode("utf-8", "replace"))
        self._told = end


def processes_mentioning(text: str) -> list[int]:
    """Pids of living processes, other than this one, with ``text`` in their arguments or environment (proc(5))."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            data = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            continue
        if alive and text.encode() in data:
            found.append(int(entry.name))
    return found
