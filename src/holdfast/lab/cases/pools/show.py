"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Listing, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.pools.data import Data, Timed
from holdfast.lab.cases.pools.judge import CALLBACK_S, TASK_S, notes_s, pool, took
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    processes, threads, ours = (notes_s(timed.seconds, data.pace) for timed in data.timed)
    return Text(
        f"Four tasks of {TASK_S:g} s with callbacks of {CALLBACK_S:g} s: {processes:.1f} s with processes, since one thread of the caller calls back one after the other "
        f"({TASK_S:g} + 4 × {CALLBACK_S:g}), {threads:.1f} s with threads, since each worker calls back itself ({TASK_S:g} + {CALLBACK_S:g}); {ours:.1f} s with Holdfast. "
        "Who is late with a callback calls it himself.",
        f"四个 {TASK_S:g} 秒的任务加 {CALLBACK_S:g} 秒的回调：用进程 {processes:.1f} 秒，因为调用方的一个线程逐个回调（{TASK_S:g} + 4 × {CALLBACK_S:g}）；"
        f"用线程 {threads:.1f} 秒，因为每个工作线程自己回调（{TASK_S:g} + {CALLBACK_S:g}）；用 Holdfast {ours:.1f} 秒。回调加晚了的，由添加者自己执行。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """Times at the notes' own pace."""
    found = {f"{timed.kind}, at the notes' pace": once(notes_s(timed.seconds, data.pace), "s") for timed in data.timed}
    for name, ran in (("the notes' processes", data.processes), ("the notes' threads", data.threads)):
        if (seconds := took(ran)) is not None:
            found[f"{name}, as printed, at their pace"] = once(notes_s(seconds, data.pace), "s")
    return found


def blocks(data: Data) -> Sequence[Block]:
    """Who did what when, who calls back, and the notes' programs."""
    calls = data.calls
    return (
        *(_timeline(data, timed.kind) for timed in data.timed),
        Table(
            Text("Who calls back", "谁来回调"),
            (Text("when", "情形"), Text("called by", "执行者")),
            (
                (
                    Text("a process has done the task", "进程做完了任务"),
                    _thread(pool(data, "ProcessPoolExecutor").tasks[0].caller),
                ),
                (
                    Text("a thread has done the task", "线程做完了任务"),
                    _thread(pool(data, "ThreadPoolExecutor").tasks[0].caller),
                ),
                (
                    Text("a worker of Holdfast has done it", "Holdfast 的工作者做完了"),
                    _thread(pool(data, "Holdfast").tasks[0].caller),
                ),
                (Text("it is added when all is done", "做完之后才添加"), _thread(calls.after_the_end)),
                (Text("the future is cancelled", "future 被取消"), _thread(calls.cancelled)),
            ),
        ),
        Listing(
            Text("The notes' synchronous program", "笔记中的同步程序"),
            tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.together.lines),
        ),
        Listing(
            Text("One after the other", "真正一个接一个"),
            tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.one_by_one.lines),
        ),
    )


def _thread(who: str) -> Text:
    return same(who.partition(" ")[2] or "-")


def _timeline(data: Data, kind: str) -> Timeline:
    timed: Timed = pool(data, kind)
    lanes = []
    for number, task in enumerate(sorted(timed.tasks, key=lambda task: task.called_s), 1):
        spans = [Span(task.began_s, task.ended_s, "task")]
        if task.called_s > task.ended_s:
            spans.append(Span(task.ended_s, task.called_s, "", "wait"))
        spans.append(Span(task.called_s, task.called_until_s, "callback", "hold"))
        lanes.append(Lane(str(number), tuple(spans)))
    return Timeline(Text(f"{kind}: task, waiting, callback", f"{kind}：任务、等待、回调"), tuple(lanes))
