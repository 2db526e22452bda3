"""What a case works with: its seed and its pace, a folder, the programs of the notes, a Holdfast agent of its own.

Each case runs in a process of its own (``stage.py``), so it may fork, patch modules and catch signals. Whatever it
starts is gone before the next case begins: the process that runs it is a sub-reaper, and ends what is left.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal, TypeVar

from holdfast.lab.seen import Line, Machine, Ran
from holdfast.lab.text import Text

if TYPE_CHECKING:
    from holdfast.client.sync import Host
    from holdfast.lab.case import Case

T = TypeVar("T")

QUICK_PACE: Final = 0.05
"""Seconds of a quick run for one second of the notes' sleeps."""
FULL_PACE: Final = 0.2
PACE_VARIABLE: Final = "LAB_PACE"
"""Where the programs find it; without it they run at the notes' own pace."""
PROGRAM_LIMIT_S: Final = 20.0


class Lab:
    """The workbench of one case.

    Args:
        case: The case.
        seed: Of everything random.
        quick: Fewer rounds and a faster pace.
        folder: For its files; empty, and removed afterwards.
    """

    def __init__(self, case: Case, *, seed: int, quick: bool, folder: Path) -> None:
        self.case = case
        self.seed = seed
        self.quick = quick
        self.pace = QUICK_PACE if quick else FULL_PACE
        self.folder = folder
        self.random = random.Random(f"{seed}/{case.name}")
        self.lesser: list[Text] = []

    def pick(self, *, quick: T, full: T) -> T:
        """One of two, by the size of the run: rounds, connections, loops."""
        return quick if self.quick else full

    def lacks(self, what: str, instead: Text) -> None:
        """Note that the case runs in a lesser form, since this machine or user has no ``what``."""
        self.lesser.append(Text(f"{what}: {instead.en}", f"{what}：{instead.zh}"))

    def say(self, text: str) -> None:
        """Tell how far it is (standard error)."""
        print(f"  {self.case.name}: {text}", file=sys.stderr, flush=True)

    # --- programs ----------------------------------------------------------------------------------------------------

    def program(
        self,
        stem: str,
        kind: str = "as-in-the-notes",
        *arguments: str,
        stdin: str = "",
        limit_s: float = PROGRAM_LIMIT_S,
        env: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run a program of the case to its end, in the case's folder, with its lines timed.

        Args:
            stem: Which, see ``Program``.
            kind: One of ``PROGRAM_KINDS``.
            arguments: Its arguments.
            stdin: What it may read.
            limit_s: It is killed after so many seconds, with its children (a program that hangs is a result).
            env: More variables.
        """
        with self.started(stem, kind, *arguments, env=env) as running:
            if stdin:
                running.write(stdin)
            running.close_input()
            return running.ended(limit_s)

    def script(self, path: Path, *arguments: str, limit_s: float = PROGRAM_LIMIT_S) -> Ran:
        """As ``program``, for any Python file."""
        running = Running([str(path), *arguments], self.folder, self.pace, {})
        try:
            running.close_input()
            return running.ended(limit_s)
        finally:
            running.kill()

    @contextmanager
    def started(
        self, stem: str, kind: str = "as-in-the-notes", *arguments: str, env: Mapping[str, str] | None = None
    ) -> Iterator[Running]:
        """A program of the case that runs beside it (a server); killed with its children at the end."""
        running = Running([str(self.case.program(stem, kind)), *arguments], self.folder, self.pace, env or {})
        try:
            yield running
        finally:
            running.kill()

    # --- Holdfast ----------------------------------------------------------------------------------------------------

    @contextmanager
    def agent(self) -> Iterator[Host]:
        """A private agent of this case and a host connected to it (blocking face); stopped with its jobs at the end.

        While it runs ``holdfast.local`` and ``holdfast.connect("local")`` in this process and in its programs mean it.
        """
        from holdfast.client.sync import connect

        state = self.folder / "agent"
        state.mkdir(mode=0o700)
        before = os.environ.get("HOLDFAST_STATE_DIR")
        os.environ["HOLDFAST_STATE_DIR"] = str(state)
        try:
            with connect("local") as host:
                yield host
        finally:
            command = [sys.executable, "-m", "holdfast", "agent", "stop", "--jobs"]
            subprocess.run(command, timeout=30, check=False, capture_output=True)
            if before is None:
                del os.environ["HOLDFAST_STATE_DIR"]
            else:
                os.environ["HOLDFAST_STATE_DIR"] = before
            shutil.rmtree(state, ignore_errors=True)


class Running:
    """A Python program that was started in a session of its own, its lines gathered as they come.

    Its standard output is a terminal (raw, so that bytes pass as they are): there Python writes line by line, as it
    does for whoever tries the program by hand.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, pace: float, env: Mapping[str, str]) -> None:
        self._pace = pace
        self._lines: list[Line] = []
        self._news = threading.Condition()
        self._began = time.monotonic()
        master, terminal = os.openpty()
        tty.setraw(terminal)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, PACE_VARIABLE: str(pace), "PYTHONIOENCODING": "utf-8", **env},
            stdin=subprocess.PIPE,
            stdout=terminal,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        os.close(terminal)
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        output = os.fdopen(master, encoding="utf-8", errors="backslashreplace", newline="\n")  # closed by its reader
        self._readers = [
            threading.Thread(target=self._gather, args=(output, "out"), daemon=True),
            threading.Thread(target=self._gather, args=(self.process.stderr, "err"), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def write(self, text: str) -> None:
        """Give it something to read."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(text)
            self.process.stdin.flush()
        except BrokenPipeError:  # it has ended
            pass

    def close_input(self) -> None:
        """End of its standard input."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def await_line(self, word: str, limit_s: float = 10.0) -> Line:
        """The first line that holds ``word``.

        Raises:
            TimeoutError: none came in time.
        """

        def found() -> Line | None:
            return next((line for line in self._lines if word in line.text), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None, limit_s)
            line = found()
        if line is None:
            raise TimeoutError(
                f"no line with {word!r} within {limit_s} s; there were {[each.text for each in self._lines]}"
            )
        return line

    def lines(self) -> tuple[Line, ...]:
        """What has come so far."""
        with self._news:
            return tuple(self._lines)

    def ended(self, limit_s: float = PROGRAM_LIMIT_S) -> Ran:
        """Wait for its end, at most so long; then kill it."""
        code: int | None
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        seconds = time.monotonic() - self._began
        self.kill()
        return Ran(self.lines(), seconds, code, self._pace)

    def kill(self) -> None:
        """End it and its session, and wait for that."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for reader in self._readers:
            reader.join(5)
        self.close_input()

    def _gather(self, pipe: IO[str], stream: Literal["out", "err"]) -> None:
        with pipe, suppress(OSError):  # EIO: nobody has the terminal open any more
            for text in pipe:
                with self._news:
                    self._lines.append(Line(time.monotonic() - self._began, text.rstrip("\n"), stream))
                    self._news.notify_all()


def this_machine() -> Machine:
    """The machine that this runs on."""
    import platform
    import sysconfig

    cpu = next(
        (line.partition(":")[2].strip() for line in _lines_of("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return Machine(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        gil=not sysconfig.get_config_var("Py_GIL_DISABLED"),
        kernel=platform.release(),
        cpus=len(os.sched_getaffinity(0)),
        cpu=cpu,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        name=platform.node(),
        root=os.geteuid() == 0,
    )


def _lines_of(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
