"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.lab.blocks import Block, Lane, Mark, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.producer_consumer.data import Data
from holdfast.lab.cases.producer_consumer.judge import death
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text, same

WAYS: Final = (
    Text("no counter: bake, eat, bake, eat", "没有柜台：做一个吃一个"),
    Text("a counter without end, slow guest", "柜台无上限，吃得慢"),
    Text("a counter for three, slow guest", "柜台放三个，吃得慢"),
    Text("a counter for three, as fast", "柜台放三个，一样快"),
)
"""The shops, in the order of ``Data.shops``."""


def answer(data: Data) -> Text:
    """In short."""
    alone, endless, bounded, as_fast = data.shops
    ours = death(data, "Holdfast")
    return Text(
        f"Both sides work at the same time ({alone.seconds:.2f} s become {as_fast.seconds:.2f} s), and a counter with a bound makes the quicker one wait "
        f"({bounded.most_waiting} buns lie there, {endless.most_waiting} without a bound). A word for the end is needed for each guest. One that dies takes its "
        f"bun along, unless the bun counts as eaten only when the guest says so: then {ours.eaten} of {ours.buns} are eaten.",
        f"双方同时干活（{alone.seconds:.2f} 秒变成 {as_fast.seconds:.2f} 秒），有上限的柜台让快的一方等（堆 {bounded.most_waiting} 个，不设上限堆 {endless.most_waiting} 个）。"
        f"每个消费者各需要一个结束的信号。死掉的会带走手里的包子，除非吃完才算数：那样 {ours.buns} 个吃到 {ours.eaten} 个。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How long each shop took."""
    return {shop.way: once(shop.seconds, "s") for shop in data.shops}


def blocks(data: Data) -> Sequence[Block]:
    """The shop in time, ways of running it, and deaths."""
    return (
        _timeline(Text("The notes' bun shop", "笔记中的包子铺"), data.program),
        _timeline(Text("Room for three, two guests", "容量为三，两个消费者"), data.repaired),
        Table(
            Text(f"{data.buns} buns, {data.step_s:g} s each to bake", f"{data.buns} 个包子，每个做 {data.step_s:g} 秒"),
            (
                Text("way", "方式"),
                Text("seconds", "秒"),
                Text("most on the counter", "柜台最多"),
                Text("baker waits, s", "生产者等待，秒"),
            ),
            tuple(
                (way, same(f"{s.seconds:.2f}"), same(s.most_waiting), same(f"{s.wait_s:.2f}"))
                for way, s in zip(WAYS, data.shops, strict=True)
            ),
        ),
        Table(
            Text("A guest is killed with a bun in its hands", "消费者拿着包子被杀"),
            (Text("queue", "队列"), Text("buns", "包子"), Text("eaten", "吃到")),
            tuple((same(each.queue), same(each.buns), same(each.eaten)) for each in data.deaths),
        ),
    )


def _timeline(title: Text, ran: Ran) -> Timeline:
    """A lane for each process; a bun is told when it is done."""
    lanes: dict[str, list[Mark]] = {}
    for line in ran.lines:
        words = (
            line.text.removeprefix("\x1b[45m")
            .removeprefix("\x1b[46m")
            .removesuffix("\x1b[0m")
            .removesuffix("[0m")
            .split()
        )
        if len(words) == 4 and words[1] in ("baked", "ate"):
            lanes.setdefault(f"{words[1]} ({words[0]})", []).append(Mark(line.at_s, words[3]))
    return Timeline(
        title,
        tuple(
            Lane(name, tuple(Span(start, mark.at_s, mark.label) for start, mark in _steps(marks)))
            for name, marks in lanes.items()
        ),
    )


def _steps(marks: Sequence[Mark]) -> Sequence[tuple[float, Mark]]:
    """Each bun from the end of the one before."""
    return list(zip([0.0, *(mark.at_s for mark in marks)], marks, strict=False))
