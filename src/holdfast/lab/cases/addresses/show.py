"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Mark, Span, Spread, Table, Timeline, once, spread
from holdfast.lab.cases.addresses.data import Data, Replaced
from holdfast.lab.cases.addresses.judge import bodies, called
from holdfast.lab.text import Text, same

_WHO = {"server": Text("the server", "服务端"), "keeper": Text("another process", "另一个进程")}


def answer(data: Data) -> Text:
    """In short."""
    moved, who = data.moved, data.answerers
    several = sum(len(found) > 1 for found in bodies(data).values())
    twins_en = "Two networks had the same IP and MAC address at once. " if data.twins else ""
    twins_zh = "两个网络同时用着相同的 IP 和 MAC。" if data.twins else ""
    return Text(
        f"None of them by itself. {twins_en}At one port {len(who.tcp)} processes answered, and {several} of {len(bodies(data))} URLs "
        f"gave different pages. A server needs no fixed address, it has to be known: it was reached on ports {moved.ports[0]} and "
        f"{moved.ports[1]} by whoever was told.",
        f"哪一个都做不到。{twins_zh}同一个端口上有 {len(who.tcp)} 个进程应答，{len(bodies(data))} 个 URL 里有 {several} 个给出了不同的页面。"
        f"服务端不需要固定的地址，只需要为人所知：在 {moved.ports[0]} 和 {moved.ports[1]} 端口上，得知端口的客户端都能访问到。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How long answers took while servers were replaced."""
    found = {}
    for each in data.replaced:
        answered = [asked.took_s * 1e3 for asked in each.asked if not asked.error]
        if answered:
            found[f"answers, {each.who_listens} holds the socket"] = spread(answered, "ms")
        found[f"failed, {each.who_listens} holds the socket"] = once(each.failed, "")
    return found


def blocks(data: Data) -> Sequence[Block]:
    """Who is who, and who is reached."""
    return (
        Table(
            Text("What each one identifies", "各自标识什么"),
            (Text("address", "地址"), Text("identifies", "标识"), Text("not", "不标识")),
            (
                (same("MAC"), Text("an interface on its own link", "本链路上的一个接口"), Text("a computer; it can be set", "计算机；它可以改")),
                (same("IP"), Text("an interface in a network", "一个网络里的接口"), Text("a computer; private ones repeat", "计算机；私有地址会重复")),
                (same("IP + port"), Text("an end point of one protocol", "某一协议的端点"), Text("a program; several may share it", "程序；几个程序可以共用")),
                (Text("both ends + protocol", "两端 + 协议"), Text("a connection", "一条连接"), Text("who is behind it", "背后是谁")),
                (same("URL"), Text("where and how to ask", "到哪里、怎样去要"), Text("what comes back", "得到什么")),
                (Text("name", "域名"), Text("what somebody has entered for it", "有人为它登记的地址"), Text("one machine; it may have several", "一台机器；它可以有多个地址")),
            ),
        ),
        Table(
            Text("This machine's interfaces", "这台机器的接口"),
            (Text("name", "名字"), same("MAC"), same("IP")),
            tuple((same(each.name), same(each.mac), same(f"[{each.ip}]")) for each in data.interfaces),
        ),
        *_twins(data),
        Table(
            Text("Who answers at one IP and port", "同一个 IP 和端口上谁在应答"),
            (Text("who", "谁"), Text("answers", "应答数")),
            (
                *((Text(f"process {number} by TCP", f"进程 {number}，TCP"), same(count)) for number, count in enumerate(data.answerers.tcp, 1)),
                (Text("one more process by UDP", "另一个进程，UDP"), same(int(data.answerers.udp_too))),
            ),
        ),
        Table(
            Text("What URLs give", "URL 给出什么"),
            (same("URL"), Text("asked", "怎样要的"), Text("page", "页面")),
            tuple((same(page.url), called(page.how), same(page.body)) for page in data.pages),
        ),
        *(_replaced(each) for each in data.replaced),
        Table(
            Text("Who talks over what", "谁通过什么交谈"),
            (Text("pair", "双方"), Text("carried by", "载体"), Text("an interface up", "有网络接口"), Text("answered", "有回答")),
            tuple(
                (called(talk.pair), called(talk.carrier), _yes(talk.network), _yes(talk.answered) if not talk.error else same(talk.error))
                for talk in data.talks
            ),
        ),
        Table(
            Text("Well-known ports, from this machine's list", "知名端口，取自这台机器的列表"),
            (Text("service", "服务"), Text("protocol", "协议"), Text("port", "端口")),
            tuple(
                (same(each.name), same(each.protocol), same("-" if each.port is None else each.port)) for each in data.services
            ),
        ),
    )  # fmt: skip


def _yes(yes: bool) -> Text:
    return Text("yes", "是") if yes else Text("no", "否")


def _twins(data: Data) -> tuple[Block, ...]:
    if not data.twins:
        return ()
    return (
        Table(
            Text("Two networks at the same time", "同时存在的两个网络"),
            (same("IP"), same("MAC"), Text("MAC before", "原来的 MAC"), same("URL"), Text("its page", "它的页面")),
            tuple(
                (same(f"[{twin.ip}]"), same(twin.mac), same(twin.mac_before), same(twin.url), same(twin.body))
                for twin in data.twins
            ),
        ),
    )  # fmt: skip


def _replaced(each: Replaced) -> Timeline:
    gone, back = each.gap_s
    whole = max([back, *(asked.at_s + asked.took_s for asked in each.asked)])
    who = _WHO[each.who_listens]
    failed = [asked for asked in each.asked if asked.error]
    waited = max((asked for asked in each.asked if not asked.error), key=lambda asked: asked.took_s, default=None)
    client = [
        Span(asked.at_s, asked.at_s + asked.took_s, kind="dead" if asked.error else "wait") for asked in each.asked
    ]
    marks = [Mark(failed[0].at_s, f"{failed[0].error} × {len(failed)}")] if failed else []
    if waited is not None and waited.took_s > (back - gone) / 2:
        marks.append(Mark(waited.at_s + waited.took_s, "answered late"))
    return Timeline(
        Text(f"A server is replaced; {who.en} holds the listening socket", f"更换服务端；监听套接字由{who.zh}持有"),
        (
            Lane("server", (Span(0.0, gone), Span(back, whole)), (Mark(gone, "ends"), Mark(back, "new one"))),
            Lane("questions", tuple(client), tuple(marks)),
        ),
    )
