"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.two_phases.data import Copied, Data
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

_NEARLY: Final = 0.7
"""A wait counts as the other side's pause if it lasts at least this part of it."""


def copy_us(copied: Copied) -> float:
    """The median of one copy, in microseconds."""
    return spread(copied.copy_s, "s").median * 1e6


def _n124(data: Data) -> Ruling:
    longest = max(data.waited, key=lambda each: each.delay_s)
    waits = all(each.poll_s >= _NEARLY * each.delay_s for each in data.waited)
    one_call = all(each.blocking_s >= _NEARLY * each.delay_s for each in data.waited)
    small, large = data.copied[0], data.copied[-1]
    grows = copy_us(large) > 2 * copy_us(small)
    removes = all(each.before - each.after == each.got for each in data.held if "PEEK" not in each.call)
    asked = data.not_waiting
    if waits and one_call and grows and removes:
        return confirmed(
            f"Apart: `poll` waited {longest.poll_s * 1e3:.0f} ms for a sender that paused {longest.delay_s * 1e3:.0f} ms, and the "
            f"read after it took {longest.copy_s * 1e6:.0f} µs. Together: a blocking `recv` took {longest.blocking_s * 1e3:.0f} ms, "
            f"of which {longest.blocking_cpu_s * 1e3:.2g} ms computing. Copying grows with the size ({small.size} bytes {copy_us(small):.2g} µs, "
            f"{large.size} bytes {copy_us(large):.0f} µs), waiting does not. Where the data are there already, or the socket does not "
            f"block ({asked.refusals} refusals), only the second phase is left.",
            f"分开看：发送方停 {longest.delay_s * 1e3:.0f} 毫秒，`poll` 等了 {longest.poll_s * 1e3:.0f} 毫秒，随后的读只用 {longest.copy_s * 1e6:.0f} 微秒。"
            f"合在一起：阻塞的 `recv` 用了 {longest.blocking_s * 1e3:.0f} 毫秒，其中真正计算 {longest.blocking_cpu_s * 1e3:.2g} 毫秒。拷贝随大小变长"
            f"（{small.size} 字节 {copy_us(small):.2g} 微秒，{large.size} 字节 {copy_us(large):.0f} 微秒），等待则不会。数据已经到了，或者套接字不阻塞"
            f"（被拒绝 {asked.refusals} 次），就只剩第二阶段。",
        )
    if not waits and not one_call:
        return refuted(
            f"A sender paused for {longest.delay_s * 1e3:.0f} ms, and the read waited {longest.poll_s * 1e3:.0f} ms.",
            f"发送方停了 {longest.delay_s * 1e3:.0f} 毫秒，读只等了 {longest.poll_s * 1e3:.0f} 毫秒。",
        )
    return refined(
        f"There is a wait ({longest.poll_s * 1e3:.0f} ms for a pause of {longest.delay_s * 1e3:.0f} ms), but no copying that grows: "
        f"{small.size} bytes took {copy_us(small):.2g} µs, {large.size} bytes {copy_us(large):.2g} µs.",
        f"等待是有的（停 {longest.delay_s * 1e3:.0f} 毫秒，等 {longest.poll_s * 1e3:.0f} 毫秒），却没有随大小变长的拷贝：{small.size} 字节 "
        f"{copy_us(small):.2g} 微秒，{large.size} 字节 {copy_us(large):.2g} 微秒。",
    )


def _n125(data: Data) -> Ruling:
    by = {each.way: each for each in data.handed}
    sent = data.sent
    copied = by["send"].old == by["send"].size
    if not copied:
        return refuted(
            f"The buffer was changed after `send`, and {by['send'].new} of {by['send'].size} changed bytes arrived: nothing had been copied.",
            f"`send` 之后改了缓冲区，{by['send'].size} 字节里到了 {by['send'].new} 个改过的：并没有拷贝。",
        )
    own = Text(
        f"`send` copies: a buffer of {by['send'].size} bytes was changed right after it, and all {by['send'].old} old bytes arrived; "
        f"it returned while {data.returned_before_read} of them lay unread in the other kernel",
        f"`send` 确实拷贝：{by['send'].size} 字节的缓冲区随后被改掉，到达的 {by['send'].old} 字节仍是旧的；"
        f"它返回时，对方内核里还有 {data.returned_before_read} 字节没被读走",
    )
    waits = sent.blocking_s >= _NEARLY * sent.delay_s and sent.taken < sent.size
    without = by["sendfile"].new > 0
    if not waits and not without:
        return confirmed(f"{own.en}.", f"{own.zh}。")
    more_en, more_zh = [], []
    if waits:
        more_en.append(
            f"Before it copies it may wait, for room: {sent.taken} bytes filled both kernels ({sent.kept} here, {sent.unread} there), "
            f"and {sent.size} bytes took {sent.blocking_s * 1e3:.0f} ms, {sent.blocking_cpu_s * 1e3:.0f} of them computing, since the reader started after "
            f"{sent.delay_s * 1e3:.0f} ms."
        )
        more_zh.append(
            f"拷贝之前它也可能要等，等的是空位：{sent.taken} 字节就填满了两边的内核（这边 {sent.kept}，那边 {sent.unread}），"
            f"读的一方 {sent.delay_s * 1e3:.0f} 毫秒后才开始，{sent.size} 字节于是用了 {sent.blocking_s * 1e3:.0f} 毫秒，其中计算 {sent.blocking_cpu_s * 1e3:.0f} 毫秒。"
        )
    if without:
        more_en.append(
            f"And the program's copy can be left out: with `sendfile` {by['sendfile'].new} of {by['sendfile'].size} bytes arrived as the file "
            "became after the call."
        )
        more_zh.append(
            f"程序这一份拷贝还可以省掉：用 `sendfile`，{by['sendfile'].size} 字节里有 {by['sendfile'].new} 字节到达时是调用之后才写进文件的样子。"
        )
    more_en.append("Here no card took part, only the loopback.")
    more_zh.append("这里没有网卡参与，只经过环回。")
    return refined(
        f"{own.en}. {' '.join(more_en)}",
        f"{own.zh}。{''.join(more_zh)}",
        depends_on=Text("Linux: sendfile to a socket", "Linux：对套接字的 sendfile"),
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n124": _n124, "n125": _n125}
