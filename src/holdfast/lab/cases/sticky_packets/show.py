"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Listing, Plot, Remark, Series, Spread, Table, once, spread
from holdfast.lab.blocks import Sequence as Arrows
from holdfast.lab.cases.sticky_packets.data import Data, Wired
from holdfast.lab.cases.sticky_packets.judge import cures, stuck, way_name
from holdfast.lab.segments import messages
from holdfast.lab.text import Text, same

_FIELDS = (
    (1, "magic", "魔数"), (1, "type: DATA", "类型：DATA"), (1, "channel", "通道"), (1, "flags", "标志"),
    (4, "bytes of the header", "报头字节数"), (4, "bytes of the body", "数据字节数"),
    (4, "stream", "流"), (8, "position in the stream", "流中的位置"),
)  # fmt: skip
"""The prefix of Holdfast's frame."""


def answer(data: Data) -> Text:
    """In short."""
    off = next(each for each in data.passages if not each.nagle)
    cured = [framing for framing in data.framings if cures(framing)]
    return Text(
        f"TCP carries bytes, not messages: {len(off.sent)} messages in {off.segments} segments came out of {len(off.reads)} "
        f"read(s) with Nagle's algorithm switched off, and one send of {data.large_sent} bytes took {len(data.large_reads)} "
        f"reads. What cures it is to tell where a message ends; {len(cured)} ways of doing so brought every message through, "
        "also when it came in crumbs.",
        f"TCP 传的是字节，不是消息：关掉 Nagle 算法，{len(off.sent)} 条消息分 {off.segments} 个报文段发出，{len(off.reads)} 次就读完；"
        f"一次发送 {data.large_sent} 字节，却读了 {len(data.large_reads)} 次。治法是让对方知道消息在哪里结束；试过的 {len(cured)} 种办法"
        "都让消息完整到达，哪怕数据是一点一点来的。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """Of the large send and the forgotten cork."""
    return {
        "reads of one large send": once(len(data.large_reads), ""),
        "bytes of one of its reads": spread(data.large_reads, "B"),
        "a forgotten cork": spread(data.corked_s, "s"),
    }


def blocks(data: Data) -> Sequence[Block]:
    """Sticking, splitting, merging on the way, and the cures."""
    return (
        Table(
            Text("Eight small messages, read when all had come", "八条小消息，全部到达后再读"),
            (Text("channel", "通道"), Text("pause", "间隔"), Text("segments", "报文段"), Text("reads", "读了几次"), Text("stuck", "粘了吗")),
            tuple(
                (same(each.channel), same(f"{each.gap_s * 1e3:.0f} ms"), same("-" if each.segments is None else each.segments),
                 same(len(each.reads)), Text("yes", "粘") if stuck(each) else Text("no", "不粘"))
                for each in data.passages
            ),
        ),
        Plot(
            Text("One large send, read by read", "一次大的发送，一次次读出"),
            Text("read", "第几次读"), Text("bytes so far", "累计字节"),
            (Series("recv", tuple(range(1, len(data.large_reads) + 1)),
                    tuple(sum(data.large_reads[:count]) for count in range(1, len(data.large_reads) + 1))),),
            kind="steps",
        ),
        *_arrows(data.wired),
        Table(
            Text("The same eight messages: segments, by what the program asks for", "同样八条消息：程序提不同要求时的报文段数"),
            (Text("sent with", "发送方式"), Text("acknowledged at once", "立即确认"), Text("acknowledged late", "推迟确认")),
            tuple(
                (same(way), *(same(next(each.segments for each in data.ways if (each.way, each.acks_wait) == (way, late)))
                              for late in (False, True)))
                for way in dict.fromkeys(each.way for each in data.ways)
            ),
        ),
        Table(
            Text("Telling where a message ends", "告诉对方消息在哪里结束"),
            (Text("by", "方式"), Text("sent", "发出"), Text("whole, all at once", "一起到，完整"),
             Text("whole, in crumbs", "零碎到，完整"), Text("extra bytes", "额外字节")),
            tuple(
                (way_name(each), same(each.sent), same(each.intact_merged), same(each.intact_split), same(each.extra_bytes))
                for each in data.framings
            ),
        ),
        Table(
            Text("One recv for a part that comes in two pieces", "分两块到达的部分，只 recv 一次"),
            (Text("part", "部分"), Text("asked for", "要"), Text("got", "得"), Text("its decoder says", "解码时"), Text("in a loop", "循环读")),
            tuple(
                (same(each.part), same(each.asked), same(each.got), same(each.error or "-"), same(each.looped))
                for each in data.one_reads
            ),
        ),
        Table(
            Text("A body announced by name, size and hash", "先报名字、大小、散列，再传数据"),
            (Text("on the way", "途中"), Text("size", "大小"), Text("hash", "散列")),
            tuple((same(each.body), _right(each.size_right), _right(each.hash_right)) for each in data.announced),
        ),
        Listing(Text("What the notes' program prints", "笔记中的程序的输出"), data.program.out),
        Listing(Text("What the repaired one prints", "修好的程序的输出"), data.repaired.out),
        Table(
            Text(f"507 in formats of struct ({data.byte_order}-endian machine)", f"507 在 struct 各种格式中（机器字节序：{data.byte_order}）"),
            (Text("format", "格式"), Text("bytes", "字节数"), Text("packed", "打包结果")),
            tuple((same(code.format), same(code.size), same(f"[{code.packed_hex}]")) for code in data.codes),
        ),
        _frame(data.frame_prefix_hex),
        Remark(Text(
            "All lengths of the frame stand in its first 24 bytes, so that a reader always knows how many bytes it still needs. "
            "The parser was fed with the crumbs of the table above.",
            "帧的所有长度都写在最前面的 24 字节里，读的一方随时知道还差多少字节。上表中的碎块就是喂给这个解析器的。",
        )),
    )  # fmt: skip


def _right(right: bool) -> Text:
    return Text("right", "对") if right else Text("wrong", "不对")


def _arrows(wired: Sequence[Wired]) -> tuple[Block, ...]:
    return tuple(
        Arrows(
            Text(
                f"{'Nagle' if each.nagle else 'TCP_NODELAY'}: {each.sent} messages, "
                + ("each acknowledged before the next" if each.acknowledged else "held until all were sent"),
                f"{'Nagle' if each.nagle else 'TCP_NODELAY'}：{each.sent} 条消息，"
                + ("每条先得到确认再发下一条" if each.acknowledged else "扣在线路上，等全部发完"),
            ),
            "client", "server", messages(each.steps),
        )
        for each in wired
    )  # fmt: skip


def _frame(prefix_hex: str) -> Table:
    octets = prefix_hex.split(" ")
    rows, place = [], 0
    for size, en, zh in _FIELDS:
        rows.append((Text(en, zh), same(size), same(f"[{' '.join(octets[place : place + size])}]")))
        place += size
    return Table(
        Text("The prefix of a frame of Holdfast with 507 bytes of data", "Holdfast 的一帧（507 字节数据）的前缀"),
        (Text("field", "字段"), Text("bytes", "字节数"), Text("value", "值")),
        tuple(rows),
    )
