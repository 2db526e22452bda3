"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Listing, Mark, Plot, Series, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.ipc_queue.data import Data
from holdfast.lab.cases.ipc_queue.judge import WAYS, early
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    shared = early(data, "multiprocessing.Queue")
    return Text(
        f"A pipe, locks, and a thread that writes later: so {shared.early} of {shared.rounds} times it said that it was empty though something had been put. "
        f"Without a size it counts up to {data.room.bound} items, and memory is the bound. Full and empty are told at once, in time, or by waiting, as asked.",
        f"一根管道、几把锁，再加一个稍后才写的线程：所以 {shared.rounds} 次里有 {shared.early} 次明明放了东西却报空。"
        f"不给大小时最多数到 {data.room.bound} 项，真正的限制是内存。满和空可以立即报、限时报，或一直等，悉听尊便。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """What messages cost."""
    found: dict[str, Spread] = {}
    for each in data.passages:
        found[f"queue, {each.size >> 10} KiB"] = once(each.queue_s * 1e3, "ms")
        found[f"shared memory, {each.size >> 10} KiB"] = once(each.shared_s * 1e3, "ms")
    return found


def blocks(data: Data) -> Sequence[Block]:
    """The programs in time, ways, costs, and who says empty too early."""
    sizes = tuple(each.size / 1024 for each in data.passages)
    return (
        Timeline(
            Text("The notes' programs: what is printed when", "笔记中的程序：何时打印了什么"),
            (
                _lane("p10", data.waits),
                _lane("p11", data.timed),
                _lane("p12", data.not_waiting),
                _lane("p13", data.nowait[0]),
            ),
        ),
        Table(
            Text("Three put, three got, without waiting", "放三个取三个，都不等待"),
            (Text("queue", "队列"), Text("rounds", "轮数"), Text("empty too early", "过早报空")),
            tuple((same(each.kind), same(each.rounds), same(each.early)) for each in data.early),
        ),
        Plot(
            Text("A message to another process and an answer", "给另一进程的一条消息和应答"),
            same("KiB"),
            Text("ms", "毫秒"),
            (
                Series("queue", sizes, tuple(each.queue_s * 1e3 for each in data.passages)),
                Series("shared memory", sizes, tuple(each.shared_s * 1e3 for each in data.passages)),
            ),
            log_x=True,
            log_y=True,
        ),
        Table(
            Text("Ways to tell another process something", "告诉另一个进程的途径"),
            (Text("way", "途径"), Text("arrived", "送到")),
            tuple((WAYS[each.name], Text("yes", "是") if each.arrived else Text("no", "否")) for each in data.ways),
        ),
        Listing(
            Text("How the program without waiting ends", "不等待的程序怎样结束"),
            (*data.not_waiting.out, *data.not_waiting.err[-1:]),
        ),
    )


def _lane(name: str, ran: Ran) -> Lane:
    last = ran.lines[-1].at_s if ran.lines else 0.0
    spans = (Span(0.0, last), Span(last, ran.seconds, kind="dead" if ran.returncode is None else "wait"))
    return Lane(name, spans, tuple(Mark(line.at_s, line.text) for line in ran.lines if line.stream == "out"))
