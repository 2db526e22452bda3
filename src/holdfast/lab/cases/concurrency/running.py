"""Tasks in processes of their own, bound to cores; when each truly ran, and how often its core was handed on."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from holdfast.lab.cases.concurrency.data import Runner, Scene, Shells
from holdfast.lab.cases.gil import contest

SHELL_LOOP = "i=0; while [ $i -lt {} ]; do i=$((i+1)); done"


@dataclass(frozen=True)
class Plan:
    """What a task is to do."""

    name: str
    core: int
    rounds: int
    after_s: float = 0.0
    """It begins so long after the others."""
    prepare: Callable[[], None] = lambda: None
    pauses: int = 0
    """It waits so often, its rounds spread between the waits."""
    pause_s: float = 0.0


def together(*plans: Plan) -> Scene:
    """Start them at the same moment, and wait for all."""
    gate, opener = os.pipe()
    children = [_forked(plan, gate) for plan in plans]
    time.sleep(0.02)  # all are at the gate
    start = time.monotonic_ns()
    os.write(opener, b"." * len(plans))
    runners = tuple(_told(reader, pid, start) for reader, pid in children)
    os.close(gate)
    os.close(opener)
    return Scene(runners)


def one_by_one(*plans: Plan) -> Scene:
    """Each when the one before has ended."""
    start = time.monotonic_ns()
    runners = []
    for plan in plans:
        gate, opener = os.pipe()
        reader, pid = _forked(plan, gate)
        os.write(opener, b".")
        runners.append(_told(reader, pid, start))
        os.close(gate)
        os.close(opener)
    return Scene(tuple(runners))


def shells(cores: Sequence[int], loops: int) -> Shells:
    """Two shells on one core, then on two."""
    one = _cores_used([cores[0], cores[0]], loops)
    return Shells(one, _cores_used([cores[0], cores[1]], loops) if len(cores) > 1 else None)


class _Said(msgspec.Struct):
    """What a child tells: nanoseconds of the monotonic clock, and counts."""

    began: int
    ended: int
    runs: list[tuple[int, int]]
    voluntary: int
    involuntary: int
    rounds: int
    core: int
    name: str


def _forked(plan: Plan, gate: int) -> tuple[int, int]:
    """A child that waits at the gate; gives where its report is read, and its process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return reader, pid
    try:
        os.close(reader)
        os.sched_setaffinity(0, {plan.core})
        plan.prepare()
        os.read(gate, 1)
        time.sleep(plan.after_s)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(msgspec.json.encode(_work(plan)))
        os._exit(0)
    except BaseException as error:  # a child must never come back into the case
        print(f"a task failed: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def _work(plan: Plan) -> _Said:
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic_ns()
    steps: list[tuple[int, int]] = []
    parts = plan.pauses or 1
    for _ in range(parts):
        steps.extend(contest.steps_of("compute", plan.rounds // parts))
        if plan.pauses:
            time.sleep(plan.pause_s)
    ended = time.monotonic_ns()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return _Said(
        began=began,
        ended=ended,
        runs=[(run[0], run[1]) for run in contest.joined(iter(steps))],
        voluntary=after.ru_nvcsw - before.ru_nvcsw,
        involuntary=after.ru_nivcsw - before.ru_nivcsw,
        rounds=len(steps) * contest.STEP_ROUNDS,
        core=plan.core,
        name=plan.name,
    )


def _told(reader: int, pid: int, start: int) -> Runner:
    with os.fdopen(reader, "rb") as pipe:
        report = pipe.read()
    os.waitpid(pid, 0)
    said = msgspec.json.decode(report, type=_Said)

    def seconds(at_ns: int) -> float:
        return (at_ns - start) / 1e9

    return Runner(
        name=said.name,
        core=said.core,
        pid=pid,
        began_s=seconds(said.began),
        ended_s=seconds(said.ended),
        runs=tuple((seconds(began), seconds(ended)) for began, ended in said.runs),
        voluntary=said.voluntary,
        involuntary=said.involuntary,
        rounds=said.rounds,
    )


def _cores_used(cores: Sequence[int], loops: int) -> float:
    """Processor time of a shell on each of these cores, by the time that passed."""
    began = time.monotonic()
    children = []
    for core in cores:
        pid = os.fork()
        if pid == 0:
            try:
                os.sched_setaffinity(0, {core})
                os.execv("/bin/sh", ["sh", "-c", SHELL_LOOP.format(loops)])
            finally:
                os._exit(127)
        children.append(pid)
    used = 0.0
    for pid in children:
        _, _, usage = os.wait4(pid, 0)
        used += usage.ru_utime + usage.ru_stime
    return used / (time.monotonic() - began)
