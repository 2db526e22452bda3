"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Listing, Mark, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.daemon_processes.data import Data
from holdfast.lab.cases.daemon_processes.judge import ENDINGS, outlives, ticks_after
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    after, before = ticks_after(data)
    left = len(outlives(data))
    return Text(
        f"When the parent's code is through, its interpreter ends the daemons and then waits for the others: {before} ticks before, {after} after. "
        f"Nobody does that for a parent that goes without a word: in {left} of {len(data.endings)} ways of ending the daemon lived on.",
        f"父进程的代码执行完，解释器先结束守护进程，再等其余的子进程：之前跳 {before} 次，之后 {after} 次。父进程若不辞而别就没人管："
        f"{len(data.endings)} 种结束方式里有 {left} 种守护进程继续活着。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How long a daemon of Holdfast outlives its killed program."""
    if data.holdfast_after_kill_s is None:
        return {}
    return {"Holdfast's daemon after kill -9": once(data.holdfast_after_kill_s, "s")}


def blocks(data: Data) -> Sequence[Block]:
    """The daemon's ticks, the ways of ending, and the notes' program."""
    ticks = data.ticks
    return (
        Timeline(
            Text("A daemon, its parent and another child", "守护进程、父进程和另一个子进程"),
            (
                Lane(
                    "parent",
                    (Span(0.0, ticks.main_s), Span(ticks.main_s, ticks.worked_s, "", "wait")),
                    (Mark(ticks.main_s, "main"),),
                ),
                Lane("daemon", (Span(min(ticks.ticks_s, default=0.0), max(ticks.ticks_s, default=0.0)),)),
                Lane("other", (Span(0.0, ticks.worked_s),)),
            ),
        ),
        Table(
            Text("The parent ends: what of its daemon?", "父进程这样结束，守护进程怎样？"),
            (
                Text("the parent", "父进程"),
                Text("SIGTERM", "SIGTERM"),
                Text("parent gone", "父进程已去"),
                Text("daemon", "守护进程"),
            ),
            tuple(
                (
                    Text(*ENDINGS[each.leaves]),
                    Text("ignored", "被忽略") if each.ignores else Text("as usual", "照常"),
                    Text("yes", "是") if each.parent_gone else Text("no, it waits", "否，在等"),
                    Text("lives", "活着") if each.daemon_alive else Text("is gone", "已去"),
                )
                for each in data.endings
            ),
        ),
        Listing(
            Text("The notes' program", "笔记中的程序"),
            tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.programs[0].lines),
        ),
        Listing(
            Text("The same on Holdfast", "同一程序用 Holdfast 运行"),
            tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.holdfast_program.lines),
        ),
        Table(
            Text("Rules", "规矩"),
            (Text("what is tried", "尝试"), Text("what comes", "结果")),
            (
                (Text("daemon = True after start()", "start() 之后设 daemon = True"), same(data.late_error or "-")),
                (Text("the same under python -O", "同上，python -O"), same(data.late_error_optimised or "-")),
                (Text("a daemon starts a child", "守护进程再开子进程"), same(data.grandchild_error or "-")),
                (
                    Text("its `finally` is run", "它的 `finally` 会执行"),
                    Text("yes", "是") if data.cleaned_up else Text("no", "否"),
                ),
            ),
        ),
    )
