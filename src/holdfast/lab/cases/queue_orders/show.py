"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.lab.blocks import Block, Lane, Listing, Remark, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.queue_orders.data import Data, Order, Stay, Tie
from holdfast.lab.cases.queue_orders.judge import score
from holdfast.lab.text import Text, same

CARRIERS: Final = ("python", "holdfast")
ORDERS: Final[Mapping[Order, Text]] = {
    "fifo": Text("oldest first (Queue)", "最早的先出（Queue）"),
    "lifo": Text("newest first (LifoQueue)", "最晚的先出（LifoQueue）"),
    "priority": Text("smallest first (PriorityQueue)", "最小的先出（PriorityQueue）"),
}
PAYLOADS: Final[Mapping[str, Text]] = {
    "dict": Text("number, dict", "数字、字典"),
    "text": Text("number, text", "数字、字符串"),
    "counted dict": Text("number, count, dict", "数字、计数、字典"),
}


def answer(data: Data) -> Text:
    """In short."""
    trials = len(data.trials)
    errors = sum(bool(each.error) for each in data.ties if each.carrier == "python")
    return Text(
        f"The oldest, the newest or the smallest: {trials} random rows of numbers went through the three kinds. A priority queue "
        f"compares whole items, so equal numbers fall back on the data behind them: {errors} of 3 ways to put two such items failed, "
        f"and Python promises no order of arrival. An item with a great number was passed by {data.overtaken} of {data.overtakers} later ones.",
        f"最早的、最晚的或最小的：{trials} 组随机数走过了三种队列。优先级队列比较整个元素，数字相同就比后面的数据：3 种放法里有 {errors} 种出错，"
        f"Python 也不保证按到达先后。一个数字很大的元素，被后来的 {data.overtakers} 个中的 {data.overtaken} 个超过。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How many passed an item that was not urgent."""
    return {"overtaken by": once(data.overtaken, "")}


def blocks(data: Data) -> Sequence[Block]:
    """How long items stay in each kind, what came out, and what becomes of equals."""
    return (
        *(Timeline(_title(order), _lanes(stays)) for order, stays in data.stays),
        Table(
            Text("Random rows of numbers that came out in order", "按规定顺序出来的随机数组数"),
            (Text("order", "顺序"), *(same(name) for name in CARRIERS)),
            tuple(
                (
                    name,
                    *(Text("{} of {}".format(*of), "{1} 组中 {0} 组".format(*of)) for of in _scores(data, order)),
                )
                for order, name in ORDERS.items()
            ),
        ),
        Table(
            Text("Two items with the same number", "数字相同的两个元素"),
            (Text("queue", "队列"), Text("item", "元素"), Text("what happens", "结果")),
            tuple((same(each.carrier), PAYLOADS[each.payload], _outcome(each)) for each in data.ties),
        ),
        Remark(
            Text(
                "A priority queue has no mercy: as long as more urgent items come, the others stay. Where nobody may be left behind, "
                "let the number fall as an item waits.",
                "优先级队列不讲情面：只要不断有更紧急的进来，其余的就一直留着。若不许有人被遗忘，就让数字随等待时间变小。",
            )
        ),
        Listing(
            Text("What the three programs print", "三个程序的输出"),
            tuple("   ".join(ran.out) for ran in (data.fifo, data.lifo, data.priority)),
        ),
    )


def _scores(data: Data, order: Order) -> tuple[tuple[int, int], tuple[int, int]]:
    return score(data, "python", order), score(data, "holdfast", order)


def _title(order: Order) -> Text:
    name = ORDERS[order]
    return Text(f"Five items in a queue: {name.en}", f"队列里的五个元素：{name.zh}")


def _lanes(stays: Sequence[Stay]) -> tuple[Lane, ...]:
    ordered = sorted(stays, key=lambda stay: stay.put_s)
    return tuple(Lane(str(stay.item), (Span(stay.put_s, stay.got_s, kind="wait"),)) for stay in ordered)


def _outcome(tie: Tie) -> Text:
    if tie.error:
        return same(tie.error)
    if tie.arrival_order:
        return Text("the first to come is next", "先到的先出")
    return Text("the smaller data is next, though it came later", "数据较小的先出，尽管它后到")
