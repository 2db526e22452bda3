"""Plays a Markdown document: its commands and programs run in one shell, in order, as a reader would type them.

* ``console`` blocks: lines after ``$ `` are typed, and those after ``> `` that follow at once, as a shell asks for the
  rest of a command. The others are the expected output (stdout and stderr together). A line ``...`` stands for any
  lines or none, ``...`` inside a line for any text.
* ``python`` blocks run as programs; an ``output`` block right after one is its expected output.
* All other blocks are not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import markdown

END_OF_STEP = "\x1e"


class Step(NamedTuple):
    """One thing a reader does: the line it stands in, the shell text, and what should be seen (None: anything)."""

    line: int
    command: str
    expected: str | None
    must_succeed: bool


def steps(text: str, folder: Path) -> Iterator[Step]:
    """The steps of a document; programs are written into ``folder``."""
    blocks = list(markdown.blocks(text))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.language == "console":
            yield from console_steps(block)
        elif block.language == "python":
            program = folder / f"line{block.line}.py"
            program.write_text(block.text)
            shown = following.text if following and following.language == "output" else None
            yield Step(block.line, f"{sys.executable} {program}", shown, must_succeed=True)


def console_steps(block: markdown.Block) -> Iterator[Step]:
    """The typed lines of a ``console`` block with the output that follows each."""
    line, command, shown = block.line, "", ""
    for number, text in enumerate(block.text.splitlines(keepends=True), block.line):
        if text.startswith("$ "):
            if command:
                yield Step(line, command, shown, must_succeed=False)
            line, command, shown = number, text[2:].rstrip("\n"), ""
        elif command and not shown and text.startswith((">\n", "> ")):
            command += "\n" + text[2:].rstrip("\n")
        else:
            shown += text
    if command:
        yield Step(line, command, shown, must_succeed=False)


def matches(expected: str, seen: str) -> bool:
    """Whether the output is as documented; trailing spaces and blank lines at the end do not count."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += "[^\n]*".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ ]*\n"
    seen = seen.rstrip()
    return re.fullmatch(pattern, f"{seen}\n" if seen else "") is not None


def play(document: Path, folder: Path, env: dict[str, str], *, timeout_s: float = 60.0) -> list[str]:
    """Runs a document in ``folder``.

    Returns:
        One text for each step that did not go as documented; empty when the document is right.
    """
    planned = list(steps(document.read_text(), folder))
    script = "exec 2>&1 </dev/null\n" + "".join(
        f"{step.command}\nprintf '{END_OF_STEP}%d{END_OF_STEP}' $?\n" for step in planned
    )
    work = folder / "work"
    work.mkdir()
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=work,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        timeout=timeout_s,
        check=False,
        text=True,
        errors="backslashreplace",
    )
    seen = done.stdout.split(END_OF_STEP)
    faults = []
    for number, step in enumerate(planned):
        output, code = (seen[2 * number], seen[2 * number + 1]) if 2 * number + 1 < len(seen) else ("", "not reached")
        right = step.expected is None or matches(step.expected, output)
        if not right or (step.must_succeed and code != "0"):
            faults.append(
                f"{document.name}:{step.line}: {step.command}\n"
                f"--- documented\n{step.expected or '(anything)'}\n--- seen (code {code})\n{output}"
            )
    return faults
