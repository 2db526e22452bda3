"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.lab.blocks import Block, Remark, Spread, Table, spread
from holdfast.lab.blocks import Sequence as Arrows
from holdfast.lab.cases.handshake.data import Data
from holdfast.lab.cases.handshake.judge import carried, crossing_count, difference, earliest, plain_count
from holdfast.lab.segments import Segment, captured_messages, messages
from holdfast.lab.text import Text, same

_CALLS: Final[Mapping[str, Text]] = {
    "(a client has connected)": Text("(a client has connected)", "（有客户端连上了）"),
    "→ the new socket": Text("→ the new socket", "→ 新的套接字"),
}
"""What is no call, as ``observe.py`` names it."""


def answer(data: Data) -> Text:
    """In short."""
    early, crossing = earliest(data), crossing_count(data.simultaneous)
    before_en, before_zh = " and ".join(dict.fromkeys(data.before_accept)), "、".join(dict.fromkeys(data.before_accept))
    crossing_en = f", and {crossing} when both ask at once" if crossing else ""
    crossing_zh = f"；两端同时请求时是 {crossing} 个" if crossing else ""
    return Text(
        f"{plain_count(data)} segments: SYN, SYN+ACK, ACK{crossing_en}. Each side tells from which number it counts its bytes, and hears that number plus "
        f"one back. The client is {early.client} first, while the server still is in {early.server}, and before anybody called `accept` both were {before_en}. "
        f"Data need not wait: {carried(data)} bytes travelled on the handshake's own segments.",
        f"{plain_count(data)} 个报文段：SYN、SYN+ACK、ACK{crossing_zh}。每一端说出自己的字节从哪个号数起，并听到这个号加一的回应。"
        f"客户端先进入 {early.client}，那时服务端还在 {early.server}；还没有谁调用 `accept`，两端就已是 {before_zh}。数据也不必等：{carried(data)} 字节就搭着握手自己的报文段过去了。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How long ``connect`` takes on the loopback, and its three segments."""
    found = {"connect": spread([seconds * 1e6 for seconds in data.connect_s], "µs")}
    if data.captured_s:
        found["SYN to ACK, captured"] = spread([seconds * 1e6 for seconds in data.captured_s], "µs")
    return found


def blocks(data: Data) -> Sequence[Block]:
    """Segments and states, then the numbers, then what else a handshake can be."""
    client, server = "client", "server"
    found: list[Block] = []
    if data.steps:
        found += [
            Arrows(
                Text("Carried by hand: segments and the kernel's states", "手工传递：报文段与内核中的状态"),
                client, server, messages(data.steps),
            ),
            Remark(
                Text(
                    "Between two arrows the segment was held by us; its time says nothing. Numbers are counted from where each side has started.",
                    "两个箭头之间报文段由我们扣住，时间没有意义。序号从各自的起点算起。",
                )
            ),
        ]  # fmt: skip
    if data.captured:
        found += [
            Arrows(
                Text("The same at full speed, captured on the loopback", "全速进行的同一件事，在回环上抓取"),
                client, server, captured_messages(data.captured, data.port),
            ),
            _numbers(data.captured),
        ]  # fmt: skip
    if data.first_numbers:
        found.append(
            Table(
                Text("Where the clients of several connections start to count", "几个连接的客户端从哪个号数起"),
                (Text("connection", "连接"), Text("x", "x")),
                tuple((same(place), same(number)) for place, number in enumerate(data.first_numbers, 1)),
            )
        )
    found += [_births(data), _between(data)]
    if data.fast_open:
        found.append(
            Arrows(
                Text("Fast Open: the SYN carries data, and is answered before the third segment",
                     "Fast Open：SYN 带着数据，第三个报文段之前就有回答"),
                client, server, messages(data.fast_open.steps),
            )
        )  # fmt: skip
    if data.simultaneous:
        found.append(
            Arrows(
                Text("Both ask at once: nobody listens, and they are connected", "两端同时请求：没有谁在监听，也连上了"),
                "one", "other", messages(data.simultaneous),
            )
        )  # fmt: skip
    return tuple(found)


def _numbers(captured: tuple[Segment, ...]) -> Table:
    x, y = captured[0].seq, captured[1].seq
    rows = []
    for segment in captured:
        mine, theirs = (("x", x), ("y", y)) if segment.source_port == captured[0].source_port else (("y", y), ("x", x))
        said = f"{theirs[0]}+{difference(segment.ack, theirs[1])}" if segment.has("ACK") else ""
        seq = f"{mine[0]}+{difference(segment.seq, mine[1])}"
        rows.append((
            same(segment.name), same(segment.seq), same(seq), same(segment.ack if said else ""), same(said), same(segment.length),
        ))  # fmt: skip
    return Table(
        Text("The numbers themselves", "序号本身"),
        (Text("segment", "报文段"), same("seq"), same("="), same("ack"), same("="), Text("bytes", "字节")),
        tuple(rows),
    )


def _births(data: Data) -> Table:
    return Table(
        Text("The server's socket after each call", "服务端套接字在每个调用之后"),
        (Text("call", "调用"), Text("state", "状态")),
        tuple((_CALLS.get(birth.call, same(birth.call)), same(birth.state)) for birth in data.births),
    )


def _between(data: Data) -> Table:
    ways = [(Text("client keeps its ACK back (loopback)", "客户端扣住 ACK（回环）"), data.early)]
    if data.early_wire:
        ways.append((Text("the ACK is lost (by hand)", "ACK 丢失（手工）"), data.early_wire))
    return Table(
        Text("The client is connected, the server is not", "客户端已连上，服务端还没有"),
        (
            Text("how", "方式"), Text("client", "客户端"), Text("server", "服务端"), Text("accepted", "accept 成功"),
            Text("after data", "数据到达后"), Text("read", "读到"), Text("answered", "回答"), Text("client's segments", "客户端的报文段"),
        ),
        tuple(
            (
                how, same(early.client), same(early.server),
                Text("yes", "是") if early.accepted_before else Text("no", "否"),
                same(early.server_after), same(early.read), same(early.answered), same(early.client_out),
            )
            for how, early in ways
        ),
    )  # fmt: skip
