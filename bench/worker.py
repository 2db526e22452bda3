"""The harness's side of a contestant: its process, orders to it, answers from it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from bench.contestant import Answer, Order
from bench.samples import ContestantFailed

ROOT: Final = Path(__file__).resolve().parent.parent
ANSWER_S: Final = 240.0
"""Longest wait for one answer: a contestant that hangs is a failure with a reason, not a run without an end."""
CLOSE_S: Final = 10.0


class Worker:
    """A running contestant.

    Args:
        kind: A key of ``contestant.KINDS``.
        *args: For that module.
        name: What it is called in messages; empty: its kind.
        env: Variables besides those of ``clean_env``.
        profile: Run it under cProfile, which writes there when it ends.

    Raises:
        ContestantFailed: it did not come up.
    """

    def __init__(
        self, kind: str, *args: str, name: str = "", env: Mapping[str, str] | None = None, profile: str | None = None
    ) -> None:
        self.name = name or kind
        self._decoder = msgspec.json.Decoder(Answer)
        self._owed = 0
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        module = ["bench.profiled_contestant", profile] if profile else ["bench.contestant"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", *module, kind, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, cwd=ROOT,
            env=clean_env() | dict(env or {}),
        )  # fmt: skip
        try:
            self._owed += 1
            self._answer()
        except BaseException:
            self.close()
            raise

    def tell(self, order: Order) -> None:
        """Give an order; ``answer`` waits for the result."""
        assert self._process.stdin is not None
        while self._owed:  # left behind by a failure elsewhere
            self._answer()
        self._owed += 1
        try:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def answer(self) -> Answer:
        """The result of the order.

        Raises:
            ContestantFailed: it says so, it ended, or it said nothing for ``ANSWER_S``.
        """
        answer = self._answer()
        if answer.error:
            raise ContestantFailed(f"{self.name}: {answer.error}")
        return answer

    def ask(self, order: Order) -> Answer:
        """Order and result."""
        self.tell(order)
        return self.answer()

    def close(self) -> None:
        """End it; it closes its connection first."""
        process = self._process
        if process.stdin is not None:
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass  # it is gone already
        try:
            process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._words.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self) -> Answer:
        assert self._process.stdout is not None
        line = _read_line(self._process.stdout.fileno(), time.monotonic() + ANSWER_S)
        self._owed -= 1
        if line is None:
            self._process.kill()  # a late answer would be taken for that of a later order
            raise ContestantFailed(f"{self.name}: no answer within {ANSWER_S:g} s")
        if not line:
            raise self._ended()
        return self._decoder.decode(line)

    def _ended(self) -> ContestantFailed:
        self._words.seek(0)
        words = self._words.read().decode(errors="replace").strip().splitlines()
        return ContestantFailed(f"{self.name} ended: {words[-1] if words else 'without a word'}")


def clean_env() -> dict[str, str]:
    """This environment without what would change the behaviour of Holdfast or of Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "PYTHON"))}


def _read_line(fd: int, deadline: float) -> bytes | None:
    """One line, ``b""`` at the end of the file, None after the deadline. Nothing follows a line unasked."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return None
        data = os.read(fd, 1 << 16)
        if not data:
            return b""
        line += data
    return line
