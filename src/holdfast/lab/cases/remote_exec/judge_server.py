# ruff: noqa: E501
"""The claims that are about the server. Pure.

Lines are long where sentences in two languages are: a Chinese sign counts as two columns.
"""

from __future__ import annotations

from holdfast.lab.cases.remote_exec.data import Data
from holdfast.lab.cases.remote_exec.sayings import error_kind
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

BUFFERS = Text("Linux and the size of its pipes", "Linux 及其管道容量")
COUNTING = Text("CPython, which drops an object as soon as nothing refers to it", "CPython：对象不再被引用即刻释放")


def n036(data: Data) -> Ruling:
    """A command in one ``recv(1024)``."""
    long = data.long
    if long.ran == 2 and long.second == long.wanted_second:
        return confirmed(
            f"A command of {long.size} bytes and the next one were run as two commands.",
            f"一条 {long.size} 字节的命令和下一条命令，被当作两条执行。",
        )
    shown, shown_zh = (f"“{long.second}”",) * 2 if long.second else ("none", "空")
    en = (
        f"The limit is there, but nothing is refused: of a command of {long.size} bytes and the next one the server made "
        f"{long.ran} commands, and what stood behind byte 1024 was run as a command of its own. From then on the client is out of "
        f"step: its second answer was {shown} instead of “{long.wanted_second}”."
    )
    zh = (
        f"上限确实存在，但并没有拒绝：一条 {long.size} 字节的命令加下一条，服务端当成了 {long.ran} 条，第 1024 字节之后的部分被当作"
        f"另一条命令执行。客户端从此错位：第二个应答是{shown_zh}，而不是“{long.wanted_second}”。"
    )
    if long.holdfast:
        en += f" `host.run` took one of {long.holdfast_size} bytes."
        zh += f"`host.run` 执行了 {long.holdfast_size} 字节的一条。"
    return refined(en, zh)


def n037(data: Data) -> Ruling:
    """Whatever comes is run."""
    stranger = data.stranger
    if not stranger.notes:
        return refuted(
            "Two commands in one line, from somebody who had only the port, were not run.",
            "一个只知道端口的人发来的一行两条命令，没有被执行。",
        )
    got = " ".join(stranger.notes.split())
    mended, mended_zh = (f"“{stranger.repaired}”",) * 2 if stranger.repaired else ("nothing", "：没有")
    en = (
        f"It does, and for anybody: somebody who had only the port got “{got}” for two commands in one line. "
        f"The repaired server gave him {mended}."
    )
    zh = f"是的，而且谁发来都执行：一个只知道端口的人，用一行两条命令得到了“{got}”。修好的服务端给他的应答{mended_zh}。"
    if stranger.holdfast:
        en += f" An agent of Holdfast turned him away ({stranger.holdfast}) and ran {stranger.holdfast_jobs} jobs for him."
        zh += f"Holdfast 的 agent 拒绝了他（{stranger.holdfast}），为他执行了 {stranger.holdfast_jobs} 个作业。"
    return confirmed(en, zh)


def n038(data: Data) -> Ruling:
    """One pipe after the other."""
    pipes = data.pipes
    came = [each.size for each in pipes.filled if each.notes_s is not None]
    hung = [each for each in pipes.filled if each.notes_s is None]
    if not hung:
        return confirmed(f"Up to {max(came)} bytes of standard error came.", f"标准错误写到 {max(came)} 字节都能收到。")
    first = min(hung, key=lambda each: each.size)
    where = where_zh = ""
    if pipes.server_waits_in:
        where = f" (the server in {pipes.server_waits_in}, the command in {pipes.child_waits_in})"
        where_zh = f"（服务端在 {pipes.server_waits_in}，命令在 {pipes.child_waits_in}）"
    beside = all(each.holdfast_s is not None and each.repaired_s is not None for each in pipes.filled)
    most = max(each.size for each in pipes.filled)
    en = (
        f"Only while standard error fits into its pipe, which holds {pipes.capacity} bytes here: {max(came, default=0)} bytes came, "
        f"{first.size} did not within {pipes.limit_s:g} s. The command waits until somebody reads, the server for the end of the "
        f"command{where}: a deadlock."
    )
    zh = (
        f"只有标准错误装得进管道（此处 {pipes.capacity} 字节）时才行：{max(came, default=0)} 字节收到了，{first.size} 字节在 "
        f"{pipes.limit_s:g} 秒内没有。命令等人来读，服务端等命令结束{where_zh}：死锁。"
    )
    if beside:
        en += f" Who reads both at once, as the repaired server and Holdfast do, got all {most}."
        zh += f"同时读两个管道的（修好的服务端和 Holdfast）把 {most} 字节全收到了。"
    return refined(en, zh, depends_on=BUFFERS) if came else refuted(en, zh, depends_on=BUFFERS)


def n039(data: Data) -> Ruling:
    """What the header says."""
    told = data.told
    true_hash = told.hashes[0] != told.hashes[1]
    status = told.headers[0] != told.headers[1]
    if true_hash and status and told.damage_notes:
        return confirmed(
            f"Different answers have different hashes ({told.hashes[0]}, {told.hashes[1]}), and different ends different headers.",
            f"不同的应答有不同的哈希（{told.hashes[0]}、{told.hashes[1]}），不同的结局有不同的报头。",
        )
    en = (
        f"The size is right, the rest says nothing. Both of two different answers have the hash {told.hashes[0]} (SHA-256 would "
        f"begin with {told.sums[0][:6]} and {told.sums[1][:6]}), and a changed byte "
        f"{'was noticed' if told.damage_notes else 'went unnoticed'}. exit 0 and exit 3 have "
        f"{'different headers' if status else 'the same header'}; Holdfast's receipt said {told.holdfast_status}."
    )
    zh = (
        f"长度是对的，其余的什么也没说明。两个不同应答的哈希都是 {told.hashes[0]}（SHA-256 应以 {told.sums[0][:6]} 和 "
        f"{told.sums[1][:6]} 开头），改动一个字节{'被发现了' if told.damage_notes else '无人察觉'}。exit 0 与 exit 3 的报头"
        f"{'不同' if status else '一模一样'}；Holdfast 的回执写的是 {told.holdfast_status}。"
    )
    if told.mixed == "ERR\nOUT\nOUT\n":
        en += " OUT, ERR, OUT came as ERR, OUT, OUT, with no border between the two streams."
        zh += "OUT、ERR、OUT 送来时成了 ERR、OUT、OUT，两个流之间没有界线。"
    return refined(en, zh)


def n040(data: Data) -> Ruling:
    """Who leaves ends only himself."""
    served = [each for each in data.departures if each.notes]
    died = [each for each in data.departures if not each.notes]
    if not died:
        return confirmed(
            f"After each of {len(served)} ways to leave the next client was served.",
            f"{len(served)} 种离开方式之后，下一个客户端都得到了服务。",
        )
    chinese = WAYS
    fine = ", ".join(each.how for each in served) or "none"
    bad = "; ".join(f"{each.how}: {error_kind(each.last_words)}" for each in died)
    fine_zh = "、".join(chinese.get(each.how, each.how) for each in served) or "无"
    bad_zh = "；".join(f"{chinese.get(each.how, each.how)}：{error_kind(each.last_words)}" for each in died)
    mended = sum(each.repaired for each in data.departures)
    en = (
        f"The server went on after {len(served)} of {len(data.departures)} ways to end a client ({fine}). "
        f"Others ended the server ({bad}). The repaired one went on after {mended}."
    )
    zh = (
        f"{len(data.departures)} 种情形中，服务端在 {len(served)} 种之后继续服务（{fine_zh}）。"
        f"另一些使服务端退出（{bad_zh}）。修好的服务端在 {mended} 种之后都继续服务。"
    )
    return refined(en, zh) if served else refuted(en, zh)


def n041(data: Data) -> Ruling:
    """One client after the other."""
    turns = data.notes_turns
    waited = turns.answered_s - turns.asked_s
    if turns.answered_s < turns.left_s:
        return refuted(
            f"A second client was answered {turns.left_s - turns.answered_s:.2g} s before the first one left.",
            f"第二个客户端在第一个离开前 {turns.left_s - turns.answered_s:.2g} 秒就得到了应答。",
        )
    fast = data.holdfast_turns
    return confirmed(
        f"A client that said nothing and stayed for {turns.left_s:.2g} s kept the next one waiting for {waited:.2g} s. "
        f"With Holdfast the second one had its answer after {fast.answered_s - fast.asked_s:.2g} s, while the first one's command ran.",
        f"一个不出声、待了 {turns.left_s:.2g} 秒的客户端，让下一个等了 {waited:.2g} 秒。"
        f"用 Holdfast 时，第一个的命令还在运行，第二个 {fast.answered_s - fast.asked_s:.2g} 秒后就有了应答。",
    )


def n042(data: Data) -> Ruling:
    """Nobody waits."""
    unreaped = data.unreaped
    most, commands = max(unreaped.notes, default=0), len(unreaped.notes)
    counts = ", ".join(map(str, unreaped.notes[:8]))
    if most == 0:
        return confirmed(
            f"After each of {commands} commands no child was left.", f"{commands} 条命令，每条之后都没有遗留子进程。"
        )
    others = f"{max(unreaped.repaired, default=0)}", f"{unreaped.holdfast}"
    if most >= commands > 1:
        return refuted(
            f"Every command left a zombie: {counts} after one, two and so on.",
            f"每条命令都留下一个僵尸进程：依次为 {counts}。",
            depends_on=COUNTING,
        )
    return refined(
        f"There always was a zombie, though never more than {most} ({counts} after {commands} commands): the last command's, "
        f"which Python takes away by the way when its Popen is dropped for the next. Who does not wait never learns how it "
        f"ended, either. The repaired server left {others[0]}, Holdfast {others[1]}.",
        f"始终有僵尸进程，但从不多于 {most} 个（{commands} 条命令后依次为 {counts}）：是最后那条命令的，要等它的 Popen 因下一条"
        f"命令而被丢弃时，Python 才顺手回收。不 wait 也就永远不知道它怎样结束。修好的服务端遗留 {others[0]} 个，Holdfast {others[1]} 个。",
        depends_on=COUNTING,
    )


WAYS = {
    "it closes": "正常关闭",
    "it resets": "重置连接",
    "it leaves before its answer": "应答之前离开",
    "its command is no UTF-8": "命令不是 UTF-8",
}
"""How clients leave, in Chinese."""
