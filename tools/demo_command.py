"""The command of the demo: writes known lines at a steady pace, and leaves a mark for each time it was started.

    python demo_command.py SEED LINES SECONDS MARK_FILE

Line N of stdout is a digest of seed and number, so every byte can be foretold; stderr gets each hundredth line.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time

EXIT_CODE = 7
"""Not 0, so that nobody can mistake a made-up status for the true one."""


def line(seed: str, number: int) -> bytes:
    """Line ``number`` (from 1) of stdout, 72 bytes."""
    return b"%06d %s\n" % (number, hashlib.sha256(f"{seed}:{number}".encode()).hexdigest().encode())


def expected_stdout(seed: str, lines: int) -> bytes:
    """All that the command writes to stdout."""
    return b"".join(line(seed, number) for number in range(1, lines + 1))


def expected_stderr(seed: str, lines: int) -> bytes:
    """All that the command writes to stderr."""
    return b"".join(line(seed, number) for number in range(100, lines + 1, 100))


def main() -> int:
    seed, lines, seconds, mark_file = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    with open(mark_file, "ab") as mark:
        mark.write(b"started\n")
    begin = time.monotonic()
    for number in range(1, lines + 1):
        data = line(seed, number)
        os.write(1, data)  # at most a pipe's worth of one line: never a partial write (PIPE_BUF, pipe(7))
        if number % 100 == 0:
            os.write(2, data)
        ahead = begin + seconds * number / lines - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    return EXIT_CODE


if __name__ == "__main__":
    sys.exit(main())
