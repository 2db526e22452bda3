"""What the observations say of the claims. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.remote_exec.data import Data
from holdfast.lab.cases.remote_exec.judge_server import n036, n037, n038, n039, n040, n041, n042
from holdfast.lab.cases.remote_exec.sayings import error_kind, printed
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted


def _n030(data: Data) -> Ruling:
    came = printed(data.session)
    right = sum(got == wanted for got, wanted in zip(came, data.wanted, strict=False))
    total = json.loads(data.framed.header).get("total_size") if data.framed.header else None
    framed = (data.framed.declared, total) == (len(data.framed.header.encode()), len(data.framed.body.encode()))
    en = (
        f"The client printed {right} of {len(data.wanted)} outputs as they should be. One answer was 4 bytes, a header of "
        f"{data.framed.declared} and {len(data.framed.body.encode())} bytes of output."
    )
    zh = (
        f"{len(data.wanted)} 个输出中，客户端正确打印了 {right} 个。一个应答由 4 字节、{data.framed.declared} 字节报头和 "
        f"{len(data.framed.body.encode())} 字节输出组成。"
    )
    if right == len(data.wanted) and framed:
        return confirmed(
            en + " Short, plain, friendly commands work; the other claims are about the rest.",
            zh + "短小、规矩、善意的命令都行；其余的情况见下面各条。",
        )
    return refuted(en, zh)


def _n031(data: Data) -> Ruling:
    reuse = data.reuse
    if reuse.after_getsockopt or not reuse.notes_again:
        return confirmed(
            f"After getsockopt the option is {reuse.after_getsockopt}; a server killed with a client in it "
            f"{'came up again at once' if not reuse.notes_again else 'did not come up again'}.",
            f"getsockopt 之后该选项为 {reuse.after_getsockopt}；带着客户端被杀的服务端"
            f"{'立刻又起来了' if not reuse.notes_again else '没能再起来'}。",
        )
    mended = (
        ("came up at once", "立刻就起来了")
        if not reuse.repaired_again
        else (f"failed, too ({reuse.repaired_again})", f"也失败了（{reuse.repaired_again}）")
    )
    return refuted(
        f"getsockopt only asks: its third argument is the size of the answer, and the option stays {reuse.after_getsockopt}. "
        f"Killed with a client in it, the server did not come up again on its port: {error_kind(reuse.notes_again)}. "
        f"With setsockopt the option is {reuse.after_setsockopt}, and the repaired server {mended[0]}.",
        f"getsockopt 只是查询：第三个参数是结果的长度，选项仍为 {reuse.after_getsockopt}。带着客户端被杀之后，服务端无法再在"
        f"原端口启动：{error_kind(reuse.notes_again)}。用 setsockopt 后选项为 {reuse.after_setsockopt}，修好的服务端{mended[1]}。",
    )


def _n032(data: Data) -> Ruling:
    pieces = data.pieces
    loopback = f"{pieces.whole} of {pieces.tries}"
    if not pieces.prefix and not pieces.header:
        return confirmed(
            f"Over the loopback {loopback} answers had it so, and the client got over split ones.",
            f"回环上 {pieces.tries} 个应答中有 {pieces.whole} 个如此，分开到达时客户端也没出错。",
        )
    failed = [error_kind(words) for words in (pieces.prefix, pieces.header) if words]
    en = (
        f"recv(n) gives one to n bytes. Over the loopback {loopback} answers came whole by luck; when a prefix came as 2 and "
        f"2 bytes, or a header in halves, the client died of {' and '.join(failed)}."
    )
    zh = (
        f"recv(n) 给出 1 到 n 个字节。回环上 {pieces.tries} 个应答中有 {pieces.whole} 个碰巧完整；长度分成 2+2 字节、"
        f"或报头分成两半到达时，客户端死于 {' 和 '.join(failed)}。"
    )
    if not pieces.repaired and pieces.holdfast:
        en += " The repaired client and Holdfast's parser put answers together that came byte by byte."
        zh += "修好的客户端和 Holdfast 的解析器能把逐字节到达的应答拼完整。"
    return refined(en, zh) if pieces.whole else refuted(en, zh)


def _n033(data: Data) -> Ruling:
    large = data.large
    whole = large.notes == large.wanted
    if not whole:
        return refuted(
            f"Of {large.wanted} bytes the client printed {large.notes}.",
            f"{large.wanted} 字节中，客户端只打印了 {large.notes} 字节。",
        )
    if large.cut_ended:
        return confirmed(
            f"All {large.wanted} bytes came, and the client ended when its answer was cut off.",
            f"{large.wanted} 字节全部到达；应答中途断开时客户端也结束了。",
        )
    share = min(1.0, large.cut_cpu_s / large.cut_watched_s) if large.cut_watched_s else 0.0
    return refined(
        f"All {large.wanted} bytes came. But when the connection ended within an answer, recv gave empty bytes for ever and "
        f"the loop never ended: {share:.0%} of a core for the {large.cut_watched_s:.2g} s that it was watched. The repaired "
        f"client said: {large.repaired}. Holdfast went on by itself: {large.holdfast} bytes over {large.holdfast_links} connections.",
        f"{large.wanted} 字节全部到达。但连接若在应答中途断开，recv 便一直返回空，循环永不结束：观察的 "
        f"{large.cut_watched_s:.2g} 秒里占去一个核的 {share:.0%}。修好的客户端说：{large.repaired}。"
        f"Holdfast 自己续上：{large.holdfast_links} 个连接，共 {large.holdfast} 字节。",
    )


def _n034(data: Data) -> Ruling:
    right = [each.name for each in data.texts if each.notes == each.text]
    wrong = [each for each in data.texts if each.notes is not None and each.notes != each.text]
    died = [each for each in data.texts if each.notes is None]
    if not wrong and not died:
        return confirmed(
            f"All {len(data.texts)} texts came out right.",
            f"{len(data.texts)} 段文字全部正确。",
        )
    shown = "; ".join(f"{each.text} → {each.notes}" for each in wrong)
    ended = ", ".join(f"{each.text} ({error_kind(each.error)})" for each in died)
    beside = sum(each.holdfast == each.text for each in data.texts)
    en = (
        f"Right for {', '.join(right) or 'none'}: only if the other side writes GBK, as a Chinese Windows does, or ASCII. "
        f"UTF-8 came out as something else ({shown or '-'}) or ended the client: {ended or '-'}. "
        f"Holdfast passes bytes on and decodes as told: {beside} of {len(data.texts)} right."
    )
    zh = (
        f"对 {'、'.join(right) or '哪个都不'} 正确：只有对方写的是 GBK（如中文 Windows）或 ASCII 时才行。"
        f"UTF-8 变成了别的字（{shown or '-'}），或使客户端退出：{ended or '-'}。"
        f"Holdfast 传的是字节，按指定的编码解码：{len(data.texts)} 段中 {beside} 段正确。"
    )
    return refined(en, zh) if right else refuted(en, zh)


def _n035(data: Data) -> Ruling:
    sizes = data.lengths
    same = sizes.escaped_characters == sizes.escaped_bytes
    plain_works = not sizes.plain_error
    if same and plain_works:
        return confirmed(
            f"{sizes.escaped_characters} characters are {sizes.escaped_bytes} bytes, and a header of {sizes.plain_bytes} bytes "
            f"told as {sizes.plain_characters} was read.",
            f"{sizes.escaped_characters} 个字符就是 {sizes.escaped_bytes} 字节；{sizes.plain_bytes} 字节的报头报成 "
            f"{sizes.plain_characters} 也读对了。",
        )
    if not same:
        return refuted(
            f"json.dumps wrote {sizes.escaped_characters} characters of {sizes.escaped_bytes} bytes.",
            f"json.dumps 写出的 {sizes.escaped_characters} 个字符占 {sizes.escaped_bytes} 字节。",
        )
    return refined(
        f"Equal by luck: json.dumps escapes what is not ASCII, so {sizes.escaped_characters} characters are "
        f"{sizes.escaped_bytes} bytes. Written plainly, the same header has {sizes.plain_characters} characters and "
        f"{sizes.plain_bytes} bytes, and the client died of {error_kind(sizes.plain_error)}. Count the bytes.",
        f"相等是碰巧：json.dumps 会转义非 ASCII 字符，所以 {sizes.escaped_characters} 个字符正好是 {sizes.escaped_bytes} 字节。"
        f"不转义时，同一报头有 {sizes.plain_characters} 个字符、{sizes.plain_bytes} 字节，客户端死于 "
        f"{error_kind(sizes.plain_error)}。应当数字节。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n030": _n030,
    "n031": _n031,
    "n032": _n032,
    "n033": _n033,
    "n034": _n034,
    "n035": _n035,
    "n036": n036,
    "n037": n037,
    "n038": n038,
    "n039": n039,
    "n040": n040,
    "n041": n041,
    "n042": n042,
}
