"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.concurrency.data import Data, Runner, Scene
from holdfast.lab.cases.gil.overlap import share_at_once, turns, within
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, definition, refined, refuted

AT_ONCE_SHARE: Final = 0.01
"""Of the time in which tasks ran, the part in which both did: on one core it is 0, on two most of it, on two busy ones
less, but never so little."""
FEW_TURNS: Final = 3
LITTLE_SHARE: Final = 0.25
"""Two equal tasks have half a core each; who has less than this was pushed aside."""


def at_once(scene: Scene) -> float:
    """The share of its running time in which two tasks ran."""
    return share_at_once([runner.runs for runner in scene.runners])


def best_parallel(data: Data) -> float | None:
    """The most of all rounds on two cores; None: there is but one."""
    return max(map(at_once, data.parallel)) if data.parallel else None


def turns_of(scene: Scene) -> int:
    """How often the other task went on."""
    return turns([runner.runs for runner in scene.runners])


def in_progress_together(scene: Scene) -> bool:
    """Whether one began before the other had ended."""
    one, two = scene.runners
    return one.began_s < two.ended_s and two.began_s < one.ended_s


def pushed_aside(scene: Scene) -> tuple[float, float]:
    """How much of the time in which both were at it the lower one ran, and how long that was."""
    low, high = scene.runners
    ended = min(low.ended_s, high.ended_s)
    lasted = ended - high.began_s
    return (within(low.runs, high.began_s, ended) / lasted, lasted) if lasted > 0 else (0.0, 0.0)


def _hangs_on(data: Data) -> Text:
    return Text(
        f"CPython {data.python}, Linux, {data.cores} core{'s' if data.cores != 1 else ''}",
        f"CPython {data.python}，Linux，{data.cores} 个核",
    )


def _n043(data: Data) -> Ruling:
    one, two = data.concurrent.runners
    both = sum(_ran(runner) for runner in (one, two)) or 1.0
    return definition(
        f"It says what a process is. To be seen here: one program file ran as two processes with numbers of their own "
        f"({'yes' if data.same_program else 'no'}), and of two that wanted the same core at the same time, one got "
        f"{_ran(one) / both:.0%} and the other {_ran(two) / both:.0%}.",
        f"这是在说什么叫进程。可见的部分：同一个程序文件作为两个进程运行，各有编号（{'是' if data.same_program else '否'}）；"
        f"两个进程同时要同一个核，一个得到 {_ran(one) / both:.0%}，另一个 {_ran(two) / both:.0%}。",
    )


def _ran(runner: Runner) -> float:
    return sum(ended - began for began, ended in runner.runs)


def _n044(data: Data) -> Ruling:
    share, times, two = at_once(data.concurrent), turns_of(data.concurrent), best_parallel(data)
    both = in_progress_together(data.concurrent)
    en = f"On one core two tasks were in progress together and took {times} turns, yet ran at the same time for {share:.0%} of it"
    zh = f"一个核上，两个任务都在进行中，轮换 {times} 次，但同时运行的时间占 {share:.0%}"
    if not both or times < FEW_TURNS or share > AT_ONCE_SHARE:
        return refuted(en + ".", zh + "。", depends_on=_hangs_on(data))
    if two is None:
        return confirmed(
            en + "; there is no second core to try here.", zh + "；此处没有第二个核可试。", depends_on=_hangs_on(data)
        )
    if two <= AT_ONCE_SHARE:
        return refined(
            f"{en}; on two cores it was {two:.0%}, no more.",
            f"{zh}；两个核上也只有 {two:.0%}。",
            depends_on=_hangs_on(data),
        )
    return confirmed(
        f"{en}; on two cores it was {two:.0%}.", f"{zh}；两个核上则是 {two:.0%}。", depends_on=_hangs_on(data)
    )


def _n045(data: Data) -> Ruling:
    share, two, shells = at_once(data.concurrent), best_parallel(data), data.shells
    if share > AT_ONCE_SHARE:
        return refuted(
            f"Two tasks on one core ran at the same time for {share:.0%} of it.",
            f"一个核上的两个任务有 {share:.0%} 的时间同时运行。",
            depends_on=_hangs_on(data),
        )
    if two is not None and two <= AT_ONCE_SHARE:
        return confirmed(
            f"Even on two cores two Python processes ran at the same time for {two:.0%} only.",
            f"即使有两个核，两个 Python 进程也只有 {two:.0%} 的时间同时运行。",
            depends_on=_hangs_on(data),
        )
    en = (
        f"The first half is true ({share:.0%} at the same time on one core), the reason is not: two shells, which have no GIL, "
        f"came to {shells.one_core:.2f} of a core on one core as well."
    )
    zh = (
        f"前一半对（一个核上同时运行 {share:.0%}），原因不对：两个没有 GIL 的 shell，在一个核上同样只用到 "
        f"{shells.one_core:.2f} 个核。"
    )
    if two is not None:
        en += (
            f" And two Python processes, each with a GIL of its own, did run at the same time on two cores ({two:.0%})."
        )
        zh += f"而两个 Python 进程各有自己的 GIL，在两个核上确实同时运行（{two:.0%}）。"
    return refined(en, zh, depends_on=_hangs_on(data))


def _n046(data: Data) -> Ruling:
    saved = data.saved
    generator, process = spread(saved.generator_ns, "ns").median, spread(saved.process_ns, "ns").median
    rounds = [runner.rounds for runner in data.concurrent.runners]
    en = (
        f"Two generators that took turns {saved.turns} times in one thread came to {saved.kept[0]} and {saved.kept[1]}, two "
        f"functions without saved state to {saved.lost[0]} and {saved.lost[1]}; two processes on one core took "
        f"{turns_of(data.concurrent)} turns and counted {rounds[0]} and {rounds[1]} rounds to the end."
    )
    zh = (
        f"两个生成器在一个线程里轮换 {saved.turns} 次，数到 {saved.kept[0]} 和 {saved.kept[1]}；两个不保存状态的函数只数到 "
        f"{saved.lost[0]} 和 {saved.lost[1]}；一个核上的两个进程轮换 {turns_of(data.concurrent)} 次，"
        f"仍各自数完了 {rounds[0]} 和 {rounds[1]} 次循环。"
    )
    whole = saved.kept == (saved.turns, saved.turns) and max(saved.lost) < saved.turns
    if not whole or turns_of(data.concurrent) < FEW_TURNS:
        return refuted(en, zh)
    return confirmed(
        f"{en} A switch cost {generator:.0f} ns between generators, {process:.0f} ns between processes. (Of several cores it is "
        f"not true: there tasks go on together without any switch.)",
        f"{zh}一次切换，生成器之间 {generator:.0f} 纳秒，进程之间 {process:.0f} 纳秒。（有多个核时则不然：任务不必切换也能一起进行。）",
        depends_on=Text("what shares one core", "共用一个核的任务"),
    )


def _n047(data: Data) -> Ruling:
    pages = data.pages
    if pages.parent_sees:
        return refuted("The parent saw what the child had written.", "父进程看到了子进程写的内容。")
    framed = pages.parent_frame is not None and pages.child_frame is not None
    if framed:
        together = pages.parent_frame == pages.child_frame
        moved = pages.child_frame_written != pages.parent_frame
        en = (
            f"after the fork both had the page at the same address in physical frame {pages.child_frame}, and the child's first "
            f"write gave it frame {pages.child_frame_written}"
        )
        zh = f"fork 之后，两个进程同一地址的页都在物理页框 {pages.child_frame}，子进程一写，就换到页框 {pages.child_frame_written}"
    else:
        together = bool(pages.shared_kib)
        moved = (pages.shared_kib_written or 0) < (pages.shared_kib or 0)
        en = (
            f"after the fork {pages.shared_kib} of {pages.size_kib} KiB were shared with the parent, after the child's writes "
            f"{pages.shared_kib_written} KiB"
        )
        zh = f"fork 之后 {pages.size_kib} KiB 中有 {pages.shared_kib} KiB 与父进程共用，子进程写过之后剩 {pages.shared_kib_written} KiB"
    if not together or not moved:
        return confirmed(
            f"The child never had a page in common with its parent: {en}.", f"子进程与父进程从未共用过页：{zh}。"
        )
    also = (
        ("; a page that was asked for as shared stayed so", "；要求共享的页则始终共享")
        if pages.parent_sees_shared
        else ("", "")
    )
    return refined(
        f"Kept apart, yes (the parent never saw the child's writes), but by page tables, not physically: {en}{also[0]}.",
        f"隔离是对的（父进程始终看不到子进程写的内容），但靠的是页表，不是物理隔离：{zh}{also[1]}。",
        depends_on=Text("Linux: copy on write", "Linux：写时复制"),
    )


def _n048(data: Data) -> Ruling:
    waiter = data.waiting.runners[0]
    taken = sum(runner.involuntary for runner in data.concurrent.runners)
    share, lasted = pushed_aside(data.priority.scene)
    three = (
        waiter.voluntary >= data.waits,
        taken >= FEW_TURNS,
        lasted > 0 and share < LITTLE_SHARE,
    )
    en = (
        f"A task that waited {data.waits} times gave up its core {waiter.voluntary} times; two that only computed had it taken "
        f"away {taken} times; while one of higher priority ({data.priority.how}) was there for {lasted * 1e3:.0f} ms, the lower one "
        f"ran for {share:.0%} of it."
    )
    zh = (
        f"等待 {data.waits} 次的任务主动让出核 {waiter.voluntary} 次；两个只计算的任务被夺走核 {taken} 次；优先级更高的任务"
        f"（{data.priority.how}）在场的 {lasted * 1e3:.0f} 毫秒里，低的只运行了 {share:.0%}。"
    )
    if all(three):
        return confirmed(en, zh, depends_on=_hangs_on(data))
    if not any(three):
        return refuted(en, zh, depends_on=_hangs_on(data))
    return refined(en, zh, depends_on=_hangs_on(data))


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n043": _n043,
    "n044": _n044,
    "n045": _n045,
    "n046": _n046,
    "n047": _n047,
    "n048": _n048,
}
