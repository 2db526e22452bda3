"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.lab.blocks import Block, Plot, Remark, Series, Spread, Table, spread
from holdfast.lab.blocks import Sequence as Arrows
from holdfast.lab.cases.teardown.data import Data, Moment
from holdfast.lab.cases.teardown.judge import half_count, usual
from holdfast.lab.segments import Segment, Step, captured_messages, closing, messages
from holdfast.lab.text import Text, same

_MOMENTS: Final[Mapping[str, Text]] = {
    "connected": Text("connected", "已连接"),
    "client: shutdown, its FIN behind unread data": Text(
        "the client shuts down, its FIN is behind data that nobody reads", "客户端 shutdown，FIN 排在没人读的数据后面"
    ),
    "server: has read all": Text("the server has read all", "服务端读完了"),
    "server: shutdown, its FIN behind unread data": Text(
        "the server shuts down, its FIN is behind data that nobody reads", "服务端 shutdown，FIN 排在没人读的数据后面"
    ),
    "client: has read all": Text("the client has read all", "客户端读完了"),
}
"""What was done, as ``observe.py`` calls it."""


def answer(data: Data) -> Text:
    """In short."""
    return Text(
        f"{half_count(data)} segments if the server has something left to send ({data.half.flowed} bytes came after the client's end), mostly {usual(data)} "
        f"if it closes at once, and {data.reset.segments} if one side resets. Who closes first stays in TIME_WAIT for {data.time_wait_s:.0f} s; after a reset nobody does. "
        f"`shutdown` ends one direction, `close` both: what the other side still sends then is answered with RST.",
        f"服务端还有话要说时是 {half_count(data)} 个报文段（客户端结束之后还收到 {data.half.flowed} 字节），它立即关闭时多半是 {usual(data)} 个，一端复位时是 "
        f"{data.reset.segments} 个。先关闭的一端在 TIME_WAIT 停留 {data.time_wait_s:.0f} 秒；复位之后谁也不停留。`shutdown` 只断一个方向，`close` 断两个："
        f"对方之后再发的数据得到的是 RST。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """Segments, and how long the port is kept."""
    return {
        "segments, server closes at once": spread([float(count) for count in data.at_once], ""),
        "segments, server has more to send": spread([float(half_count(data))], ""),
        "TIME_WAIT": spread([data.time_wait_s], "s"),
    }


def blocks(data: Data) -> Sequence[Block]:
    """Each way to close, by hand with the states, then captured, then in numbers."""
    found: list[Block] = []
    by_hand = (
        (Text("Four: the server has something left to send", "四个：服务端还有话要说"), data.four),
        (Text("Three: the server closes at once", "三个：服务端立即关闭"), data.three),
        (Text("Both close at once", "两端同时关闭"), data.crossing),
        (Text("One: a reset", "一个：复位"), data.one),
    )
    found += [_by_hand(title, steps) for title, steps in by_hand if steps]
    if any(steps for _, steps in by_hand):
        found.append(
            Remark(
                Text(
                    "Carried by hand: we held each segment while the states were read, so the times say nothing. Numbers are counted from the first segment shown.",
                    "手工传递：读取状态时报文段由我们扣住，所以时间没有意义。序号从所示的第一个报文段算起。",
                )
            )
        )
    captured = (
        (Text("Captured on the loopback: data still flow after the first FIN", "在回环上抓取：第一个 FIN 之后数据照样流动"), data.half.captured),
        (Text("Captured: the server closes at once", "抓取：服务端立即关闭"), data.at_once_captured),
        (Text("Captured: `close` at the client, and the server still writes", "抓取：客户端 `close`，服务端还在写"), data.gone.captured),
        (Text("Captured: a close with bytes that were never read", "抓取：还有没读的字节就关闭"), data.unread.captured),
    )  # fmt: skip
    found += [_captured(title, segments, data.port) for title, segments in captured if segments]
    found += [_pauses(data), _ends(data), _stuck(data.stuck)]
    return tuple(found)


def _by_hand(title: Text, steps: tuple[Step, ...]) -> Arrows:
    return Arrows(title, "client", "server", messages(steps))


def _captured(title: Text, segments: tuple[Segment, ...], port: int) -> Arrows:
    return Arrows(title, "client", "server", captured_messages(segments, port))


def _pauses(data: Data) -> Plot:
    counts = [spread([float(count) for count in pause.segments], "") for pause in data.pauses]
    return Plot(
        Text("How many segments, by how long the server waits before it closes", "报文段数目与服务端关闭前停顿的关系"),
        Text("pause, ms", "停顿，毫秒"),
        Text("segments", "报文段"),
        (
            Series(
                "segments",
                tuple(pause.pause_s * 1e3 for pause in data.pauses),
                tuple(each.median for each in counts),
                tuple(each.low for each in counts),
                tuple(each.high for each in counts),
            ),
        ),
        kind="steps",
    )


def _ends(data: Data) -> Table:
    half, reset, unread = data.half, data.reset, data.unread
    more, at_once = (
        Text("the server has more to send", "服务端还有话要说"),
        Text("the server closes at once", "服务端立即关闭"),
    )
    zero, rest = (
        Text("reset: SO_LINGER of 0 s", "复位：SO_LINGER 为 0 秒"),
        Text("closed with unread bytes", "有没读的字节就关闭"),
    )
    rows = (
        (more, half_count(data), half.captured, half.end, ""),
        (at_once, data.at_once[0], data.at_once_captured, data.at_once_end, ""),
        (zero, reset.segments, reset.captured, reset.end, reset.error),
        (rest, unread.segments, unread.captured, unread.end, unread.error),
    )
    return Table(
        Text("How many segments end it, and what is left", "用几个报文段结束，剩下什么"),
        (
            Text("way", "方式"), Text("counted", "计数"), Text("captured", "抓到"), Text("client", "客户端"), Text("server", "服务端"),
            Text("the server's recv", "服务端的 recv"),
        ),
        tuple(
            (
                way, same(count), same("?" if segments is None else len(closing(segments))), same(end.client), same(end.server),
                same(error) if error else Text("end", "结束"),
            )
            for way, count, segments, end, error in rows
        ),
    )  # fmt: skip


def _stuck(moments: tuple[Moment, ...]) -> Table:
    return Table(
        Text("Each state made to last, without any rights", "让每个状态停住，不需要任何权限"),
        (Text("what happened", "发生了什么"), Text("client", "客户端"), Text("server", "服务端")),
        tuple((_MOMENTS.get(m.what, same(m.what)), same(m.client), same(m.server)) for m in moments),
    )
