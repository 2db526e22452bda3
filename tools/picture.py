"""Runs the demo under a terminal, records what it writes and when, and draws the picture of the README from it.

python -m tools.picture docs/images/demo.svg
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import time
from pathlib import Path

from tools import svg_terminal

COLUMNS, ROWS = 100, 60
PROGRAM = [sys.executable, "-m", "tools.demo"]
TITLE = "make demo"


def record(program: list[str]) -> tuple[list[tuple[float, bytes]], int]:
    """Run a program under a terminal of its own.

    Returns:
        What it wrote, in pieces with the seconds since the beginning, and its exit code (as ``waitpid`` has it decoded
        by ``os.waitstatus_to_exitcode``).
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("NO_COLOR", None)
        os.execv(program[0], program)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    begin = time.monotonic()
    chunks = []
    while data := _read(terminal):
        chunks.append((time.monotonic() - begin, data))
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    os.close(terminal)
    return chunks, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux answers EIO once the last process has closed the other side (pty(7))
        return b""


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m tools.picture FILE.svg", file=sys.stderr)
        return 2
    chunks, code = record(PROGRAM)
    if code:
        print(f"the demo ended with {code}; no picture of that", file=sys.stderr)
        return 1
    lines = svg_terminal.screen_lines(chunks)
    Path(sys.argv[1]).write_text(svg_terminal.render(lines, columns=COLUMNS, title=TITLE))
    print(f"{sys.argv[1]}: {len(lines)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
