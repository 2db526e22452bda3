"""Commands whose every effect is known beforehand: bytes of both channels, status, and one line for each start."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.e2e.harness import writer

PYTHON = [sys.executable, "-IS"]
PROGRAM = [*PYTHON, "-c"]


class Work(NamedTuple):
    """One command that writes so many pieces of up to ``most`` bytes and ends with ``code`` (negative: a signal)."""

    seed: int
    starts: Path
    pieces: int = 40
    most: int = 4000
    pause_s: float = 0.0
    code: int = 0

    @classmethod
    def drawn(cls, seed: int, starts: Path, *, pieces: int = 40, most: int = 4000, pause_s: float = 0.0) -> Work:
        """With a status that the seed decides: mostly codes, sometimes a signal."""
        code = random.Random(-seed - 1).choice((0, 1, 2, 77, 123, 200, 255, -9, -15, -10))
        return cls(seed, starts, pieces, most, pause_s, code)

    @property
    def argv(self) -> list[str]:
        """The command line."""
        numbers = (self.seed, self.pieces, self.most, self.pause_s, self.code)
        return [*PYTHON, writer.__file__, *map(str, numbers), os.fspath(self.starts)]

    @property
    def expected(self) -> tuple[bytes, bytes]:
        """stdout and stderr."""
        channels = bytearray(), bytearray()
        for channel, data, _ in writer.pieces(self.seed, self.pieces, self.most):
            channels[channel - 1].extend(data)
        return bytes(channels[0]), bytes(channels[1])


def starts(path: Path) -> Counter[str]:
    """How often each command was started: the lines of the file that they append to."""
    return Counter(path.read_text().split()) if path.exists() else Counter()
