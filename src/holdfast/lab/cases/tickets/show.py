"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Mark, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.tickets.data import Data, Sale
from holdfast.lab.cases.tickets.judge import lines, of, served, sold
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    with_lock, without = of(data, "lock"), of(data, "no lock")
    return Text(
        f"{sold(without)} of {without.stock} tickets are sold without a lock: everybody reads before anybody writes. With it {sold(with_lock)} are sold, and looking goes on "
        "at the same time; only buying is serial. A lock of Holdfast does it for separate programs as well.",
        f"不加锁，{without.stock} 张票卖出 {sold(without)} 张：大家都在有人写入之前读完了。加锁卖出 {sold(with_lock)} 张，查票仍同时进行，只有购票是串行的。"
        "Holdfast 的锁对互不相干的程序同样有效。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How long the shop was open."""
    return {sale.way: once(max(served(sale), default=0.0), "s") for sale in data.sales}


def blocks(data: Data) -> Sequence[Block]:
    """Every buyer of two days, and all days beside each other."""
    return (
        _timeline(Text("With the lock", "加锁"), of(data, "lock")),
        _timeline(Text("Without", "不加锁"), of(data, "no lock")),
        _timeline(
            Text("Two programs, one lock of Holdfast", "两个程序，一把 Holdfast 的锁"),
            of(data, "Holdfast's lock, two programs"),
        ),
        Table(
            Text(f"{data.buyers} buyers", f"{data.buyers} 个买家"),
            (
                Text("lock", "锁"),
                Text("tickets", "票"),
                Text("sold", "卖出"),
                Text("left, says the file", "文件中剩余"),
                Text("seconds", "秒"),
            ),
            tuple(
                (
                    same(sale.way),
                    same(sale.stock),
                    same(sold(sale)),
                    same(sale.left),
                    same(f"{max(served(sale), default=0.0):.2f}"),
                )
                for sale in data.sales
            ),
        ),
    )


def _timeline(title: Text, sale: Sale) -> Timeline:
    """A lane for each buyer: looking, then waiting and buying, then what came of it."""
    looked: dict[str, float] = {}
    through: dict[str, tuple[float, str]] = {}
    for line in lines(sale):
        name, _, rest = line.text.partition(" ")
        if rest.startswith("sees "):
            looked[name] = line.at_s
        elif rest in ("has a ticket", "comes too late"):
            through[name] = (line.at_s, rest)
    lanes = []
    for name in sorted(through, key=lambda name: through[name]):
        at_s, what = through[name]
        spans = (Span(0.0, looked.get(name, 0.0)), Span(looked.get(name, 0.0), at_s, "", "wait"))
        lanes.append(Lane(name, spans, (Mark(at_s, what),)))
    return Timeline(title, tuple(lanes))
