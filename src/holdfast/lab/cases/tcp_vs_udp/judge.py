"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.tcp_vs_udp.data import Bulk, Crossing, Data, Exchange, Protocol
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

_MUCH_SLOWER: Final = 0.5
"""Below this part of UDP's rate TCP would be called inefficient."""


def crossings_of(data: Data, protocol: Protocol) -> list[Crossing]:
    """All crossings by one protocol."""
    return [crossing for crossing in data.crossings if crossing.protocol == protocol]


def bulk_of(data: Data, protocol: Protocol, write_bytes: int) -> Bulk:
    """The bulk transfer in writes of this size."""
    return next(bulk for bulk in data.bulks if (bulk.protocol, bulk.write_bytes) == (protocol, write_bytes))


def rate(bulk: Bulk) -> float:
    """The median of what arrived, in MiB per second."""
    return spread(bulk.rates, "MiB/s").median


def ratios(data: Data) -> dict[int, float]:
    """By size of the writes: how fast TCP was, in parts of UDP."""
    sizes = dict.fromkeys(bulk.write_bytes for bulk in data.bulks)
    return {size: rate(bulk_of(data, "TCP", size)) / max(rate(bulk_of(data, "UDP", size)), 1e-9) for size in sizes}


def exchange(data: Data, way: str) -> Exchange:
    """The exchange made in this way."""
    return next(each for each in data.exchanges if each.way == way)


def median_ms(each: Exchange) -> float:
    """Of a question and its answer."""
    return spread(each.seconds, "s").median * 1e3


def _asked(data: Data) -> Text:
    udp, new, used = (
        median_ms(exchange(data, way)) for way in ("UDP", "TCP, connection made for it", "TCP, open connection")
    )
    return Text(
        f"one question took {udp:.3g} ms by UDP, {new:.3g} ms with a new TCP connection, {used:.3g} ms on an open one",
        f"一问一答：UDP {udp:.3g} 毫秒，新建 TCP 连接 {new:.3g} 毫秒，已有连接 {used:.3g} 毫秒",
    )


def _pushed(data: Data) -> Text:
    parts = [(size, rate(bulk_of(data, "TCP", size)), rate(bulk_of(data, "UDP", size))) for size in ratios(data)]
    return Text(
        "in bulk TCP brought "
        + ", ".join(f"{tcp:.0f} MiB/s against {udp:.0f} (writes of {size})" for size, tcp, udp in parts),
        "大量传输时 TCP 对 UDP 为 "
        + "，".join(f"{tcp:.0f} 比 {udp:.0f} MiB/s（每次写 {size} 字节）" for size, tcp, udp in parts),
    )


def _n021(data: Data) -> Ruling:
    tcp = [each for each in data.kept if each.protocol == "TCP"]
    udp = next(each for each in data.kept if each.protocol == "UDP")
    waiting = [each for each in tcp if each.confirmed < each.sent]
    exact = all(each.kept == each.sent - each.confirmed for each in tcp)
    if not waiting or not any(each.kept for each in waiting):
        return refuted(
            "The sending kernel held nothing, though not all was confirmed.", "尚未全部确认，发送方内核却什么也没有留。"
        )
    if exact and tcp[-1].kept == 0:
        return confirmed(
            f"At each of {len(tcp)} moments the sender's kernel held exactly what was not confirmed: {waiting[0].kept} bytes at "
            f"first, {tcp[-1].kept} after the last confirmation. UDP too goes through the operating system, which held "
            f"{udp.kept} of its {udp.sent} bytes, with {udp.confirmed} confirmed.",
            f"{len(tcp)} 个时刻，发送方内核所留的恰好都是尚未确认的部分：起初 {waiting[0].kept} 字节，最后一次确认后 {tcp[-1].kept} 字节。"
            f"UDP 同样要经过操作系统，只是 {udp.sent} 字节里系统留了 {udp.kept} 字节，而确认的是 {udp.confirmed} 字节。",
        )
    return refined(
        f"It held {waiting[0].kept} bytes of {waiting[0].sent} while {waiting[0].confirmed} were confirmed, and {tcp[-1].kept} at the end.",
        f"{waiting[0].sent} 字节确认了 {waiting[0].confirmed} 时留着 {waiting[0].kept}，最后还剩 {tcp[-1].kept}。",
    )


def _n022(data: Data) -> Ruling:
    crossings = crossings_of(data, "TCP")
    worst = max(crossings, key=lambda each: each.loss)
    if not all(each.as_sent for each in crossings):
        return refuted(
            f"Only {len(set(worst.arrived))} of {worst.sent} messages arrived.",
            f"{worst.sent} 条消息只到了 {len(set(worst.arrived))} 条。",
        )
    safe = Text(
        f"All {worst.sent} messages arrived, once and in order, with {worst.lost} packets lost on the way "
        f"({worst.sent_again} segments sent again)",
        f"{worst.sent} 条消息全部到达，各一次、顺序不变，途中丢了 {worst.lost} 个包（重发 {worst.sent_again} 个报文段）",
    )
    asked, pushed, left, slowed = _asked(data), _pushed(data), data.unread, Text("", "")
    if worst.loss and (clean := next((each for each in crossings if not each.loss), None)):
        slowed = Text(
            f"; the messages took {worst.seconds:.2g} s on a wire that loses {worst.loss:.0%}, {clean.seconds:.2g} s without loss",
            f"；丢包率 {worst.loss:.0%} 时这些消息用了 {worst.seconds:.2g} 秒，不丢包时 {clean.seconds:.2g} 秒",
        )
    if max(ratios(data).values()) < _MUCH_SLOWER:
        return confirmed(f"{safe.en}; and {pushed.en}.", f"{safe.zh}；而且{pushed.zh}。")
    return refined(
        f"{safe.en}. What costs time is the connection and what has to be sent again, not TCP as such: {asked.en}; {pushed.en}"
        f"{slowed.en}. And safe ends at the other kernel: {left.confirmed} bytes were confirmed of which the program had read {left.read}.",
        f"{safe.zh}。费时的是建立连接和重发，而不是 TCP 本身：{asked.zh}；{pushed.zh}{slowed.zh}。安全也只到对方内核为止："
        f"确认了 {left.confirmed} 字节，对方程序读了 {left.read} 字节。",
    )


def _n023(data: Data) -> Ruling:
    worst = max(crossings_of(data, "UDP"), key=lambda each: each.loss)
    udp = next(each for each in data.kept if each.protocol == "UDP")
    if worst.missing == 0 or udp.kept:
        return refuted(
            f"{worst.missing} of {worst.sent} messages were missing, and the kernel held {udp.kept} bytes.",
            f"{worst.sent} 条消息缺了 {worst.missing} 条，内核留着 {udp.kept} 字节。",
        )
    unsafe = Text(
        f"{worst.missing} of {worst.sent} messages never came, and the sender saw {worst.errors} errors; after sending the kernel "
        f"held {udp.kept} bytes of them. A receiver that was not reading lost {data.not_read_in_time} of {data.burst} on a wire without loss",
        f"{worst.sent} 条消息有 {worst.missing} 条没到，发送方看到 {worst.errors} 个错误；发出之后内核留了 {udp.kept} 字节。"
        f"线路不丢包，接收方没在读，{data.burst} 条也丢了 {data.not_read_in_time} 条",
    )
    asked, pushed = _asked(data), _pushed(data)
    if max(ratios(data).values()) < _MUCH_SLOWER:
        return confirmed(f"{unsafe.en}. {asked.en}; {pushed.en}.", f"{unsafe.zh}。{asked.zh}；{pushed.zh}。")
    return refined(
        f"Not safe: {unsafe.en}. Fast it is for a single question ({asked.en}), not in general: {pushed.en}.",
        f"确实不安全：{unsafe.zh}。快只快在单独的一问一答（{asked.zh}），并非处处都快：{pushed.zh}。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n021": _n021, "n022": _n022, "n023": _n023}
