"""Tables: aligned text; on a terminal with colours and cut to its width, and never more than was asked for."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from holdfast.cli.render import Table, cut, print_listing, terminal_width, text_table, text_width

TABLE = Table(("JOB", "COMMAND"), (("a", "x y"), ("bbb\x1b", "日本")), state_column=-1)


def test_plain_tables_are_aligned_and_have_no_trailing_blanks() -> None:
    assert text_table(TABLE) == "JOB      COMMAND\na        x y\nbbb\\x1b  日本\n"
    assert text_table(Table(("A",), ())) == "A\n"


def test_wide_characters_take_two_columns() -> None:
    assert text_width("abc") == 3
    assert text_width("日本") == 4
    assert text_width("e\u0301") == 1


def test_the_last_column_is_cut_and_no_other() -> None:
    table = Table(("LONG", "TEXT"), (("x" * 30, "y" * 30), ("a", "b")))
    assert text_table(table, width=55).splitlines()[1] == "x" * 30 + "  " + "y" * 22 + "…"
    assert text_table(table, width=10).splitlines()[1] == "x" * 30 + "  " + "y" * 19 + "…"
    assert text_table(table, width=62).splitlines()[1].endswith("y" * 30)


def test_a_cut_text_fits() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut("日本語", 5) == "日本…"
    assert cut("日本語", 4) == "日…"


def test_states_have_colors_and_widths_do_not_change() -> None:
    table = Table(("STATE", "X"), (("failed 3", "1"), ("odd", "2")), state_column=0)
    plain, colored = text_table(table), text_table(table, color=True)
    assert colored.splitlines()[1] == "\x1b[31mfailed 3\x1b[0m  1"
    for code in ("\x1b[31m", "\x1b[1m", "\x1b[0m"):
        colored = colored.replace(code, "")
    assert colored == plain


def test_the_width_of_a_terminal() -> None:
    assert terminal_width({"COLUMNS": "33"}) == 33
    assert terminal_width({"COLUMNS": "x"}) > 0


def test_formats(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    documents = [{"job": "a"}, {"job": "b"}]

    def shown(output: str) -> bytes:
        print_listing(output, TABLE, documents, ["a", "b"], "auto")
        return capfdbinary.readouterr().out

    assert json.loads(shown("json")) == documents
    assert [json.loads(line) for line in shown("jsonl").splitlines()] == documents
    assert shown("name") == b"a\nb\n"
    assert shown("table").startswith(b"JOB ")
    assert shown("wide") == shown("table")


SCRIPT = """
from holdfast.cli.render import Table, print_table
print_table(Table(("STATE", "COMMAND"), (("running", "x" * 200), ("ok", "[red]")), state_column=0))
"""


def on_a_terminal(**env: str) -> bytes:
    """What a table looks like on a pseudo-terminal."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **env}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        if name not in env:
            environment.pop(name, None)
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=slave, env=environment):
        os.close(slave)
        shown = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
    os.close(master)
    return shown


def test_a_terminal_gets_color_and_its_own_width() -> None:
    shown = on_a_terminal(COLUMNS="40")
    assert b"\x1b[32m" in shown
    assert "…".encode() in shown
    assert b"running" in shown
    assert b"[red]" in shown


def test_no_color_is_obeyed() -> None:
    assert b"\x1b[3" not in on_a_terminal(NO_COLOR="1")
    assert b"\x1b" not in on_a_terminal(TERM="dumb")
    assert b"\x1b" not in on_a_terminal(HOLDFAST_NO_COLOR="1")
