"""The command of the tests: run as a program it leaves one line for its start, writes both channels, and ends as told.

``pieces`` runs twice, in the command and in the test that knows what must come, and never in the code under test.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator


def pieces(seed: int, count: int, most: int) -> Iterator[tuple[int, bytes, float]]:
    """``count`` pieces of up to ``most`` bytes: channel, bytes, and a number from 0 to 1 for the pause after it."""
    generator = random.Random(seed)
    for _ in range(count):
        size = generator.choice((1, 7, 100, most // 8 + 1, most))
        yield 1 + (generator.random() < 0.3), generator.randbytes(generator.randrange(size) + 1), generator.random()


def main(seed: int, count: int, most: int, pause_s: float, code: int, starts: str) -> None:
    """Be the command. ``code``: exit code, or minus the signal to die of."""
    fd = os.open(starts, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, b"%d\n" % seed)
    os.close(fd)
    for channel, data, chance in pieces(seed, count, most):
        while data:
            data = data[os.write(channel, data) :]
        if chance < 0.3:
            time.sleep(chance * pause_s)
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
