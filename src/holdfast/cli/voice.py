"""Our own words: standard error only, each line starting with ``holdfast:``, control characters made visible."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

STDERR_FD: Final = 2
PREFIX: Final = "holdfast: "

_DIM, _RED, _PLAIN = "\x1b[2m", "\x1b[31m", "\x1b[0m"
_VISIBLE: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(0x80, 0xA0))}


class Voice:
    """What is said, and what is kept to ourselves.

    Args:
        quiet: Say errors only.
        verbose: Say notes also where standard error is no terminal.
        color: Whether to colour; see ``wants_color``.
        terminal: Whether standard error is a terminal.
    """

    def __init__(self, *, quiet: bool = False, verbose: int = 0, color: bool = False, terminal: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._color = color
        self._terminal = terminal

    def error(self, text: str) -> None:
        """Something failed; said always."""
        self._write(text, _RED)

    def say(self, text: str) -> None:
        """Something the user has to know; left out with ``-q``."""
        if not self.quiet:
            self._write(text, "")

    def note(self, text: str) -> None:
        """Something good to know: for people at a terminal, or with ``-v``."""
        if not self.quiet and (self._terminal or self.verbose):
            self._write(text, _DIM)

    def detail(self, text: str) -> None:
        """Something for those who asked with ``-v``."""
        if self.verbose:
            self._write(text, _DIM)

    def _write(self, text: str, color: str) -> None:
        start, end = (color, _PLAIN) if self._color and color else ("", "")
        data = "".join(f"{start}{PREFIX}{visible(line)}{end}\n" for line in text.splitlines() or [""])
        write_quietly(STDERR_FD, data.encode("utf-8", "backslashreplace"))


def visible(text: str) -> str:
    """One line of text with control characters as ``\\xNN``, so that no foreign text drives the terminal."""
    return text.translate(_VISIBLE)


def wants_color(setting: str, env: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether to colour what goes to a terminal or a file.

    A flag (``always``, ``never``) decides before NO_COLOR and HOLDFAST_NO_COLOR (set and not empty), these before
    FORCE_COLOR, and that before the terminal itself (no-color.org, force-color.org).
    """
    if setting != "auto":
        return setting == "always"
    if env.get("NO_COLOR") or env.get("HOLDFAST_NO_COLOR"):
        return False
    if env.get("FORCE_COLOR"):
        return env["FORCE_COLOR"] != "0"
    return terminal and env.get("TERM") != "dumb"


def is_terminal(fd: int) -> bool:
    """Whether a descriptor is a terminal; a closed one is none."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


def write_quietly(fd: int, data: bytes) -> None:
    """All bytes, or none of our business: a message that cannot be written must not change what we do."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except InterruptedError:
            continue
        except OSError:
            return
