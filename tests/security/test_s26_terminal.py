"""S26: escape sequences of a job never reach the terminal of whoever lists jobs or looks at their output."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli

TITLE = b"\x1b]0;owned\x07"
CLEAR = b"\x1b[2J\x9b31m"
HOSTILE = ["sh", "-c", r"printf '\033]0;owned\007\033[2J\233\063\061mtext\n'; : " + TITLE.decode() + "\x9b31m"]


def _on_a_terminal(cli: Cli, *args: str) -> bytes:
    """What a verb writes when its output is a terminal."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            cli.command(*args),
            env=cli.env,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # EIO: the last writer has closed it (pty(7))
                break
            if not data:
                break
            seen += data
        process.wait(timeout=20)
    finally:
        os.close(ours)
    return seen


def _hostile_sequences(seen: bytes) -> list[bytes]:
    return [bad for bad in (TITLE, b"\x1b]", b"\x1b[2J", b"\x9b", b"\x07") if bad in seen]


@pytest.mark.parametrize("verb", ["ps", "logs", "verify", "status", "leftovers", "config"])
def test_s26_no_view_lets_an_escape_sequence_through(verb: str, agent: AgentUnderTest) -> None:
    job = agent.connect().run(HOSTILE).receipt.job
    cli = Cli(agent.state_dir, TERM="xterm")
    calls = {
        "ps": ("ps", "-a"),
        "logs": ("logs", job),
        "verify": ("verify", job),
        "status": ("agent", "status"),
        "leftovers": ("leftovers",),
        "config": ("config", "view"),
    }
    seen = _on_a_terminal(cli, *calls[verb])
    assert seen
    assert _hostile_sequences(seen) == []


def test_s26_raw_is_raw(agent: AgentUnderTest) -> None:
    """The oracle of the test above: the sequences are in the output, and are shown where that was asked for."""
    job = agent.connect().run(HOSTILE).receipt.job
    cli = Cli(agent.state_dir, TERM="xterm")
    assert TITLE in _on_a_terminal(cli, "logs", "--raw", job)
    assert TITLE in cli("logs", job).stdout, "into a file the bytes are the command's own"
