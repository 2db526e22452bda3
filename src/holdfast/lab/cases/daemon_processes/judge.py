"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.daemon_processes.data import Data, Ending
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

NORMAL: Final = ("end", "exception")
CHECKED: Final = Text("assertions are on: not under `python -O`", "断言开启，即不用 `python -O`")


def late_ticks(data: Data) -> int:
    """Ticks of the daemon in the second half of the time in which the other child worked on alone."""
    middle = (data.ticks.main_s + data.ticks.worked_s) / 2
    return sum(tick > middle for tick in data.ticks.ticks_s)


def survivors(data: Data) -> tuple[Ending, ...]:
    """Endings of a parent that its daemon outlived."""
    return tuple(each for each in data.endings if each.parent_gone and each.daemon_alive)


def stubborn(data: Data) -> bool:
    """Whether a daemon that ignores SIGTERM kept its parent waiting."""
    return any(each.ignores and not each.parent_gone for each in data.endings)


def spoke(data: Data) -> int:
    """Runs of the program in which the daemon came to its line."""
    return sum(any("the daemon begins" in line for line in ran.out) for ran in data.programs)


def _n065(data: Data) -> Ruling:
    late, early = late_ticks(data), len(data.ticks.ticks_s)
    if late or not all(not each.daemon_alive for each in data.endings if each.leaves in NORMAL and not each.ignores):
        return refuted(
            f"The daemon went on after its parent's text: {late} of {early} ticks came late.",
            f"父进程的代码跑完后守护进程还在继续：{early} 次滴答中有 {late} 次在后面。",
        )
    programs, told = len(data.programs), spoke(data)
    others = sum(any("the other begins" in line for line in ran.out) for ran in data.programs)
    return confirmed(
        f"The daemon ticked {early} times before its parent's text was through at {data.ticks.main_s:.2f} s and no more, while the other child worked until {data.ticks.worked_s:.2f} s. In the notes' program "
        f"the other one came to its line in {others} of {programs} runs, the daemon in {told}: it depends on how soon it is ended. It ends by SIGTERM (exit code {data.daemon_exitcode}), "
        f"and its `finally` was {'run' if data.cleaned_up else 'not run'}.",
        f"守护进程在父进程代码跑完（{data.ticks.main_s:.2f} 秒）之前滴答 {early} 次，之后不再有，另一个子进程则工作到 {data.ticks.worked_s:.2f} 秒。笔记的程序运行 {programs} 次，"
        f"另一个子进程有 {others} 次来得及打印，守护进程有 {told} 次：看它多快被结束。它死于 SIGTERM（退出码 {data.daemon_exitcode}），`finally` {'执行了' if data.cleaned_up else '没有执行'}。",
    )


def _n066(data: Data) -> Ruling:
    if not data.late_error:
        return refuted(
            "It could be set after `start()`, without an error.",
            "`start()` 之后也能设置，没有报错。",
            depends_on=CHECKED,
        )
    optimised = data.late_error_optimised
    return confirmed(
        f"After `start()` it is refused: {data.late_error}. It is an assertion, so `python -O` {'refuses it too' if optimised else 'lets it pass in silence'}. "
        f"`Process(..., daemon=True)` cannot come too late. And a daemon may not start children: {data.grandchild_error or 'it could'}.",
        f"`start()` 之后设置被拒绝：{data.late_error}。这是一条断言，所以 `python -O` {'同样拒绝' if optimised else '会悄悄放过'}。"
        f"写成 `Process(..., daemon=True)` 就不会太晚。另外守护进程不能再开子进程：{data.grandchild_error or '这里可以'}。",
        depends_on=CHECKED,
    )


def _n067(data: Data) -> Ruling:
    left = survivors(data)
    waits = stubborn(data)
    if not left and not waits:
        return confirmed(
            f"The daemon was gone with its parent in all {len(data.endings)} endings.",
            f"{len(data.endings)} 种结束方式里，守护进程都随父进程而去。",
        )
    if not left:
        return refined(
            "Its parent always outlived it, but one that ignores SIGTERM kept its parent waiting.",
            "它总是先于父进程结束，但忽略 SIGTERM 的那个让父进程一直等着。",
        )
    names = ", ".join(each.leaves for each in left)
    lease = data.holdfast_after_kill_s
    told = "it lived on" if lease is None else f"it was gone after {lease:.1f} s"
    zh = "仍活着" if lease is None else f"{lease:.1f} 秒后就没了"
    return refuted(
        f"It is Python that ends it, in a handler at the interpreter's end; where that is skipped the daemon lived on: {names}. "
        f"{'A daemon that ignores SIGTERM even kept its parent waiting. ' if waits else ''}When the program of a daemon of Holdfast was killed, {told}: there the agent ends it.",
        f"结束它的是 Python 解释器收尾时的处理函数；跳过收尾，守护进程就活了下来：{names}。{'忽略 SIGTERM 的守护进程甚至让父进程一直等着。' if waits else ''}"
        f"Holdfast 的守护进程在程序被杀后{zh}：那里由代理来结束它。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n065": _n065, "n066": _n066, "n067": _n067}
