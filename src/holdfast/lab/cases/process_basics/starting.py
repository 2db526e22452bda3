"""Starts processes in all ways."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Final

from holdfast.lab import proc
from holdfast.lab.cases.process_basics.data import Born, Direct, Order, Passed

METHODS: Final = ("fork", "spawn", "forkserver")
NAME: Final = "the one"
WORD: Final = "word"

mark = "as written"


def look(answer: str) -> None:
    """What a child sees, written to a file."""
    seen = {
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "name": multiprocessing.current_process().name,
        "mark": mark,
        "command": _command(),
    }
    Path(answer).write_text(json.dumps(seen))


def look_on_holdfast(answer: str) -> None:
    """The same; a process of Holdfast tells its name itself."""
    from holdfast.local import current_process

    look(answer)
    seen = json.loads(Path(answer).read_text())
    Path(answer).write_text(json.dumps({**seen, "name": current_process().name}))


def born(method: str, kind: Any, folder: Path) -> Born:
    """A child of this kind of ``Process``."""
    global mark
    mark = "changed"
    answer = folder / f"born-{method}.json"
    process = kind(target=look_on_holdfast if method == "holdfast" else look, args=(str(answer),), name=NAME)
    process.start()
    there = proc.state(process.pid) is not None
    process.join()
    seen = json.loads(answer.read_text())
    return Born(
        method=method,
        there_at_return=there,
        parent_pid=os.getpid(),
        pid_told=process.pid,
        pid=seen["pid"],
        ppid=seen["ppid"],
        name_given=NAME,
        name=seen["name"],
        memory_copied=seen["mark"] == "changed",
        new_program=seen["command"] != _command(),
    )


def order(how: str, method: str, rounds: int, pause_s: float = 0.0) -> Order:
    """Parent and child write a word each into one pipe: the parent when ``start()`` has returned and it has paused."""
    context: Any = multiprocessing.get_context(method)
    main_first = 0
    for _ in range(rounds):
        told, tell = context.Pipe(duplex=False)
        process = context.Process(target=tell_child, args=(tell,))
        process.start()
        if pause_s:
            time.sleep(pause_s)
        tell.send("main")
        main_first += told.recv() == "main"
        process.join()
        told.close()
        tell.close()
    return Order(how, main_first, rounds)


def tell_child(tell: Any) -> None:
    """What the child says."""
    tell.send("child")


def passed() -> tuple[Passed, ...]:
    """How many arguments arrive, by how they are written."""
    written: tuple[tuple[str, dict[str, Any]], ...] = (
        ('args=("word",)', {"args": (WORD,)}),
        ('args=("word")', {"args": WORD}),  # brackets alone make no tuple
        ('args=("w")', {"args": WORD[0]}),
        ('args=["word"]', {"args": [WORD]}),
        ('kwargs={"who": "word"}', {"kwargs": {"who": WORD}}),
    )
    found = []
    for text, arguments in written:
        process = ForkProcess(target=count, **arguments)
        process.start()
        process.join()
        found.append(Passed(text, process.exitcode or 0))
    return tuple(found)


def count(*arguments: object, **named: object) -> None:
    """Ends with the number of its arguments."""
    raise SystemExit(len(arguments) + len(named))


class Telling(ForkProcess):
    """Tells which process runs it."""

    def __init__(self, tell: Any) -> None:
        super().__init__()
        self._tell = tell

    def run(self) -> None:
        """Tell."""
        self._tell.send(os.getpid())


class Unfinished(ForkProcess):
    """Has forgotten the constructor above it."""

    def __init__(self) -> None:
        self.word = WORD


def direct() -> Direct:
    """``start()`` beside ``run()``, and a constructor that was forgotten."""
    told, tell = multiprocessing.Pipe(duplex=False)
    started = Telling(tell)
    started.start()
    by_start = told.recv()
    started.join()
    Telling(tell).run()
    by_run = told.recv()
    told.close()
    tell.close()
    error = ""
    try:
        Unfinished().start()
    except (AssertionError, AttributeError) as found:
        error = type(found).__name__
    return Direct(os.getpid(), by_start, by_run, error)


def _command() -> str:
    return Path("/proc/self/cmdline").read_bytes().decode(errors="replace")
