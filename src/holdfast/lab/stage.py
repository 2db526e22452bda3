"""Runs one case in a process of its own, and leaves nothing behind.

``perform`` starts ``python -m holdfast.lab.stage`` as a sub-reaper in a session of its own. A child of that process
runs the case, writes what was observed and ends; then it looks for processes that are still there, ends them and names
them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from holdfast.keeper import linux
from holdfast.lab import proc
from holdfast.lab.case import Case
from holdfast.lab.results import Leftover, Result
from holdfast.lab.workbench import Lab, this_machine

CASE_LIMIT_S: Final = 900.0
_SETTLE_S: Final = 1.0
"""Processes that were told to end have so long to go by themselves."""


NOTHING: Final = msgspec.Raw(b"null")


class Order(msgspec.Struct, frozen=True):
    """What the process is to do."""

    case: str
    seed: int
    quick: bool
    parent: int
    """Who asked for it; without it the case is ended."""


def perform(case: Case, *, seed: int, quick: bool, limit_s: float = CASE_LIMIT_S) -> Result:
    """Run a case.

    Ctrl-C ends it and all that it has started.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-lab-") as name:
        order = msgspec.json.encode(Order(case.name, seed, quick, os.getpid())).decode()
        folder = Path(name)
        began, started = time.time(), time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast.lab.stage", order, name],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        failed: str | None = None
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            failed = f"it took longer than {limit_s:g} s"
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)  # it ends what it has started
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        written = folder / "result.json"
        if written.exists():
            return msgspec.json.decode(written.read_bytes(), type=Result)
        seconds = time.monotonic() - started
        failed = failed or f"its process ended with {process.returncode}"
        lab = Lab(case, seed=seed, quick=quick, folder=folder)
        return Result(case.name, seed, quick, lab.pace, began, seconds, this_machine(), NOTHING, failed=failed)


def main(order_text: str, name: str) -> int:
    """The process of one case: a child of it runs the case and ends as any program does; then it looks what is left."""
    signal.signal(signal.SIGTERM, _end)
    linux.become_subreaper()
    linux.ask_for_signal_at_parents_death(signal.SIGTERM)
    order = msgspec.json.decode(order_text, type=Order)
    folder = Path(name)
    if os.getppid() != order.parent:
        return 1
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _run(order, folder)
        return 0
    leftovers: tuple[Leftover, ...] = ()
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        leftovers = sweep()
    try:
        result = msgspec.json.decode((folder / "observed.json").read_bytes(), type=Result)
    except FileNotFoundError:
        return 128 + status if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
    (folder / "result.json").write_bytes(msgspec.json.encode(replace(result, leftovers=leftovers)))
    return 0


def _run(order: Order, folder: Path) -> None:
    from holdfast.lab.cases import find

    case = find(order.case)
    work = folder / "work"
    work.mkdir()
    lab = Lab(case, seed=order.seed, quick=order.quick, folder=work)
    began, started = time.time(), time.monotonic()
    data, failed = NOTHING, None
    try:
        data = msgspec.Raw(msgspec.json.encode(case.observe(lab)))
    except Exception:
        failed = traceback.format_exc()
    result = Result(
        case=case.name,
        seed=order.seed,
        quick=order.quick,
        pace=lab.pace,
        began_unix_s=began,
        seconds=time.monotonic() - started,
        machine=this_machine(),
        data=data,
        lesser=tuple(lab.lesser),
        failed=failed,
    )
    (folder / "observed.json").write_bytes(msgspec.json.encode(result))


def sweep() -> tuple[Leftover, ...]:
    """End every process below this one; gives those that did not go by themselves within a second."""
    until = time.monotonic() + _SETTLE_S
    while (left := proc.descendants(os.getpid())) and time.monotonic() < until:
        _reap()
        time.sleep(0.02)
    named = tuple(Leftover(pid, proc.command(pid)) for pid in left)
    while left:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        _reap()
        time.sleep(0.01)
        left = proc.descendants(os.getpid())
    return named


def _reap() -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def _end(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
