"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.teardown.data import Data
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

_KERNEL: Final = Text(
    "when the kernel sends a bare confirmation: Linux waits for about 40 ms whether something goes along",
    "内核何时发出单独的确认：Linux 会等大约 40 毫秒，看有没有东西可以同行",
)


def half_count(data: Data) -> int:
    """Segments that ended the connection whose server had something left to send."""
    return data.half.first + data.half.second


def usual(data: Data) -> int:
    """How many it mostly takes if the server closes at once."""
    return Counter(data.at_once).most_common(1)[0][0]


def orderly(data: Data) -> tuple[int, ...]:
    """All counts of orderly closes, in which both sides have said their end."""
    counts = [half_count(data), *data.at_once, *(count for pause in data.pauses for count in pause.segments)]
    counts += [len(steps) for steps in (data.three, data.crossing) if steps]
    return tuple(counts)


def turning(data: Data) -> tuple[float, float] | None:
    """The longest pause of the server that always brought three segments, and the shortest that always brought four."""
    three = [pause.pause_s for pause in data.pauses if set(pause.segments) == {3}]
    four = [pause.pause_s for pause in data.pauses if set(pause.segments) == {4}]
    return (max(three), min(four)) if three and four else None


def _n005(data: Data) -> Ruling:
    counts = set(orderly(data))
    abrupt = {data.reset.segments, data.unread.segments}
    if 4 not in counts:
        return refuted(
            f"None took four: orderly closes took {_list(counts)}.",
            f"没有一次是四个：有序断开用了 {_list(counts)} 个。",
        )
    if counts == {4} and abrupt == {4}:
        return confirmed(f"All {len(orderly(data))} closes took four.", f"全部 {len(orderly(data))} 次断开都是四个。")
    return refined(
        f"Four is one of the ways: FIN and its confirmation each way took {half_count(data)} where the server had {data.half.flowed} bytes left to send. "
        f"Of {len(data.at_once)} conversations whose server closed as soon as it read the end, {data.at_once.count(3)} took three "
        f"(its FIN and the confirmation in one segment), and a reset took {data.reset.segments}.",
        f"四个只是其中一种：服务端还有 {data.half.flowed} 字节要发时，双方各一个 FIN、各一个确认，用了 {half_count(data)} 个。"
        f"服务端一读到结束就关闭的 {len(data.at_once)} 次对话中，{data.at_once.count(3)} 次是三个（它的 FIN 与确认合在一个报文段里）；复位用了 {data.reset.segments} 个。",
        depends_on=_KERNEL,
    )


def _n019(data: Data) -> Ruling:
    half, gone = data.half, data.gone
    if not half.flowed:
        return refuted(
            f"Nothing came any more after the client's close (states: {half.middle.client}, {half.middle.server}).",
            f"客户端关闭之后再也没有收到数据（状态：{half.middle.client}、{half.middle.server}）。",
        )
    if not gone.resets and not gone.second_write:
        return confirmed(
            f"{half.flowed} bytes still came after `shutdown`, and after `close` the server could write twice.",
            f"`shutdown` 之后还收到 {half.flowed} 字节；`close` 之后服务端也写成了两次。",
        )
    return refined(
        f"True of `shutdown(SHUT_WR)`: {half.flowed} bytes still came while the client was in {half.middle.client} and the server in {half.middle.server}. "
        f"Not of `close`, which most programs call: the server read the same end, but its next bytes were answered with {gone.resets} RST, and writing again "
        f"gave {gone.second_write}. They were lost.",
        f"对 `shutdown(SHUT_WR)` 成立：客户端处于 {half.middle.client}、服务端处于 {half.middle.server} 时，还收到 {half.flowed} 字节。"
        f"对多数程序所调用的 `close` 不成立：服务端读到的结束一模一样，但接着发的字节换来 {gone.resets} 个 RST，再写就是 {gone.second_write}。那些字节丢了。",
    )


def _n020(data: Data) -> Ruling:
    counts = orderly(data)
    fewer = sum(count < 4 for count in counts)
    if fewer:
        pause = turning(data)
        pause_en = pause_zh = ""
        if pause is not None:
            pause_en = f" It hangs on how long the server takes: after pauses up to {pause[0] * 1e3:.0f} ms three were enough, from {pause[1] * 1e3:.0f} ms on it took four."
            pause_zh = f"这取决于服务端隔多久才关闭：停 {pause[0] * 1e3:.0f} 毫秒以内三个就够，{pause[1] * 1e3:.0f} 毫秒起要四个。"
        return refuted(
            f"{fewer} of {len(counts)} orderly closes took fewer than four, {min(counts)} at the least, and nothing was lost. Two ends and two confirmations "
            f"are needed, but a confirmation may go along with the other end.{pause_en}",
            f"{len(counts)} 次有序断开中有 {fewer} 次少于四个，最少 {min(counts)} 个，而且什么也没丢。需要的是两个结束和两个确认，但确认可以与另一个结束同行。{pause_zh}",
            depends_on=_KERNEL,
        )
    if data.reset.segments < 4:
        return refined(
            f"All {len(counts)} orderly closes took four or more, but a reset ends a connection with {data.reset.segments}.",
            f"{len(counts)} 次有序断开都不少于四个，但复位只用 {data.reset.segments} 个就结束了连接。",
        )
    return confirmed(f"Each of {len(counts)} closes took four or more.", f"{len(counts)} 次断开每次都不少于四个。")


def _list(counts: set[int]) -> str:
    return ", ".join(map(str, sorted(counts)))


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n005": _n005,
    "n019": _n019,
    "n020": _n020,
}
