"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal

from holdfast.lab.blocks import Block, Lane, Mark, Plot, Remark, Series, Span, Spread, Table, Timeline, once, spread
from holdfast.lab.cases.zombies_orphans.data import Data, State
from holdfast.lab.cases.zombies_orphans.judge import all_zombies_mib, zombie_kib
from holdfast.lab.text import Text, same

_KINDS: Final[Mapping[str, Literal["work", "wait", "hold", "dead"]]] = {"R": "work", "S": "wait", "Z": "dead"}


def answer(data: Data) -> Text:
    """In short."""
    orphan, each = data.orphan, zombie_kib(data)
    return Text(
        f"A zombie is an entry in the kernel's table: {data.zombie.memory_kib} KiB of memory, about {each:.1f} KiB of the kernel, and one process id until its parent waits. "
        f"An orphan went to {orphan.parent_after}, the nearest process that adopts, and kept what it held. "
        f"Ids run out long before memory: {data.slots} zombies would take {all_zombies_mib(data):.0f} of {data.memory_mib:.0f} MiB.",
        f"僵尸只是内核表里的一项：内存 {data.zombie.memory_kib} KiB，内核约 {each:.1f} KiB，外加一个进程号，直到父进程 wait。"
        f"孤儿归了最近的收养者 {orphan.parent_after}，手里占着的东西照样占着。"
        f"进程号远比内存先用完：{data.slots} 个僵尸也只占 {data.memory_mib:.0f} MiB 中的 {all_zombies_mib(data):.0f} MiB。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """What a zombie costs."""
    return {
        "records of a zombie": once(zombie_kib(data), "KiB"),
        "growth per zombie, whole machine": spread(data.kernel_kib, "KiB"),
        "all zombies there can be": once(all_zombies_mib(data), "MiB"),
        "memory of a child that lives": once(data.zombie.memory_kib_alive / 1024, "MiB"),
    }


def blocks(data: Data) -> Sequence[Block]:
    """A life and after, whose child an orphan is, and piles."""
    orphan = data.orphan
    numbers = tuple(float(count) for count in data.forks)
    return (
        Timeline(Text("A child lives, is dead, and is taken away", "子进程活着、死去、被收走"), (_lane(data.zombie.states),)),
        Table(
            Text("An orphan", "孤儿"),
            (Text("moment", "时刻"), Text("what was seen", "看到的")),
            (
                (Text("its parent lives", "父进程活着"), Text(f"child of {orphan.parent}", f"归 {orphan.parent}")),
                (
                    Text("its parent was killed", "父进程被杀之后"),
                    Text(f"child of {orphan.parent_after} (the sub-reaper is {orphan.adopter})", f"归 {orphan.parent_after}（收养者是 {orphan.adopter}）"),
                ),
                (
                    Text("the same in a pid namespace", "在 PID 命名空间里"),
                    Text("not tried", "未试")
                    if orphan.parent_in_namespace is None
                    else Text(f"child of {orphan.parent_in_namespace}", f"归 {orphan.parent_in_namespace}"),
                ),
                (
                    Text("the lock of its dead parent", "死去的父进程的锁"),
                    Text("held by the orphan", "仍被孤儿占着") if orphan.lock_held else Text("free", "空着"),
                ),
                (Text("it ended, nobody waits", "它结束了，没人 wait"), _state(orphan.state_unburied)),
                (Text("its new parent waits", "养父母 wait 之后"), _state(orphan.state_buried)),
            ),
        ),
        Plot(
            Text("Forks without a wait", "只 fork 不 wait"),
            Text("forks", "fork 次数"),
            Text("zombies", "僵尸数"),
            (
                Series("bare fork", numbers, tuple(float(count) for count in data.piled)),
                Series("multiprocessing", (float(data.starts),), (float(data.piled_by_multiprocessing),)),
            ),
        ),
        Table(
            Text("How many processes there may be", "最多能有多少进程"),
            (Text("limit", "上限"), Text("processes", "进程数"), Text("as zombies, MiB", "全是僵尸时的 MiB")),
            tuple(
                (same(name), same(most), same(f"{zombie_kib(data) * most / 1024:.0f}")) for name, most in data.limits
            ),
        ),
        Table(
            Text("A user at the limit", "到了上限的用户"),
            (Text("may start", "还能开"), Text("zombies", "僵尸"), Text("next fork", "下一次 fork"), Text("free memory", "空闲内存")),
            (
                (
                    same(data.limit.allowed),
                    same(data.limit.zombies),
                    same(data.limit.error) if data.limit.error else Text("works", "成功"),
                    same(f"{data.limit.available_mib:.0f} MiB"),
                ),
            ),
        ),
        Remark(
            Text(
                f"Holdfast's keeper and supervisors are sub-reapers themselves: of three processes that a job's command left behind, {data.holdfast_left} were there when the job had ended; "
                f"its receipt says \"{data.holdfast_tree}\" of the tree.",
                f"Holdfast 的守护者和监管进程自己就是收养者：任务的命令留下三个进程，任务结束时还剩 {data.holdfast_left} 个；回执对整棵进程树的说法是“{data.holdfast_tree}”。",
            )
        ),
    )  # fmt: skip


def _lane(states: Sequence[State]) -> Lane:
    spans = tuple(
        Span(state.at_s, following.at_s, kind=_KINDS.get(state.letter, "work")) for state, following in pairwise(states)
    )
    return Lane("child", spans, tuple(Mark(state.at_s, f"{state.note}: {state.letter or 'gone'}") for state in states))


def _state(letter: str | None) -> Text:
    return same(letter) if letter else Text("gone", "已消失")
