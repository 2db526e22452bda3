"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.lab.blocks import Block, Lane, Listing, Mark, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.daemon_processes.data import Data, Ending
from holdfast.lab.cases.daemon_processes.judge import spoke, stubborn, survivors
from holdfast.lab.text import Text, same

_LEAVES: Final[Mapping[str, Text]] = {
    "end": Text("end of its text", "代码跑完"),
    "exception": Text("an exception", "异常"),
    "SIGTERM": Text("SIGTERM", "SIGTERM 信号"),
    "_exit": Text("os._exit", "os._exit 调用"),
    "SIGKILL": Text("SIGKILL", "SIGKILL 信号"),
}


def answer(data: Data) -> Text:
    """In short."""
    left = survivors(data)
    lease = data.holdfast_after_kill_s
    holdfast = (
        (f"it lived longer than {data.watched_s:.0f} s", f"它活过了 {data.watched_s:.0f} 秒")
        if lease is None
        else (f"it ended {lease:.1f} s later", f"它在 {lease:.1f} 秒后结束")
    )
    waits = (
        ("keeps its parent waiting", "会让父进程一直等")
        if stubborn(data)
        else ("ends with its parent", "也随父进程结束")
    )
    return Text(
        f"When its parent's text is through Python sends a daemon SIGTERM; it had come to its first line in {spoke(data)} of {len(data.programs)} runs. "
        f"In {len(left)} of {len(data.endings)} endings the daemon outlived its parent, and one that ignores SIGTERM {waits[0]}. "
        f"With Holdfast the agent watches over it: after its program was killed {holdfast[0]}.",
        f"父进程的代码跑完后，Python 给守护进程发 SIGTERM；{len(data.programs)} 次运行中它有 {spoke(data)} 次来得及打印第一行。"
        f"{len(data.endings)} 种结束方式中有 {len(left)} 种守护进程活得比父进程久，忽略 SIGTERM 的那个{waits[1]}。"
        f"在 Holdfast 上由代理看管：程序被杀之后，{holdfast[1]}。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How often the daemon came to its line, and how long one of Holdfast's outlived its program."""
    found = {"daemon came to its line": once(100 * spoke(data) / max(1, len(data.programs)), "%")}
    if data.holdfast_after_kill_s is not None:
        found["Holdfast: daemon gone after kill -9"] = once(data.holdfast_after_kill_s, "s")
    return found


def blocks(data: Data) -> Sequence[Block]:
    """Ticks, endings, the program."""
    ticks = data.ticks
    return (
        Timeline(
            Text("A daemon ticks, another child works, the parent is through between", "守护进程滴答，另一个子进程工作，父进程中途跑完"),
            (
                Lane("parent", (Span(0.0, ticks.main_s), Span(ticks.main_s, ticks.worked_s, kind="wait")), (Mark(ticks.main_s, "text is through"),)),
                Lane("daemon", (Span(min(ticks.ticks_s, default=0.0), max(ticks.ticks_s, default=0.0), f"{len(ticks.ticks_s)} ticks"),)),
                Lane("other", (Span(0.0, ticks.worked_s),), (Mark(ticks.worked_s, "done"),)),
            ),
        ),
        Table(
            Text("How the parent leaves, and what becomes of its daemon", "父进程如何离开，守护进程会怎样"),
            (Text("parent leaves by", "父进程的离开方式"), Text("daemon", "守护进程"), Text("outcome", "结果")),
            tuple(
                (
                    _LEAVES[each.leaves],
                    Text("ignores SIGTERM", "忽略 SIGTERM") if each.ignores else Text("plain", "普通"),
                    _outcome(each),
                )
                for each in data.endings
            ),
        ),
        Listing(
            Text("The notes' program: its runs, and one on Holdfast", "笔记中的程序：各次运行，以及在 Holdfast 上的一次"),
            (
                *(" / ".join(line for line in ran.out if line) for ran in data.programs),
                f"Holdfast: {' / '.join(line for line in data.holdfast_program.out if line)}",
            ),
        ),
        Table(
            Text("Rules", "规则"),
            (Text("what was tried", "尝试"), Text("what came", "结果")),
            (
                (Text("daemon = True after start()", "start() 之后设 daemon = True"), _said(data.late_error)),
                (Text("the same under python -O", "在 python -O 下同样做"), _said(data.late_error_optimised)),
                (Text("a daemon starts a child", "守护进程开子进程"), _said(data.grandchild_error)),
            ),
        ),
    )  # fmt: skip


def _outcome(each: Ending) -> Text:
    if not each.parent_gone:
        return Text("the parent waits for it", "父进程等着它")
    return Text("lives on", "继续活着") if each.daemon_alive else Text("gone", "已消失")


def _said(error: str) -> Text:
    return same(error) if error else Text("no error", "没有报错")
