"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.daemon_processes.data import Data, Ending
from holdfast.lab.seen import Ran
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

ENDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "end": ("comes to its end", "正常结束"),
    "exception": ("ends by an exception", "因异常结束"),
    "SIGTERM": ("is ended by SIGTERM", "被 SIGTERM 结束"),
    "_exit": ("calls os._exit", "调用 os._exit"),
    "SIGKILL": ("is killed", "被 kill -9"),
}


def spoke(ran: Ran, who: str) -> bool:
    """Whether it printed that it begins; two lines may have grown together."""
    return any(f"{who} begins" in line for line in ran.out)


def ticks_after(data: Data) -> tuple[int, int]:
    """Ticks after the parent's code was through (with some time for it to be ended), and those before."""
    ticks = data.ticks
    late = ticks.main_s + (ticks.worked_s - ticks.main_s) / 2
    return sum(tick > late for tick in ticks.ticks_s), sum(tick <= ticks.main_s for tick in ticks.ticks_s)


def outlives(data: Data) -> list[Ending]:
    """Ways in which the parent was gone and the daemon was not."""
    return [each for each in data.endings if each.parent_gone and each.daemon_alive]


def _n065(data: Data) -> Ruling:
    after, before = ticks_after(data)
    silent = sum(not spoke(ran, "the daemon") for ran in data.programs)
    other = sum(spoke(ran, "the other") for ran in data.programs)
    first = sum(ran.out[:1] == ("main",) for ran in data.programs)
    count = len(data.programs)
    en = (
        f"A daemon ticked {before} times before its parent's code was through and {after} times later, while the other child worked on. In the notes' program the normal child "
        f"spoke in {other} of {count} runs, main first in {first}; the daemon was ended before it could speak in {silent}."
    )
    zh = (
        f"父进程代码执行完之前守护进程跳了 {before} 次，之后 {after} 次，而另一个子进程还在干活。笔记的程序 {count} 次里，正常子进程 {other} 次说了话，"
        f"主进程 {first} 次先说；守护进程有 {silent} 次还没来得及说话就被结束。"
    )
    if after:
        return refuted(en, zh)
    if not before and silent == other == first == count:
        return confirmed(en, zh)
    return refined(
        en + " So it dies then, but whether it has spoken before is a matter of who is quicker.",
        zh + "可见它确实那时死掉，但此前说没说上话，取决于谁更快。",
    )


def _n066(data: Data) -> Ruling:
    if not data.late_error:
        return refuted("Setting it after start() raised nothing.", "start() 之后再设没有报错。")
    en, zh = f"After start() it raises {data.late_error}.", f"start() 之后再设会抛出 {data.late_error}。"
    if data.late_error_optimised:
        return confirmed(en, zh)
    return refined(
        en + " But it is an assertion: under `python -O` nothing is raised.",
        zh + "但那只是断言：`python -O` 下不报错。",
    )


def _n067(data: Data) -> Ruling:
    left, waits = outlives(data), [each for each in data.endings if not each.parent_gone]
    if not left and not waits:
        return confirmed(
            f"In all {len(data.endings)} ways of ending the daemon went too.",
            f"{len(data.endings)} 种结束方式里守护进程都跟着走了。",
        )
    gone = [each for each in data.endings if each.parent_gone and not each.daemon_alive]
    lived = data.holdfast_after_kill_s
    en = (
        f"It is the parent that ends it (SIGTERM, exit code {data.daemon_exitcode}), at its own end in good order. When the parent "
        f"{', '.join(ENDINGS[each.leaves][0] for each in left) or '-'}, the daemon lived on. "
        + (f"If it ignores SIGTERM the parent waits for it ({len(waits)} case). " if waits else "")
        + f"A daemon of Holdfast whose program was killed {'was ended by the host after ' + format(lived, '.1f') + ' s' if lived is not None else 'lived on'}."
    )
    zh = (
        f"是父进程在自己正常收尾时结束它的（SIGTERM，退出码 {data.daemon_exitcode}）。父进程{'、'.join(ENDINGS[each.leaves][1] for each in left) or '-'}时，守护进程继续活着。"
        + ("它若忽略 SIGTERM，父进程就一直等它。" if waits else "")
        + (
            f"Holdfast 的守护进程，其程序被 kill -9 之后，{lived:.1f} 秒内由主机结束。"
            if lived is not None
            else "Holdfast 的守护进程继续活着。"
        )
    )
    return refined(en, zh) if gone else refuted(en, zh)


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n065": _n065, "n066": _n066, "n067": _n067}
