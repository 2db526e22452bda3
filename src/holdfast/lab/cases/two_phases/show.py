"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Mark, Plot, Series, Span, Spread, Table, Timeline, spread
from holdfast.lab.cases.two_phases.data import Data
from holdfast.lab.cases.two_phases.judge import copy_us
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    longest = max(data.waited, key=lambda each: each.delay_s)
    large, sent = data.copied[-1], data.sent
    return Text(
        f"Almost all of it on waiting: a blocking read of data that came after {longest.delay_s * 1e3:.0f} ms took "
        f"{longest.blocking_s * 1e3:.0f} ms, of which {longest.blocking_cpu_s * 1e3:.2g} ms computing. Copying takes "
        f"{copy_us(large):.0f} µs for {large.size} bytes. A send waits too, for room: {sent.taken} bytes fit, then it stood until "
        f"the other side read, after {sent.delay_s * 1e3:.0f} ms.",
        f"几乎都花在等待上：数据 {longest.delay_s * 1e3:.0f} 毫秒后才来，阻塞的读用了 {longest.blocking_s * 1e3:.0f} 毫秒，其中计算只占 "
        f"{longest.blocking_cpu_s * 1e3:.2g} 毫秒。拷贝 {large.size} 字节要 {copy_us(large):.0f} 微秒。发送同样会等，等的是空位：装下 {sent.taken} "
        f"字节之后，一直停到对方在 {sent.delay_s * 1e3:.0f} 毫秒后开始读。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How long copies take."""
    return {f"copy of {each.size} bytes": spread([s * 1e6 for s in each.copy_s], "µs") for each in data.copied}


def blocks(data: Data) -> Sequence[Block]:
    """Waiting and copying, for reads and sends."""
    asked, sent = data.not_waiting, data.sent
    return (
        Timeline(
            Text("Reads before the data have come", "数据到来之前就去读"),
            tuple(
                lane
                for each in data.waited
                for lane in (
                    Lane("recv", (Span(0.0, each.blocking_s, kind="wait"),), (Mark(each.blocking_s, "data"),)),
                    Lane("poll, recv", (Span(0.0, each.poll_s, kind="wait"), Span(each.poll_s, each.poll_s + each.copy_s))),
                )
            ),
        ),
        Table(
            Text("The two phases of a read", "读的两个阶段"),
            (Text("sender pauses", "发送方停"), Text("one recv", "一次 recv"), Text("of it computing", "其中计算"),
             Text("wait: poll", "等待：poll"), Text("copy: recv", "拷贝：recv")),
            tuple(
                (same(_ms(each.delay_s)), same(_ms(each.blocking_s)), same(_ms(each.blocking_cpu_s)), same(_ms(each.poll_s)),
                 same(_us(each.copy_s)))
                for each in data.waited
            ),
        ),
        Plot(
            Text("Reading what is there already", "读已经到达的数据"), Text("bytes", "字节"), Text("µs", "微秒"),
            (
                Series("copy", tuple(float(each.size) for each in data.copied), tuple(copy_us(each) for each in data.copied),
                       tuple(min(each.copy_s) * 1e6 for each in data.copied), tuple(max(each.copy_s) * 1e6 for each in data.copied)),
                Series("wait", tuple(float(each.size) for each in data.copied),
                       tuple(spread(each.poll_s, "s").median * 1e6 for each in data.copied)),
                Series("computing", tuple(float(each.size) for each in data.copied),
                       tuple(spread(each.cpu_s, "s").median * 1e6 for each in data.copied)),
            ),
            log_x=True, log_y=True,
        ),
        Table(
            Text(f"A socket that does not block, data after {_ms(asked.delay_s)}", f"不阻塞的套接字，数据 {_ms(asked.delay_s)} 后到"),
            (Text("answer", "回答"), Text("times", "次数"), Text("each", "每次")),
            (
                (same("BlockingIOError"), same(asked.refusals), same(_us(asked.refusal_s))),
                (Text("data", "数据"), same(1), same(_us(asked.last_s))),
            ),
        ),
        Table(
            Text("Bytes in the receiving kernel", "接收方内核里的字节"),
            (Text("call", "调用"), Text("before", "之前"), Text("given to the program", "交给程序"), Text("after", "之后")),
            tuple((same(each.call), same(each.before), same(each.got), same(each.after)) for each in data.held),
        ),
        Timeline(
            Text(f"A send of {sent.size} bytes to a reader that starts late", f"发送 {sent.size} 字节，读的一方晚些才开始"),
            (
                Lane("sendall", (Span(0.0, sent.blocking_s, kind="wait"),), (Mark(sent.blocking_s, "returns"),)),
                Lane("reader", (Span(*sent.reading_s),), (Mark(sent.reading_s[0], "first read"),)),
                Lane("poll for room", (Span(0.0, sent.room_s, kind="wait"),), (Mark(sent.room_s, "room"),)),
            ),
        ),
        Table(
            Text("A send that does not fit, at a socket that does not block", "不阻塞的套接字，发送装不下"),
            (Text("where", "位置"), Text("bytes", "字节")),
            (
                (Text("taken before it refused", "拒绝之前收下"), same(sent.taken)),
                (Text("in the sending kernel", "在发送方内核"), same(sent.kept)),
                (Text("in the receiving kernel, unread", "在接收方内核，未读"), same(sent.unread)),
            ),
        ),
        Table(
            Text("The source is changed right after the call: what arrives?", "调用一返回就改掉来源：到达的是什么"),
            (Text("call", "调用"), Text("as it was", "原来的"), Text("as it became", "改后的")),
            tuple((same(each.way), same(each.old), same(each.new)) for each in data.handed),
        ),
    )  # fmt: skip


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs"
