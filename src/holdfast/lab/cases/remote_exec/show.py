"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab import blocks as b
from holdfast.lab.cases.remote_exec.data import Data, Filled, Turns
from holdfast.lab.cases.remote_exec.judge_server import WAYS
from holdfast.lab.cases.remote_exec.sayings import error_kind
from holdfast.lab.text import Text, same

NOTES = Text("as in the notes", "笔记原样")
REPAIRED = Text("repaired", "修好的")
HOLDFAST = same("Holdfast")
NOT_TRIED = Text("not tried", "未试")


def answer(data: Data) -> Text:
    """In short."""
    rows = _faults(data)
    notes, repaired, beside = (sum(row[column].en.startswith("+") for row in rows) for column in (1, 2, 3))
    tried = sum(row[3] != NOT_TRIED for row in rows)
    hung = min((each.size for each in data.pipes.filled if each.notes_s is None), default=0)
    stuck = f"it hangs at {_size(hung)} of standard error, " if hung else ""
    stuck_zh = f"标准错误达 {_size(hung)} 时卡死，" if hung else ""
    return Text(
        f"Short commands with short answers work. Of the {len(rows)} cases below the notes' pair stands {notes}, the repaired pair "
        f"{repaired}, and `holdfast run` {beside} of the {tried} that it was put to. As in the notes {stuck}a command is cut at 1024 "
        f"bytes, the hash is fixed, the exit status is lost, and anybody may run anything.",
        f"短命令、短输出没有问题。下面 {len(rows)} 种情形，笔记的一对程序通过 {notes} 种，修好的一对通过 {repaired} 种，"
        f"`holdfast run` 在试过的 {tried} 种里通过 {beside} 种。照笔记的写法，{stuck_zh}命令在 1024 字节处被截断，哈希是写死的，"
        f"退出码丢失，谁都可以执行任何命令。",
    )


def figures(data: Data) -> Mapping[str, b.Spread]:
    """Times and sizes."""
    found = {
        "pipe holds": b.spread([float(data.pipes.capacity)], "B"),
        "first byte of an answer": b.spread([data.framed.prefix_s * 1e3], "ms"),
        "second client waits (notes)": b.spread([data.notes_turns.answered_s - data.notes_turns.asked_s], "s"),
        "second client waits (Holdfast)": b.spread([data.holdfast_turns.answered_s - data.holdfast_turns.asked_s], "s"),
    }
    beside = [each.holdfast_s for each in data.pipes.filled if each.holdfast_s is not None]
    if beside:
        found["full pipe (Holdfast)"] = b.spread(beside, "s")
    return found


def blocks(data: Data) -> Sequence[b.Block]:
    """A conversation, what breaks it, and who waits for whom."""
    framed = data.framed
    return (
        b.Sequence(
            Text("One command over the wire", "一条命令在线路上"),
            "client",
            "server",
            (
                b.Message(0.0, True, f"{framed.command!r}", right_state="Popen, read"),
                b.Message(framed.prefix_s, False, f"4 bytes: {framed.declared}", "recv(4)"),
                b.Message(framed.header_s, False, f"{framed.declared} bytes of JSON", f"recv({framed.declared})"),
                b.Message(framed.body_s, False, repr(framed.body), "recv(1024)", "recv(1024)"),
            ),
        ),
        b.Listing(Text("Its header", "它的报头"), (framed.header,)),
        b.Table(
            Text("What breaks it (+ stands, - does not)", "什么会弄垮它（+ 通过，- 不通过）"),
            (Text("case", "情形"), NOTES, REPAIRED, HOLDFAST),
            _faults(data),
        ),
        b.Timeline(
            Text("Commands that fill standard error: time until the answer", "写满标准错误的命令：多久得到应答"),
            tuple(lane for each in data.pipes.filled for lane in _filled(each, data.pipes.limit_s)),
        ),
        b.Timeline(
            Text("One client stays, a second one asks", "一个客户端占着，第二个来请求"),
            (*_turns("notes", data.notes_turns), *_turns("repaired", data.repaired_turns),
             *_turns("Holdfast", data.holdfast_turns)),
        ),
        b.Table(
            Text("A text on its way to the reader", "一段文字到读者眼前"),
            (Text("written as", "写出时"), Text("text", "文字"), NOTES, REPAIRED, HOLDFAST),
            tuple(
                (same(each.name), same(each.text),
                 same(each.notes if each.notes is not None else error_kind(each.error)),
                 same(each.repaired), same(each.holdfast))
                for each in data.texts
            ),
        ),
        b.Listing(Text("What the notes' client prints", "笔记中的客户端的输出"),
                  tuple(f"{line.at_s:6.2f} s  {line.text}" for line in data.session.lines if line.stream == "out")),
    )  # fmt: skip


def _faults(data: Data) -> tuple[tuple[Text, Text, Text, Text], ...]:
    most = max(data.pipes.filled, key=lambda each: each.size)
    pieces, large, long, told = data.pieces, data.large, data.long, data.told
    odd = [each for each in data.texts if each.name.startswith("UTF-8")]
    rows = [
        (
            Text(f"standard error of {_size(most.size)}", f"标准错误 {_size(most.size)}"),
            _cell(most.notes_s is not None, Text("hangs", "卡死")),
            _cell(most.repaired_s is not None),
            _cell(most.holdfast_s is not None),
        ),
        (
            Text(f"a command of {long.size} bytes", f"命令长 {long.size} 字节"),
            _cell(long.second == long.wanted_second, Text(f"made {long.ran} of 2", f"两条变 {long.ran} 条")),
            _cell(long.repaired),
            _cell(long.holdfast, good=Text(f"{long.holdfast_size} bytes", f"{long.holdfast_size} 字节")),
        ),
        (
            Text("a changed byte is noticed", "改动一个字节被察觉"),
            _cell(bool(told.damage_notes), Text("fixed hash", "哈希写死")),
            _cell(bool(told.damage_repaired)),
            _cell(told.holdfast_digests[0] != told.holdfast_digests[1], good=Text("digests in receipts", "回执带摘要")),
        ),
        (
            Text("an answer in pieces", "应答分片到达"),
            _cell(not pieces.prefix and not pieces.header, same(error_kind(pieces.prefix or pieces.header))),
            _cell(not pieces.repaired),
            _cell(pieces.holdfast),
        ),
        (
            Text("an answer that is cut off", "应答中途断开"),
            _cell(large.cut_ended, Text("loops for ever", "死循环")),
            _cell(bool(large.repaired), good=Text("says so", "报错")),
            _cell(large.holdfast == large.wanted,
                  good=Text(f"whole, over {large.holdfast_links} links", f"{large.holdfast_links} 条连接后收全")),
        ),
        (
            Text("UTF-8 output", "UTF-8 输出"),
            _cell(all(each.notes == each.text for each in odd), Text("read as GBK", "按 GBK 解码")),
            _cell(all(each.repaired == each.text for each in odd)),
            _cell(all(each.holdfast == each.text for each in odd)),
        ),
        (
            Text("exit status 3 arrives", "退出码 3 送达"),
            _cell(told.headers[0] != told.headers[1], Text("not told", "没有")),
            _cell(told.repaired_status == 3),
            _cell(told.holdfast_status == 3),
        ),
        (
            Text("a stranger runs nothing", "陌生人什么也执行不了"),
            _cell(not data.stranger.notes, Text("runs all", "都能执行")),
            _cell(not data.stranger.repaired),
            _cell(bool(data.stranger.holdfast) and not data.stranger.holdfast_jobs),
        ),
        (
            Text("no zombies", "没有僵尸进程"),
            _cell(not any(data.unreaped.notes), same(max(data.unreaped.notes, default=0))),
            _cell(not any(data.unreaped.repaired), same(max(data.unreaped.repaired, default=0))),
            _cell(not data.unreaped.holdfast, same(data.unreaped.holdfast)),
        ),
        (
            Text("the port is free again at once", "端口立即可再用"),
            _cell(not data.reuse.notes_again, same("EADDRINUSE")),
            _cell(not data.reuse.repaired_again, same("EADDRINUSE")),
            NOT_TRIED,
        ),
    ]  # fmt: skip
    rows += [
        (
            Text(f"server lives on: {each.how}", f"服务端活着：{WAYS.get(each.how, each.how)}"),
            _cell(each.notes, same(error_kind(each.last_words))),
            _cell(each.repaired),
            NOT_TRIED,
        )
        for each in data.departures
    ]
    return tuple(rows)


def _cell(good_one: bool, bad: Text | None = None, *, good: Text | None = None) -> Text:
    said = good if good_one else bad
    sign = "+" if good_one else "-"
    return Text(f"{sign} {said.en}", f"{sign} {said.zh}") if said else same(sign)


def _filled(each: Filled, limit_s: float) -> tuple[b.Lane, ...]:
    return tuple(
        b.Lane(
            f"{_size(each.size)}, {name}",
            (b.Span(0.0, limit_s if s is None else s, kind="dead" if s is None else "work"),),
        )
        for name, s in (("notes", each.notes_s), ("repaired", each.repaired_s), ("Holdfast", each.holdfast_s))
    )


def _turns(name: str, turns: Turns) -> tuple[b.Lane, ...]:
    return (
        b.Lane(f"{name}: first", (b.Span(0.0, turns.left_s, kind="hold"),)),
        b.Lane(f"{name}: second", (b.Span(turns.asked_s, turns.answered_s, kind="wait"),)),
    )


def _size(size: int) -> str:
    return f"{size / 1024:g} KiB"
