"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Listing, Span, Spread, Table, Timeline, spread
from holdfast.lab.cases.semaphore.data import Data, Stay
from holdfast.lab.cases.semaphore.judge import most_inside
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    return Text(
        f"At most {most_inside(data.semaphore)} were inside at once, as many as there are places. Without a number it has "
        f"{data.default_threads}. Unlike a lock it belongs to nobody: anybody may let the next one in.",
        f"同时在内的最多 {most_inside(data.semaphore)} 个，与位置数相同。不写数目时只有 {data.default_threads} 位。"
        "与锁不同，它不属于任何人：谁都可以放下一个进来。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How long one waited for a place."""
    return {"wait": spread([stay.entered_s - stay.asked_s for stay in data.semaphore], "s")}


def blocks(data: Data) -> Sequence[Block]:
    """Who was inside when."""
    return (
        Timeline(Text("Twenty visitors, five places", "二十个访客，五个位置"), _lanes(data.semaphore)),
        Timeline(Text("Five visitors, one mutex", "五个访客，一把互斥锁"), _lanes(data.mutex)),
        Table(
            Text("How many enter where one place is meant", "只该有一个位置时，进去了几个"),
            (Text("kind", "种类"), Text("inside", "在内")),
            (
                (Text("threading.Semaphore(1), inherited by four processes", "threading.Semaphore(1)，四个进程继承"),
                 same(data.forked_threading)),
                (Text("multiprocessing.Semaphore(1), the same four", "multiprocessing.Semaphore(1)，同样四个"),
                 same(data.forked_multiprocessing)),
                (Text("Holdfast, four clients", "Holdfast，四个客户端"), same(data.holdfast_processes)),
            ),
        ),
        Listing(Text("What the notes' program prints", "笔记中的程序的输出"),
                tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.program.lines)),
    )  # fmt: skip


def _lanes(stays: Sequence[Stay]) -> tuple[Lane, ...]:
    return tuple(
        Lane(
            str(number),
            (Span(stay.asked_s, stay.entered_s, kind="wait"), Span(stay.entered_s, stay.left_s, kind="hold")),
        )
        for number, stay in enumerate(stays, 1)
    )
