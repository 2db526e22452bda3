"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.sticky_packets.data import Data, Framing, Passage, Wired
from holdfast.lab.text import Text, same
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

SAMPLE: Final = ("507", "b'\\xfb\\x01\\x00\\x00' 4", "(507,)")
"""What the notes show, by what the claim says of it."""
_UNFRAMED: Final = "nothing"
_WAYS: Final[Mapping[str, Text]] = {
    "nothing": Text("nothing", "什么都不加"),
    "length in 4 bytes": Text("length in 4 bytes", "4 字节的长度"),
    "newline behind": Text("newline behind", "末尾换行"),
    "length in digits": Text("length in digits", "数字写的长度"),
    "lines of a header": Text("lines of a header", "几行报头"),
    "always 16 bytes": Text("always 16 bytes", "一律 16 字节"),
    "Holdfast's frame": Text("Holdfast's frame", "Holdfast 的帧"),
}


def stuck(passage: Passage) -> bool:
    """Whether several messages came out of one read."""
    return len(passage.reads) < len(passage.sent)


def cures(framing: Framing) -> bool:
    """Whether all messages came out as they were sent, merged and in crumbs."""
    return framing.intact_merged == framing.intact_split == framing.sent


def held_back(data: Data) -> Wired | None:
    """The wire on which Nagle's algorithm had to wait for the acknowledgement."""
    return next((wired for wired in data.wired if wired.nagle and not wired.acknowledged), None)


def at_once(data: Data) -> Wired | None:
    """The wire on which each message was acknowledged before the next one."""
    return next((wired for wired in data.wired if wired.nagle and wired.acknowledged), None)


def segments_of(data: Data, way: str, *, acks_wait: bool) -> int:
    """Segments that the loopback made of the messages when they were sent in this way."""
    return next(each.segments for each in data.ways if (each.way, each.acks_wait) == (way, acks_wait))


def _framed(data: Data) -> list[Framing]:
    return [framing for framing in data.framings if framing.way != _UNFRAMED]


def way_name(framing: Framing) -> Text:
    """What a way of framing is called."""
    return _WAYS.get(framing.way, same(framing.way))


def _names(framings: list[Framing]) -> Text:
    names = [way_name(framing) for framing in framings]
    return Text(", ".join(name.en for name in names), "、".join(name.zh for name in names))


def _n010(data: Data) -> Ruling:
    bare = [framing for framing in _framed(data) if not framing.header and cures(framing)]
    headed = [framing for framing in _framed(data) if framing.header and cures(framing)]
    if bare:
        return refined(
            f"True of many protocols: {len(headed)} of those tried put something in front that speaks about the data. "
            f"But {len(bare)} worked without any header ({_names(bare).en}): all {bare[0].sent} messages came out whole. What is "
            "needed is that the reader can tell where a message ends.",
            f"许多协议确是如此：试过的当中有 {len(headed)} 种在数据前面放了说明。但有 {len(bare)} 种完全没有报头也行"
            f"（{_names(bare).zh}），{bare[0].sent} 条消息全部完整。必需的只是：读的一方能知道消息在哪里结束。",
        )
    if headed:
        return confirmed(
            f"Only ways with a header brought all messages through ({_names(headed).en}).",
            f"只有带报头的方式没有丢消息（{_names(headed).zh}）。",
        )
    return refuted("A header did not help either.", "有了报头也没用。")


def _n011(data: Data) -> Ruling:
    fixed = [framing for framing in _framed(data) if framing.fixed_header and cures(framing)]
    others = [framing for framing in _framed(data) if not framing.fixed_header and cures(framing)]
    plain = next(framing for framing in data.framings if framing.way == _UNFRAMED)
    lost = (
        f"Without anything {plain.intact_merged} of {plain.sent} messages came out as sent",
        f"什么都不加时，{plain.sent} 条消息只有 {plain.intact_merged} 条原样读出",
    )
    if not fixed:
        return refuted(f"{lost[0]}; with a fixed header not all did either.", f"{lost[1]}；有定长报头也没有全部读出。")
    if others:
        return refined(
            f"{lost[0]}; a header of fixed length cures that, and so do ways without one: {_names(others).en}. "
            "A fixed length is the simplest cure, not the only one.",
            f"{lost[1]}；定长报头能治好，但没有定长报头的方式同样能治好：{_names(others).zh}。定长最简单，却不是唯一的办法。",
        )
    return confirmed(f"{lost[0]}; only a header of fixed length cured that.", f"{lost[1]}；只有定长报头治好了它。")


def _n012(data: Data) -> Ruling:
    whole = next(each for each in data.announced if each.body == "whole")
    damaged = [each for each in data.announced if each.body != "whole"]
    noticed = sum(not (each.size_right and each.hash_right) for each in damaged)
    if not (whole.size_right and whole.hash_right):
        return refuted("A body announced in a dictionary did not come through.", "用字典预告的数据没有完整到达。")
    if data.bytes_in_json:
        return refined(
            f"Name, size and hash travel well as a dictionary, and {noticed} of {len(damaged)} damaged bodies were noticed by "
            f"them. The content does not: JSON refuses bytes ({data.bytes_in_json}), and as text they grow to "
            f"{data.base64_factor:.2f} times. So the dictionary goes in front, and the raw bytes follow.",
            f"名字、大小、散列适合放进字典，{len(damaged)} 份损坏的数据靠它们认出了 {noticed} 份。内容则不适合：JSON 不收字节串"
            f"（{data.bytes_in_json}），转成文本又会变成 {data.base64_factor:.2f} 倍。所以字典在前，原始字节跟在后面。",
        )
    return confirmed("A dictionary took all of it, bytes too.", "字典全部装得下，连字节串也行。")


def _n024(data: Data) -> Ruling:
    others = [passage for passage in data.passages if not passage.nagle]
    elsewhere = [passage.channel for passage in others if stuck(passage) and passage.segments is None]
    tcp = next((passage for passage in others if passage.segments is not None), None)
    default = next(passage for passage in data.passages if passage.nagle)
    if tcp is not None and stuck(tcp):
        return refuted(
            f"With Nagle's algorithm switched off {len(tcp.sent)} messages left in {tcp.segments} segments, and still came out "
            f"of {len(tcp.reads)} read(s). They also stuck where there is no TCP ({', '.join(elsewhere) or '-'}): a stream has no "
            "borders, and a read gives what is there.",
            f"关掉 Nagle 算法后，{len(tcp.sent)} 条消息分 {tcp.segments} 个报文段发出，照样 {len(tcp.reads)} 次就读完。"
            f"没有 TCP 的地方也粘（{'、'.join(elsewhere) or '无'}）：字节流没有边界，读到的就是当时已有的。",
        )
    if stuck(default):
        return confirmed(
            f"With Nagle's algorithm {len(default.sent)} messages took {len(default.reads)} reads; without it none stuck.",
            f"开着 Nagle 算法，{len(default.sent)} 条消息 {len(default.reads)} 次读完；关掉就不粘。",
        )
    return refuted("Nothing stuck, with Nagle's algorithm or without.", "开或关 Nagle 算法，都没有粘。")


def _n025(data: Data) -> Ruling:
    held, free = held_back(data), at_once(data)
    if held is not None and free is not None:
        merged, apart, sent = held.segments, free.segments, held.sent
        pauses = Text(
            f" (pauses of {held.gap_s * 1e3:.2g} ms and of {free.gap_s * 1e3:.2g} ms)",
            f"（间隔分别为 {held.gap_s * 1e3:.2g} 毫秒和 {free.gap_s * 1e3:.2g} 毫秒）",
        )
    else:
        merged = segments_of(data, "send", acks_wait=True)
        apart = segments_of(data, "send", acks_wait=False)
        sent, pauses = data.ways[0].sent, Text("", "")
    if merged >= sent:
        return refuted(
            f"{sent} small messages made {merged} segments: none were joined.",
            f"{sent} 条小消息成了 {merged} 个报文段，没有合并。",
        )
    if apart == sent:
        return refined(
            f"Small, yes. But what counts is not the pause, it is whether an earlier piece waits for its acknowledgement: "
            f"while one did, {sent} messages made {merged} segments; when each was acknowledged first, {apart}{pauses.en}.",
            f"“小”不错，但关键不在间隔，而在前面是否还有未确认的数据：若有，{sent} 条消息成了 {merged} 个报文段；"
            f"每条先得到确认时，成了 {apart} 个{pauses.zh}。",
        )
    return confirmed(
        f"{sent} small messages made {merged} segments, and {apart} where each was acknowledged at once.",
        f"{sent} 条小消息成了 {merged} 个报文段；每条立即得到确认时也只有 {apart} 个。",
    )


def _n026(data: Data) -> Ruling:
    plain, nodelay = (segments_of(data, way, acks_wait=True) for way in ("send", "TCP_NODELAY"))
    joined = [segments_of(data, way, acks_wait=True) for way in ("MSG_MORE", "TCP_CORK", "sendmsg")]
    sent, kept = data.ways[0].sent, min(data.corked_s)
    if max(joined) < nodelay:
        return refuted(
            f"The program chooses. {sent} messages made {plain} segments by default, {nodelay} with `TCP_NODELAY`, and "
            f"{joined[0]}, {joined[1]} and {joined[2]} with `MSG_MORE`, `TCP_CORK` and one `sendmsg`. The system keeps the last "
            f"word: a byte that was corked and forgotten left after {kept:.1f} s, and a full window stops everybody.",
            f"程序可以选择。{sent} 条消息默认成为 {plain} 个报文段，用 `TCP_NODELAY` 是 {nodelay} 个，用 `MSG_MORE`、`TCP_CORK`、"
            f"一次 `sendmsg` 分别是 {joined[0]}、{joined[1]}、{joined[2]} 个。最后仍由系统说了算：塞住又忘掉的一个字节 {kept:.1f} 秒后被发出，"
            "窗口满了谁都得停。",
            depends_on=Text("Linux: MSG_MORE and TCP_CORK", "Linux：MSG_MORE 与 TCP_CORK"),
        )
    return confirmed(
        f"{sent} messages made {plain} segments, {nodelay} with `TCP_NODELAY`, and {joined} when they were to be joined.",
        f"{sent} 条消息成了 {plain} 个报文段，用 `TCP_NODELAY` 是 {nodelay} 个，要求合并时是 {joined}。",
    )


def _n027(data: Data) -> Ruling:
    sizes = {code.format: code.size for code in data.codes}
    number, error = data.too_large
    hexes = {code.format: code.packed_hex for code in data.codes}
    if sizes["i"] != 4:
        return refuted(
            f'"i" takes {sizes["i"]} bytes here.', f"在这里 “i” 占 {sizes['i']} 个字节。", depends_on=_MACHINE
        )
    if error:
        return refined(
            f"4 bytes for 507, but not for all numbers: {number} is refused ({error}), so a file of 2 GiB has no such prefix. "
            f"And the order is the machine's: {hexes['i']} here, {hexes['>i']} in network order; read the wrong way round it "
            f'is {data.swapped}. ("l" takes {sizes["l"]} bytes here and {sizes["<l"]} as "<l".)',
            f"507 占 4 个字节，但不是什么数都装得下：{number} 被拒绝（{error}），2 GiB 的文件就没有这样的前缀。字节序也随机器而变：这里是 "
            f"{hexes['i']}，网络字节序是 {hexes['>i']}，按相反的顺序读会变成 {data.swapped}。（“l” 在这里占 {sizes['l']} 字节，“<l” 占 {sizes['<l']}。）",
            depends_on=_MACHINE,
        )
    return confirmed(
        f"{number} too takes {sizes['i']} bytes.", f"{number} 也占 {sizes['i']} 个字节。", depends_on=_MACHINE
    )


def _n028(data: Data) -> Ruling:
    printed = data.program.out
    if printed == SAMPLE:
        return confirmed(f"It printed: {' / '.join(printed)}.", f"它输出了：{' / '.join(printed)}。", depends_on=_ORDER)
    if printed == SAMPLE[1:]:
        return refined(
            f"The four bytes and the tuple come out as shown ({' / '.join(printed)}), from a header of the same 507 bytes. The "
            "first line does not: no statement of the program prints the length.",
            f"同样是 507 字节的报头，四个字节和元组与示例一致（{' / '.join(printed)}）。第一行则没有：程序里没有哪一句打印长度。",
            depends_on=_ORDER,
        )
    return refuted(
        f"It printed: {' / '.join(printed) or '-'}.", f"它输出了：{' / '.join(printed) or '无'}。", depends_on=_ORDER
    )


def _n029(data: Data) -> Ruling:
    right = sum(text.returned for text in data.texts)
    wrong = [text for text in data.texts if not text.returned_by_characters]
    if right < len(data.texts):
        return refuted(
            f"{right} of {len(data.texts)} dictionaries came back.", f"{len(data.texts)} 个字典只有 {right} 个还原。"
        )
    tail = Text("", "")
    if wrong:
        tail = Text(
            f" It must be the length of the bytes: with the {wrong[0].characters} characters of the text in front, where it has "
            f"{wrong[0].size} bytes, the dictionary could not be read back.",
            f"长度必须取自字节：有一个文本是 {wrong[0].characters} 个字符、{wrong[0].size} 个字节，前面写字符数就无法还原。",
        )
    return confirmed(
        f"All {right} dictionaries came back after these steps, undone in reverse.{tail.en}",
        f"{right} 个字典经过这几步、再倒着做一遍，全部还原。{tail.zh}",
    )


_MACHINE: Final = Text("the machine: sizes and order of native formats", "机器：原生格式的大小与字节序")
_ORDER: Final = Text("a machine of little-endian byte order", "小端字节序的机器")

JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n010": _n010,
    "n011": _n011,
    "n012": _n012,
    "n024": _n024,
    "n025": _n025,
    "n026": _n026,
    "n027": _n027,
    "n028": _n028,
    "n029": _n029,
}
