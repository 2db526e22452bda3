"""``holdfast shell --simple``: a prompt, one command a line, each of them a job.

There is no shell process that lives on: every line is a job of its own (``/bin/sh -c``). Directory and exported
variables are kept here; ``cd`` and ``export`` are run on the host, too, which then tells what they came to.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.follow import finish, follow
from holdfast.cli.interrupts import Interrupts
from holdfast.cli.options import HostVerb
from holdfast.cli.session import LOCAL, Session
from holdfast.cli.sinks import RawSink
from holdfast.cli.voice import Voice, is_terminal, write_quietly
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast import Host

POLICY: Final = 60.0
BUILTINS: Final = ("cd", "export", "unset", "exit")
_OPERATORS: Final = frozenset("&|;<>()`\n")


@click.command(cls=HostVerb, name="shell", short_help="Type commands, one a line, run on a host.")
@click.option("--simple", is_flag=True, help="One command a line, without a terminal of its own.")
def command(session: Session, simple: bool) -> int:
    """Type commands, one a line; each is run on the host with /bin/sh, and its exit code is shown unless it is 0.

    `cd`, `export NAME=VALUE`, `unset NAME` and `exit` work from line to line, standing alone on theirs. Ctrl-C stops
    the command, Ctrl-D ends the shell.
    """
    if not simple:
        raise click.UsageError("this needs a terminal session, which is not there yet; use --simple")
    with session.connect() as host:
        shell = SimpleShell(host, session)
        if is_terminal(0):
            history = _History(os.path.join(session.settings.state_dir, "shell_history"))
            try:
                return shell.loop(lambda: input(shell.prompt))
            finally:
                history.save()
        return shell.loop(_next_line)


class SimpleShell:
    """What lives on from line to line: directory, variables, the last exit code.

    Args:
        host: Where the commands run.
        session: Settings and voice.
    """

    def __init__(self, host: Host, session: Session) -> None:
        self._host = host
        self._voice: Voice = session.voice
        self._env: dict[str, str] = {}
        self._code = exit_codes.OK
        self._directory = os.getcwd() if session.settings.host == LOCAL else self._ask("pwd", None)
        self._name = host.welcome.host or session.settings.host

    @property
    def prompt(self) -> str:
        """``host:dir$``"""
        return f"{self._name}:{self._directory}$ "

    def loop(self, next_line: Callable[[], str]) -> int:
        """Run lines until their end; the exit code is that of the last one, as with sh."""
        while True:
            try:
                line = next_line().strip()
            except EOFError:
                return self._code
            except KeyboardInterrupt:
                write_quietly(2, b"\n")
                continue
            if not line or line.startswith("#"):
                continue
            words = simple_words(line)
            if words[:1] == ["exit"]:
                return int(words[1]) & 0xFF if len(words) > 1 and words[1].isdigit() else self._code
            self._code = self._one(line, words)
            if self._code:
                write_quietly(2, f"[exit {self._code}]\n".encode())

    def _one(self, line: str, words: list[str]) -> int:
        try:
            match words:
                case ["cd"] | ["cd", _]:
                    return self._change_directory(line)
                case ["export", _, *_]:
                    return self._export(line, words[1:])
                case ["unset", *names]:
                    for name in names:
                        self._env.pop(name, None)
                    return exit_codes.OK
            return self._run(line)
        except HoldfastError as exc:
            ending = exit_codes.of_error(exc)
            self._voice.error(ending.line or str(exc))
            return ending.code
        except KeyboardInterrupt:
            return exit_codes.INTERRUPTED

    def _run(self, line: str) -> int:
        with Interrupts() as interrupts:
            job = self._host.start(line, shell=True, cwd=self._directory, env=self._env)
            sink = RawSink()
            output = job.output()
            ending, receipt = follow(job, output, sink, self._voice, interrupts, policy=POLICY)
        return finish(sink, self._voice, ending, receipt)

    def _change_directory(self, line: str) -> int:
        done = self._host.run(f"{line} && pwd", shell=True, cwd=self._directory, env=self._env)
        if done.returncode:
            write_quietly(2, done.stderr)
            return exit_codes.of_receipt(done.receipt).code
        self._env["OLDPWD"] = self._directory
        self._directory = os.fsdecode(done.stdout).splitlines()[-1]  # `cd -` says the directory itself, too
        return exit_codes.OK

    def _export(self, line: str, words: list[str]) -> int:
        names = [word.partition("=")[0] for word in words]
        values = " ".join(f'"${{{name}}}"' for name in names)
        script = f"{line} && printf '%s\\000' {values}"
        done = self._host.run(script, shell=True, cwd=self._directory, env=self._env)
        if done.returncode:
            write_quietly(2, done.stderr)
            return exit_codes.of_receipt(done.receipt).code
        self._env.update(zip(names, os.fsdecode(done.stdout).split("\0")[:-1], strict=True))
        return exit_codes.OK

    def _ask(self, script: str, directory: str | None) -> str:
        done = self._host.run(script, shell=True, cwd=directory)
        return os.fsdecode(done.stdout).rstrip("\n") or "/"


def simple_words(line: str) -> list[str]:
    """The words of a line that is one plain command; empty where the shell's grammar has more to say about it. Pure."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        words = list(lexer)
    except ValueError:
        return []
    if any(word and set(word) <= _OPERATORS for word in words):
        return []
    return words


def _next_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


class _History:
    """Readline's history in a file of the user's own."""

    MOST_LINES: Final = 5_000

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            import readline
        except ImportError:  # Python may be built without it
            return
        try:
            readline.read_history_file(path)
        except OSError:
            pass
        readline.set_history_length(self.MOST_LINES)

    def save(self) -> None:
        """Write it, mode 0600."""
        readline = sys.modules.get("readline")
        if readline is None:
            return
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            readline.write_history_file(self._path)
        except OSError:
            pass
