"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Listing, Mark, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.deadlock.data import Data, Hold
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text, same

WATCHED_S = 0.6


def answer(data: Data) -> Text:
    """In short."""
    return Text(
        "Each has what the other wants, and nobody gives way: the program stands still. One order of the locks for all keeps the "
        "circle from closing; so does a single lock, which then lets nobody else through. Holdfast looks at every wait and told the "
        f"one who closed the circle after {data.holdfast_seconds * 1e3:.1f} ms; the other went on.",
        "各自拿着对方要的，谁也不让，程序就停住了。统一加锁顺序，环就合不上；只用一把锁也行，但别人就都过不去。"
        f"Holdfast 检查每一次等待，{data.holdfast_seconds * 1e3:.1f} 毫秒后告知合上环的那一方，另一方继续运行。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How long the programs took, and how soon Holdfast knew."""
    return {
        "one order": once(data.ordered.seconds, "s"),
        "one RLock": once(data.one_rlock.seconds, "s"),
        "Holdfast tells": once(data.holdfast_seconds * 1e3, "ms"),
    }


def blocks(data: Data) -> Sequence[Block]:
    """The circle, and the three programs."""
    return (
        Timeline(Text("Two threads, two locks, opposite orders", "两个线程，两把锁，顺序相反"), _lanes(data.holds)),
        Table(
            Text("Ten threads", "十个线程"),
            (Text("program", "程序"), Text("ended", "结束"), Text("seconds", "秒"), Text("lines", "行")),
            (
                (Text("both orders", "两种顺序"), *_row(data.program)),
                (Text("one order", "统一顺序"), *_row(data.ordered)),
                (Text("one RLock under two names", "一把递归锁，两个名字"), *_row(data.one_rlock)),
            ),
        ),
        Listing(
            Text("The last lines before it stands still", "停住之前的最后几行"),
            tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.program.lines[-8:]),
        ),
        Listing(Text("What Holdfast says", "Holdfast 的说法"), tuple(data.holdfast_error.splitlines())),
    )


def _row(ran: Ran) -> tuple[Text, Text, Text]:
    ended = Text("no, killed", "否，被杀掉") if ran.returncode is None else Text("yes", "是")
    return ended, same(f"{ran.seconds:.2f}"), same(len(ran.out))


def _lanes(holds: Sequence[Hold]) -> tuple[Lane, ...]:
    end = max(hold.had_s or hold.asked_s for hold in holds) + WATCHED_S
    lanes = []
    for hold in holds:
        spans = [
            Span(hold.asked_s, end if hold.had_s is None else hold.had_s, kind="dead" if hold.had_s is None else "wait")
        ]
        if hold.had_s is not None:
            spans.append(Span(hold.had_s, end, hold.lock, "hold"))
        marks = (Mark(hold.asked_s, f"wants {hold.lock}"),) if hold.had_s is None else ()
        lanes.append(Lane(f"{hold.thread}: {hold.lock}", tuple(spans), marks))
    return tuple(lanes)
