"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Listing, Mark, Plot, Remark, Series, Span, Spread, Table, Timeline, spread
from holdfast.lab.cases.tcp_vs_udp.data import Crossing, Data, Exchange
from holdfast.lab.cases.tcp_vs_udp.judge import crossings_of, median_ms, rate, ratios
from holdfast.lab.text import Text, same

_SHOWN = 60
"""Messages whose arrival is listed."""
_ZH_MOMENTS = {
    "sent, held on the wire": "已发，扣在线路上",
    " arrived": " 个已到达",
    " confirmed": " 个已确认",
    "receiver full": "接收方已满",
    "all read": "全部读完",
    "sent, not read": "已发，未读",
}


def answer(data: Data) -> Text:
    """In short."""
    tcp, udp = (max(crossings_of(data, kind), key=lambda each: each.loss) for kind in ("TCP", "UDP"))
    best = max(ratios(data).items(), key=lambda item: item[1])
    return Text(
        f"Of {udp.sent} messages UDP lost {udp.missing} without a word; TCP brought {len(set(tcp.arrived))} of {tcp.sent} and "
        f"sent {tcp.sent_again} segments again. It keeps what it sends until the other kernel has confirmed it, and no longer. "
        f"It costs a round trip to connect, not speed: in writes of {best[0]} bytes TCP had {best[1]:.1f} times UDP's rate.",
        f"{udp.sent} 条消息，UDP 一声不响丢了 {udp.missing} 条；TCP 送到 {len(set(tcp.arrived))} 条（共 {tcp.sent} 条），重发了 "
        f"{tcp.sent_again} 个报文段。它把数据留到对方内核确认为止，不会更久。代价是建立连接多一个往返，而不是速度：每次写 {best[0]} 字节时，"
        f"TCP 的速率是 UDP 的 {best[1]:.1f} 倍。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """Rates and times of answers."""
    found = {f"{bulk.protocol} in writes of {bulk.write_bytes}": spread(bulk.rates, "MiB/s") for bulk in data.bulks}
    found.update({f"question by {each.way}": spread([s * 1e3 for s in each.seconds], "ms") for each in data.exchanges})
    return found


def blocks(data: Data) -> Sequence[Block]:
    """What is kept, what arrives, what it costs."""
    tcp = [each for each in data.kept if each.protocol == "TCP"]
    steps = tuple(float(number) for number in range(len(tcp)))
    return (
        Plot(
            Text("What TCP's sender keeps, event by event", "TCP 发送方留着多少，逐个事件"),
            Text("event", "事件"), Text("bytes", "字节"),
            (Series("kept", steps, tuple(float(each.kept) for each in tcp)),
             Series("confirmed", steps, tuple(float(each.confirmed) for each in tcp))),
            kind="steps",
        ),
        Table(
            Text("What the sending kernel keeps", "发送方内核留着什么"),
            (Text("protocol", "协议"), Text("moment", "时刻"), Text("sent", "已发"), Text("confirmed", "已确认"),
             Text("kept", "留着"), Text("never sent", "未发出")),
            tuple(
                (same(each.protocol), _moment(each.moment), same(each.sent), same(each.confirmed), same(each.kept), same(each.unsent))
                for each in data.kept
            ),
        ),
        Table(
            Text("Numbered messages over a wire that loses", "编号的消息通过会丢包的线路"),
            (Text("protocol", "协议"), Text("loss", "丢包率"), Text("packets lost", "丢包"), Text("doubled", "重复"),
             Text("overtaken", "乱序"), Text("missing", "缺失"), Text("all in order", "完整有序"),
             Text("sent again", "重发"), Text("seconds", "秒")),
            tuple(
                (same(each.protocol), same(f"{each.loss:.0%}"), same(each.lost), same(each.doubled), same(each.overtaken),
                 same(each.missing), Text("yes", "是") if each.as_sent else Text("no", "否"), same(each.sent_again),
                 same(f"{each.seconds:.2f}"))
                for each in data.crossings
            ),
        ),
        *(
            Listing(Text(f"What the receiver of UDP reads at {each.loss:.0%}, first messages", f"丢包率 {each.loss:.0%} 时 UDP 接收方读到的前几条"),
                    _numbers(each))
            for each in crossings_of(data, "UDP")
            if each.loss
        ),
        Timeline(
            Text("A question and its answer: the slowest of each", "一问一答：各自最慢的一次"),
            tuple(_lane(each) for each in data.exchanges),
        ),
        Table(
            Text("A question and its answer", "一问一答"),
            (Text("way", "方式"), Text("median ms", "中位毫秒"), Text("round trips", "往返数"), Text("packets", "包数")),
            tuple(
                (same(each.way), same(f"{median_ms(each):.3g}"), same(_trips(each)), same(each.packets or "-"))
                for each in data.exchanges
            ),
        ),
        Plot(
            Text("In bulk, on a loopback: what arrives", "环回上大量传输：到达的速率"),
            Text("bytes of a write", "每次写的字节"), Text("MiB/s", "MiB/s"),
            tuple(
                Series(kind, tuple(map(float, range(len(ratios(data))))),
                       tuple(rate(bulk) for bulk in data.bulks if bulk.protocol == kind),
                       tuple(min(bulk.rates) for bulk in data.bulks if bulk.protocol == kind),
                       tuple(max(bulk.rates) for bulk in data.bulks if bulk.protocol == kind))
                for kind in ("TCP", "UDP")
            ),
            kind="bars",
            categories=tuple(map(str, ratios(data))),
        ),
        Table(
            Text("What became of the bytes in bulk", "大量传输的字节去哪了"),
            (Text("protocol", "协议"), Text("bytes of a write", "每次写的字节"), Text("arrived, each round", "每轮到达")),
            tuple(
                (same(bulk.protocol), same(bulk.write_bytes),
                 same(" ".join(f"{size / bulk.sent_bytes:.0%}" for size in bulk.arrived_bytes)))
                for bulk in data.bulks
            ),
        ),
        Remark(Text(
            f"Confirmed is not read: of {data.unread.confirmed} confirmed bytes the other program has read {data.unread.read} when it "
            f"ends; the sender then hears {data.unread.told or 'nothing'}. What the program has done with them, only its own answer "
            "can tell. And UDP does hear something: two sends to a port that nobody has gave "
            f"{' and '.join(told or 'no error' for told in data.refused)}.",
            f"确认不等于读过：确认了 {data.unread.confirmed} 字节，对方程序结束时读了 {data.unread.read} 字节，发送方随后得到的是 "
            f"{data.unread.told or '什么都没有'}。程序究竟有没有处理，只有它自己的应答能说明。UDP 也并非全然不知：向没人用的端口发两次，"
            f"得到 {'、'.join(told or '无错误' for told in data.refused)}。",
        )),
    )  # fmt: skip


def _moment(moment: str) -> Text:
    zh = moment
    for en_word, zh_word in _ZH_MOMENTS.items():
        zh = zh.replace(en_word, zh_word)
    return Text(moment, zh)


def _numbers(crossing: Crossing) -> tuple[str, ...]:
    """Rows of twenty: the number of a message, ``·`` where it never came."""
    came = set(crossing.arrived)
    first = crossing.arrived[:_SHOWN]
    rows = [" ".join(f"{number:3}" for number in first[start : start + 20]) for start in range(0, len(first), 20)]
    gone = [str(number) for number in range(max(first, default=0)) if number not in came]
    return (*rows, f"× {' '.join(gone)}")


def _trips(each: Exchange) -> str:
    return f"{median_ms(each) / 1e3 / each.round_trip_s:.1f}" if each.round_trip_s else "-"


def _lane(each: Exchange) -> Lane:
    slowest = max(range(len(each.seconds)), key=lambda place: each.seconds[place])
    whole = each.seconds[slowest]
    if not each.connected_s:
        return Lane(each.way, (Span(0.0, whole, kind="wait"),), (Mark(whole, "answer"),))
    connected = each.connected_s[slowest]
    return Lane(
        each.way,
        (Span(0.0, connected, kind="work"), Span(connected, whole, kind="wait")),
        (Mark(connected, "connected"), Mark(whole, "answer")),
    )
