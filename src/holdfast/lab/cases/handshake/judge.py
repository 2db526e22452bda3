"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.handshake.data import Data, Early
from holdfast.lab.segments import Segment, Step
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

_NUMBERS: Final = 1 << 32
_LINUX: Final = Text("Linux: the tables that were read are its own", "Linux：读的是它的内核表")


def state_after(data: Data, call: str) -> str:
    """The server's socket after a call; "" if that was not looked at."""
    return next((birth.state for birth in data.births if birth.call == call), "")


def earliest(data: Data) -> Early:
    """The moment between: with a lost ACK if there was a wire for that."""
    return data.early_wire or data.early


def difference(later: int, earlier: int) -> int:
    """How far a sequence number has come; they begin again at 2³²."""
    return (later - earlier) % _NUMBERS


def opening(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The segments that connect: all with SYN, and the first one without it."""
    asked = tuple(one for one in segments if one.has("SYN"))
    return asked + tuple(one for one in segments if not one.has("SYN"))[:1]


def plain_count(data: Data) -> int:
    """Segments of a plain handshake: captured, or as the client's kernel counts them."""
    return len(opening(data.captured)) if data.captured else data.segments


def carried(data: Data) -> int:
    """Bytes that travelled on segments of a handshake of no more than three."""
    on_syn = 0
    if data.fast_open is not None:
        on_syn = next((step.segment.length for step in data.fast_open.steps if step.segment.has("SYN")), 0)
    on_third = data.early.read if data.early.client_out == 2 else 0
    return max(on_syn, on_third)


def _n002(data: Data) -> Ruling:
    asked, between = data.asked, earliest(data).server
    bound, listens = state_after(data, "bind()"), state_after(data, "listen()")
    while_asked = {step.listener for step in data.steps or () if step.server == "SYN_RECV"}
    if (asked, between, listens) != ("SYN_SENT", "SYN_RECV", "LISTEN"):
        return refuted(
            f"The client that asks was in {asked}, the server after `listen` in {listens}, and once asked in {between}.",
            f"发出请求的客户端处于 {asked}，服务端 `listen` 之后处于 {listens}，收到请求后处于 {between}。",
        )
    if bound == "LISTEN" and while_asked <= {"SYN_RECV"} and data.steps is not None:
        return confirmed(
            "The states came as told, and LISTEN was there before any call.", "状态如所说，而且 LISTEN 一开始就有。"
        )
    return refined(
        f"{asked}, {listens} and {between} were all seen (the kernel writes SYN_RECV). But LISTEN begins with `listen`: after `bind` "
        f"the socket was {bound}. And the listening socket never leaves LISTEN: SYN_RECV belongs to a new entry in the kernel's table, one for each request.",
        f"{asked}、{listens}、{between} 都看到了（内核写作 SYN_RECV）。但 LISTEN 从 `listen` 开始：`bind` 之后还是 {bound}。"
        f"监听套接字也从不离开 LISTEN：SYN_RECV 属于内核表里新的一项，每个请求一项。",
        depends_on=_LINUX,
    )


def _n003(data: Data) -> Ruling:
    early = earliest(data)
    if early.client != "ESTABLISHED" or early.server == "ESTABLISHED":
        return refuted(
            f"The two states were not apart: client {early.client}, server {early.server}.",
            f"两个状态没有分开：客户端 {early.client}，服务端 {early.server}。",
        )
    if early.accepted_before:
        return confirmed(
            f"The server's program had the connection while its side was in {early.server} and the client's in {early.client}.",
            f"服务端处于 {early.server}、客户端处于 {early.client} 时，服务端程序就已拿到连接。",
        )
    fast_en, fast_zh = "", ""
    if data.fast_open is not None and data.fast_open.read and data.fast_open.answered:
        fast_en = (
            f" With Fast Open {data.fast_open.read} bytes went there and {data.fast_open.answered} came back "
            f"while the server was in {data.fast_open.state_when_read}."
        )
        fast_zh = (
            f"用 Fast Open 时，服务端还处于 {data.fast_open.state_when_read}，就已经去了 {data.fast_open.read} 字节、"
            f"回了 {data.fast_open.answered} 字节。"
        )
    return refined(
        f"Each side does become ESTABLISHED by itself: the client was, while the server was in {early.server}. But it means that a side's own SYN was "
        f"confirmed, not that half a pipe is open: in that moment the kernel took {early.taken} bytes from the client and `accept` had nothing yet; "
        f"they could be read ({early.read}), and answered ({early.answered}), once both were ESTABLISHED.{fast_en}",
        f"两端确实各自进入 ESTABLISHED：客户端已是，服务端还在 {early.server}。但它的意思是自己的 SYN 得到了确认，而不是半条管道通了："
        f"那一刻内核收下客户端的 {early.taken} 字节，`accept` 却还拿不到连接；两端都 ESTABLISHED 之后才读到（{early.read}）、才有回答（{early.answered}）。{fast_zh}",
    )


def _n004(data: Data) -> Ruling:
    if data.captured is None:
        after_connect, after_data = data.acknowledged
        if after_connect != 1:
            return refuted(
                f"After connecting the kernel counts {after_connect} of the client's numbers as confirmed, not one.",
                f"连上之后内核算出被确认的序号有 {after_connect} 个，而不是一个。",
            )
        if after_data == after_connect + data.sent:
            return refined(
                f"Plus one, yes: after connecting, one number of the client was confirmed (its SYN). But it counts: after {data.sent} more bytes it was {after_data}.",
                f"加一属实：连上之后客户端有一个序号被确认（它的 SYN）。但它是计数：又发 {data.sent} 字节之后是 {after_data}。",
            )
        return confirmed("One number was confirmed, and data added none.", "一个序号被确认，数据没有再增加。")
    first, second = data.captured[0], data.captured[1]
    third = next(one for one in data.captured[2:] if one.source_port == first.source_port)
    steps = difference(second.ack, first.seq), difference(third.ack, second.seq)
    if steps != (1, 1):
        return refuted(
            f"The answer confirmed x + {steps[0]}, the third segment y + {steps[1]}.",
            f"应答确认的是 x + {steps[0]}，第三个报文段确认的是 y + {steps[1]}。",
        )
    grown = max(difference(one.ack, first.seq) for one in data.captured if one.source_port == second.source_port)
    if grown == 1:
        return confirmed(
            f"x = {first.seq}, and x + 1 came back, also after {data.sent} bytes of data.",
            f"x = {first.seq}，送回的是 x + 1，发了 {data.sent} 字节之后也是。",
        )
    guessed_en, guessed_zh = "", ""
    if data.forged is not None:
        guessed_en = (
            f" Like a code word it has to be right: a third segment that was off by {data.forged.off_by} was answered with "
            f"{data.forged.answer or 'nothing'}, and the server stayed in {data.forged.state_after}."
        )
        guessed_zh = f"它也确实像暗号，必须对：差 {data.forged.off_by} 的第三个报文段得到的回答是 {data.forged.answer or '无'}，服务端仍是 {data.forged.state_after}。"
    return refined(
        f"x = {first.seq} was answered with {second.ack}, and the server's own y = {second.seq} with {third.ack}: plus one, both ways. "
        f"But seq numbers bytes: after {data.sent} of them the server confirmed x + {grown}, and the one is for the SYN.{guessed_en}",
        f"x = {first.seq} 得到 {second.ack}，服务端自己的 y = {second.seq} 得到 {third.ack}：两个方向都加一。"
        f"但 seq 是给字节编号的：发了 {data.sent} 字节之后服务端确认的是 x + {grown}，那个一是 SYN 占的。{guessed_zh}",
    )


def _n018(data: Data) -> Ruling:
    count, bytes_aboard = plain_count(data), carried(data)
    crossing = crossing_count(data.simultaneous)
    if count != 3:
        return refuted(
            f"A plain connect took {count} segments, not three.", f"普通的连接用了 {count} 个报文段，不是三个。"
        )
    if not bytes_aboard and crossing in (None, 3):
        return confirmed("Three segments, and no data went along with any of them.", "三个报文段，哪个也没有带数据。")
    crossing_en = crossing_zh = ""
    if crossing is not None:
        crossing_en = f" Without any data it took {crossing} when both sides asked at once, since then no answer can ride along with a request."
        crossing_zh = f"两端同时请求时，一点数据也没有，却用了 {crossing} 个，因为这时应答没法搭在请求上。"
    return refined(
        f"Three, yes, but not for want of data: {bytes_aboard} bytes travelled on segments of a handshake of three. Three are enough because the server's "
        f"confirmation and its own request go in one segment, SYN+ACK.{crossing_en}",
        f"三个属实，但不是因为没有数据：{bytes_aboard} 字节就搭着握手的报文段过去了，还是三个。三个就够，是因为服务端的确认和它自己的请求合在一个报文段里，"
        f"即 SYN+ACK。{crossing_zh}",
    )


def crossing_count(steps: tuple[Step, ...] | None) -> int | None:
    """Segments until two sides that asked at once were connected."""
    return None if steps is None else len(steps)


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n002": _n002,
    "n003": _n003,
    "n004": _n004,
    "n018": _n018,
}
