"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.lab.blocks import (
    Block,
    Lane,
    Mark,
    Plot,
    Remark,
    Series,
    Span,
    Spread,
    Table,
    Timeline,
    once,
)
from holdfast.lab.cases.memory_isolation.data import Data, Frames
from holdfast.lab.cases.memory_isolation.judge import changed_s, printed
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text, same

_CROSSINGS: Final[Mapping[str, Text]] = {
    "global": Text("a global variable, changed by a child", "全局变量，由子进程修改"),
    "Value": Text("multiprocessing.Value, changed by a child", "multiprocessing.Value，由子进程修改"),
    "shared mapping": Text("a shared mapping, changed by a child", "共享内存映射，由子进程修改"),
    "file offset": Text("the position in an open file, moved by a child", "打开文件的读写位置，由子进程移动"),
    "thread": Text("a variable, changed by a thread", "变量，由线程修改"),
}


def answer(data: Data) -> Text:
    """In short."""
    first, last = data.pages[0], data.pages[-1]
    same_place = sum(view.same_address for view in data.views)
    return Text(
        f"The parent still has {printed(data.program)} after its child has set 0, even where both use the same address ({same_place} of {len(data.views)} ways of starting). "
        f"A forked child gets no copy at first: {first.private:.0f} of {data.mapping_mib:.0f} MiB were its own, and {last.private:.0f} once it had written all of them.",
        f"子进程写成 0 之后，父进程仍是 {printed(data.program)}，即使两边用的是同一个地址（{len(data.views)} 种开启方式中有 {same_place} 种）。"
        f"fork 出的子进程起初并没有副本：{data.mapping_mib:.0f} MiB 中有 {first.private:.0f} MiB 归它自己，全部写过之后才有 {last.private:.0f} MiB。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """What the copy costs, and what the wait."""
    return {
        "private after fork": once(data.pages[0].private, "MiB"),
        "private after writing": once(data.pages[-1].private, "MiB"),
        "program with join": once(data.repaired.seconds, "s"),
    }


def blocks(data: Data) -> Sequence[Block]:
    """The wait, the two sides, the pages, and what crosses."""
    return (
        _timeline(Text("As in the notes, 500 s made one second", "笔记原样，500 秒缩成一秒"), data.program),
        _timeline(Text("Repaired: it waits for the end, and no longer", "修好的：只等到结束为止"), data.repaired),
        _timeline(Text("On Holdfast", "在 Holdfast 上"), data.holdfast),
        Table(
            Text("A number that the child sets to 0", "子进程把一个数设为 0"),
            (Text("method", "方式"), Text("child reads", "子进程读到"), Text("parent reads", "父进程读到"), Text("same address", "地址相同")),
            tuple(
                (same(view.method), same(view.child_after), same(view.parent_after), Text("yes", "是") if view.same_address else Text("no", "否"))
                for view in data.views
            ),
        ),
        Plot(
            Text("Copied when written: a forked child's memory", "写时复制：fork 出的子进程的内存"),
            Text("MiB written by the child", "子进程写过的 MiB"),
            Text("MiB", "MiB"),
            (
                Series("shared", tuple(each.written for each in data.pages), tuple(each.shared for each in data.pages)),
                Series("private", tuple(each.written for each in data.pages), tuple(each.private for each in data.pages)),
            ),
        ),
        Remark(_physical(data.frames)),
        Table(
            Text("100 is set to 0 elsewhere: what the parent then reads", "别处把 100 设为 0：父进程随后读到"),
            (Text("what", "什么"), Text("parent reads", "父进程读到")),
            tuple((_CROSSINGS[each.what], same(each.parent_after)) for each in data.crossings),
        ),
    )  # fmt: skip


def _timeline(title: Text, ran: Ran) -> Timeline:
    child = changed_s(ran) or 0.0
    main = next((line.at_s for line in ran.lines if line.text.isdigit()), ran.seconds)
    return Timeline(
        title,
        (
            Lane("child", (), (Mark(child, "sets 0"),)),
            Lane("parent", (Span(0.0, main, kind="wait"),), (Mark(main, f"prints {printed(ran)}"),)),
        ),
    )


def _physical(frames: Frames) -> Text:
    if not frames.parent:
        return Text(
            "The kernel does not tell this user which physical pages these were.",
            "内核不让当前用户看到这些是哪些物理页。",
        )
    before = "the same" if frames.parent == frames.child_before else "another"
    after = "the same" if frames.parent == frames.child_after else "another"
    zh = {"the same": "同一页", "another": "另一页"}
    return Text(
        f"One address, physical page {frames.parent:#x} in the parent: in the child {before} before it wrote there ({frames.child_before:#x}), {after} afterwards ({frames.child_after:#x}). "
        "So the walls are in the tables of addresses, which the kernel keeps; physical memory may well be shared.",
        f"同一个地址，在父进程里是物理页 {frames.parent:#x}：子进程写之前是{zh[before]}（{frames.child_before:#x}），写之后是{zh[after]}（{frames.child_after:#x}）。"
        "可见隔墙在内核掌管的地址映射表里，物理内存本身可以共用。",
    )
