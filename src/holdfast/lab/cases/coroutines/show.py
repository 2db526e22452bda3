"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Listing, Plot, Series, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.coroutines.data import Data, Stop
from holdfast.lab.cases.coroutines.judge import cheapest, dearest_inside, gains, stopped, ticks_inside
from holdfast.lab.text import Text, same

LOOPS = {
    "asyncio": Text("asyncio", "asyncio"),
    "gevent": Text("gevent", "gevent"),
    "gevent, patched": Text("gevent, patched", "gevent（已打补丁）"),
}
ENDINGS = {
    "greenlet": Text("a greenlet, nobody waits", "协程，没人等"),
    "greenlet, joined": Text("a greenlet, joined", "协程，join 了它"),
    "greenlet, another one joined": Text("a greenlet, another one joined", "协程，join 的是另一个"),
    "thread": Text("a thread, nobody waits", "线程，没人等"),
}

KINDS = {"as-in-the-notes": Text("as in the notes", "笔记原样"), "repaired": Text("repaired", "修正后")}


def answer(data: Data) -> Text:
    """In short."""
    waiting, computing = gains(data)
    kernel, loop, best = (
        cheapest(data.costs, inside=False),
        dearest_inside(data.costs),
        cheapest(data.costs, inside=True),
    )
    still = sum(stopped(stop) for stop in data.stops if not stop.gives_way)
    deaf = sum(not stop.gives_way for stop in data.stops)
    return Text(
        f"With switching, tasks that wait were done {waiting:.1f} times as fast, tasks that compute {computing:.2f} times. A switch inside "
        f"the program cost {best.us.low:.2f} to {loop.us.low:.1f} µs, one by the kernel from {kernel.us.low:.1f} µs. "
        f"{still} of {deaf} calls that the loop did not know of brought everything to a stop.",
        f"切换之后，等待的任务速度是逐个做的 {waiting:.1f} 倍，计算的任务是 {computing:.2f} 倍。程序内部切换一次花 {best.us.low:.2f} 至 {loop.us.low:.1f} 微秒，"
        f"由内核切换至少 {kernel.us.low:.1f} 微秒。循环不知道的 {deaf} 次调用中，有 {still} 次让一切停下。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """Costs of a hand-over, and times of the tasks."""
    found = {f"switch: {cost.name}": cost.us for cost in data.costs}
    for each in data.worked:
        found[f"waiting: {each.means}"] = each.waiting_s
        found[f"computing: {each.means}"] = each.computing_s
    for served in data.served:
        if served.kind == "repaired":
            found["answers of the repaired server"] = once(served.answers / served.seconds, "/s")
    return found


def blocks(data: Data) -> Sequence[Block]:
    """What a switch brings and costs, who stood still, and how the server did."""
    return (*_switching(data), *_standing_still(data), *_patching(data), *(_serving(data) if data.served else ()))


def _switching(data: Data) -> Sequence[Block]:
    return (
        Plot(
            Text(f"{data.tasks} tasks in one thread", f"一个线程里的 {data.tasks} 个任务"),
            Text("means", "方式"),
            Text("ms", "毫秒"),
            tuple(
                Series(name, tuple(float(place) for place in range(len(values))), tuple(value.median * 1e3 for value in values),
                       tuple(value.low * 1e3 for value in values), tuple(value.high * 1e3 for value in values))
                for name, values in (("wait", [each.waiting_s for each in data.worked]),
                                     ("compute", [each.computing_s for each in data.worked]))
            ),
            kind="bars",
            categories=tuple(each.means for each in data.worked),
        ),
        Table(
            Text("Handing over the CPU, on one CPU", "交出 CPU 一次（同一个 CPU 上）"),
            (Text("way", "方式"), Text("by", "谁来切换"), Text("µs", "微秒"), Text("to", "至"), Text("kernel's switches", "内核切换次数")),
            tuple(
                (same(cost.name), Text("program", "程序") if cost.inside else Text("kernel", "内核"), same(f"{cost.us.low:.2f}"),
                 same(f"{cost.us.high:.2f}"), same(f"{cost.kernel_switches:.2f}"))
                for cost in data.costs
            ),
        ),
    )  # fmt: skip


def _standing_still(data: Data) -> Sequence[Block]:
    return (
        *(
            Timeline(
                Text(f"{LOOPS[loop].en}: a ticker, beside calls of another task", f"{LOOPS[loop].zh}：滴答任务，旁边另一个任务在调用"),
                tuple(lane for stop in data.stops if stop.loop == loop for lane in _lanes(stop)),
            )
            for loop in LOOPS
            if any(stop.loop == loop for stop in data.stops)
        ),
        Table(
            Text("Ticks while the call lasted", "调用期间的滴答次数"),
            (Text("loop", "循环"), Text("call", "调用"), Text("ticks", "滴答"), Text("the others", "别的任务")),
            tuple(
                (LOOPS[stop.loop], same(stop.call), same(ticks_inside(stop)),
                 Text("stood still", "停下了") if stopped(stop) else Text("went on", "照常运行"))
                for stop in _all_stops(data)
            ),
        ),
    )  # fmt: skip


def _patching(data: Data) -> Sequence[Block]:
    found: list[Block] = []
    if data.patched is not None:
        found.append(
            Table(
                Text("Names that `monkey.patch_all()` replaced", "`monkey.patch_all()` 替换的名字"),
                (Text("module", "模块"), Text("names", "个数")),
                tuple((same(name), same(count)) for name, count in data.patched.replaced),
            )
        )
    if data.endings:
        found.append(
            Table(
                Text("The last line is over, something has a while to go", "最后一行已过，还有人没跑完"),
                (Text("what", "是什么"), Text("began", "开始了"), Text("came to its end", "跑到了底")),
                tuple((ENDINGS[each.what], _yes(each.began), _yes(each.finished)) for each in data.endings),
            )
        )
    return found


def _serving(data: Data) -> Sequence[Block]:
    return (
        Table(
            Text("All knock while the server is held up for a moment", "服务端停顿片刻时，大家同时来连"),
            (
                Text("server", "服务端"),
                Text("backlog", "队列"),
                Text("knocked", "来了"),
                Text("let in", "进来"),
                Text("answered", "得到回答"),
                Text("server's threads", "服务端线程"),
            ),
            tuple(
                (
                    KINDS[each.kind],
                    *map(same, (each.backlog, each.knocked, each.let_in, each.answered, each.threads)),
                )
                for each in data.bursts
            ),
        ),
        Plot(
            Text("The notes' client threads: how many have had an answer", "笔记的客户端线程：已有多少得到回答"),
            Text("s since the clients' start", "客户端启动后的秒数"),
            Text("clients", "客户端数"),
            tuple(
                Series(each.kind, tuple(at for at, _ in each.curve), tuple(float(n) for _, n in each.curve))
                for each in data.served
            ),
            kind="steps",
        ),
        Table(
            Text("The same threads, each with a few lines to say", "同样这些线程，各说几句"),
            (
                Text("server", "服务端"),
                Text("lines each", "每个几句"),
                Text("had all answers", "收齐回答"),
                Text("wrong", "错"),
                Text("turned away", "回绝次数"),
                Text("time", "用时"),
                Text("came to its end", "跑到了底"),
            ),
            tuple(
                (
                    KINDS[each.kind],
                    same(each.rounds),
                    same(f"{each.complete}/{each.clients}"),
                    same(each.wrong),
                    same(each.overflows),
                    same(f"{each.seconds:.1f} s"),
                    _yes(each.ended),
                )
                for each in data.served
            ),
        ),
        Table(
            Text(
                "Clients that do not read, or leave in the middle of the answers",
                "不读回答的客户端，和中途离开的客户端",
            ),
            (
                Text("server", "服务端"),
                Text("sent", "发出"),
                Text("missing", "少回来"),
                Text("left", "中途离开"),
                Text("errors not caught", "没捕获的错误"),
                Text("serves on", "继续服务"),
            ),
            tuple(
                (
                    KINDS[each.kind],
                    same(f"{each.sent_bytes} B"),
                    same(f"{each.sent_bytes - each.returned_bytes} B"),
                    same(each.vanished),
                    same(each.escaped),
                    _yes(each.serves),
                )
                for each in data.impolite
            ),
        ),
        Listing(
            Text("What the clients print first", "客户端最先打印的"),
            tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.served[0].lines),
        ),
    )


def _all_stops(data: Data) -> tuple[Stop, ...]:
    return data.stops if data.patched is None else (*data.stops, data.patched.early_name)


def _lanes(stop: Stop) -> tuple[Lane, Lane]:
    """The task that calls, and the ticker: at work while it ticks, stuck where the next tick is long overdue."""
    ticker = tuple(
        Span(at, following, kind="work" if following - at < 5 * stop.every_s else "dead")
        for at, following in zip(stop.ticks, stop.ticks[1:], strict=False)
    )
    return Lane(stop.call, (Span(stop.began_s, stop.ended_s, kind="hold"),)), Lane("ticker", ticker)


def _yes(value: bool) -> Text:
    return Text("yes", "是") if value else Text("no", "否")
