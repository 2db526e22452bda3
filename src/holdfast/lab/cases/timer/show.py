"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.lab.blocks import Block, Lane, Listing, Mark, Span, Spread, Table, Timeline, spread
from holdfast.lab.cases.timer.data import Data, Given
from holdfast.lab.cases.timer.judge import arrived, late_s
from holdfast.lab.text import Text, same

KINDS: Final[Mapping[str, Text]] = {
    "tuple": Text("tuple", "元组"),
    "list": Text("list", "列表"),
    "generator": Text("generator", "生成器"),
    "dict": Text("dict", "字典"),
    "text": Text("text", "字符串"),
    "number in brackets": Text("a number in brackets", "括号里的数字"),
}


def answer(data: Data) -> Text:
    """In short."""
    late = spread(late_s(data), "s")
    fit = sum(map(arrived, data.given))
    python, holdfast = data.python_after_death, data.holdfast_after_death
    return Text(
        f"A timer is a thread that sleeps first: {data.waiting} of them took {data.threads_of_waiting} threads. Calls came {late.low * 1e3:.1f} to "
        f"{late.high * 1e3:.1f} ms late. Of {len(data.given)} things given as arguments {fit} were accepted. When its program was killed the call "
        f"{'was still made' if python else 'was lost'}; one that Holdfast keeps {'was still made' if holdfast else 'was lost'}.",
        f"定时器就是一个先睡觉的线程：{data.waiting} 个定时器占了 {data.threads_of_waiting} 个线程。调用晚了 {late.low * 1e3:.1f} 到 {late.high * 1e3:.1f} 毫秒。"
        f"作为参数给出的 {len(data.given)} 种东西里有 {fit} 种被接受。程序被杀之后，调用{'仍然执行了' if python else '就丢了'}；"
        f"由 Holdfast 保管的{'仍然执行了' if holdfast else '也丢了'}。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How late calls are."""
    return {"late": spread([late * 1e3 for late in late_s(data)], "ms")}


def blocks(data: Data) -> Sequence[Block]:
    """Timers beside each other, what they take as arguments, and their end."""
    calls = sorted(data.calls, key=lambda call: call.started_s)
    last = max(call.started_s for call in calls)
    yes, no = Text("yes", "是"), Text("no", "否")
    return (
        Timeline(
            Text("Five timers; the last to start is the first to call", "五个定时器；最后开启的最先调用"),
            (
                Lane("main", (Span(0.0, last),)),
                *(
                    Lane(
                        call.thread,
                        (Span(call.started_s, call.started_s + call.waited_s, kind="wait"),),
                        (Mark(call.started_s + call.waited_s, "calls"),),
                    )
                    for call in calls
                ),
            ),
        ),
        Table(
            Text("What may be given as arguments", "什么可以作为参数"),
            (Text("kind", "种类"), Text("written", "写法"), Text("the function receives", "函数收到的")),
            tuple((KINDS[each.what], same(f"args={each.written}"), _outcome(each)) for each in data.given),
        ),
        Table(
            Text("The program is killed before the time is over", "时间未到，程序被杀"),
            (Text("timer", "定时器"), Text("call made", "调用是否执行")),
            (
                (same("threading.Timer"), yes if data.python_after_death else no),
                (same("holdfast.local.Timer"), yes if data.holdfast_after_death else no),
            ),
        ),
        Table(
            Text("Called off in time", "及时取消"),
            (Text("timers", "定时器"), Text("threads while they wait", "等待时的线程"), Text("calls", "调用")),
            ((same(data.waiting), same(data.threads_of_waiting), same(data.cancelled_calls)),),
        ),
        Listing(
            Text(
                f"What the notes' program prints (its timer waits {data.pause_s:g} s here)",
                f"笔记中的程序的输出（这里定时器等 {data.pause_s:g} 秒）",
            ),
            tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.programs[0].lines),
        ),
    )


def _outcome(given: Given) -> Text:
    return same(", ".join(given.received) if given.received is not None else given.error)
