"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Mark, Plot, Remark, Series, Span, Spread, Table, Timeline, spread
from holdfast.lab.blocks import Sequence as Arrows
from holdfast.lab.cases.backlog.data import Asked, Crowd, Data, Guest
from holdfast.lab.cases.backlog.judge import of_number
from holdfast.lab.segments import captured_messages
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    number = data.kept_number
    finished, half = of_number(data.finished, number), of_number(data.half_open, number)
    return Text(
        f"It limits those that wait for `accept`: with {number} there was room for {finished.accepted} finished connections, and {finished.unanswered} more requests "
        f"were thrown away unanswered. The half-open ones are in a second queue, of which {half.half_open} of {half.came} found room. It limits no connections: "
        f"{data.kept} were open at once. And a client's own view does not count: {data.believers.established} believed that they were connected while `accept` had "
        f"{data.believers.accepted_silent} of them.",
        f"它限制的是等待 `accept` 的：给 {number} 时能容下 {finished.accepted} 个已完成的连接，另外 {finished.unanswered} 个请求被丢弃、没有回答。半连接在另一个队列里，"
        f"{half.came} 个中有 {half.half_open} 个找到位置。它不限制连接数：同时打开过 {data.kept} 个。客户端自己的看法也不算数：{data.believers.established} 个以为连上了，"
        f"`accept` 那里却只有其中 {data.believers.accepted_silent} 个。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """Room beyond the number, and how long those wait who were not answered."""
    beyond = [float(crowd.accepted - crowd.number) for crowd in data.finished]
    found = {"room beyond the number": spread(beyond, "")}
    late = [guest.connected_s - guest.asked_s for guest in _late(data) if guest.connected_s is not None]
    if late:
        found["until an unanswered client is connected"] = spread(late, "s")
    return found


def blocks(data: Data) -> Sequence[Block]:
    """The two queues in numbers, then in time, then those who believe."""
    found: list[Block] = [
        _crowds(
            Text("Nobody accepts: the queue of finished connections", "没人 accept：已完成连接的队列"), data.finished
        ),
        _crowds(
            Text("Clients that say nothing, at a server that waits for data: the queue of half-open ones",
                 "客户端不说话、服务端等数据：半连接的队列"),
            data.half_open + ((data.cookies,) if data.cookies else ()),
        ),
        *((_asked(data.asked),) if data.asked else ()),
        _plot(data),
        _guests(data),
    ]  # fmt: skip
    if data.retried:
        found.append(
            Arrows(
                Text("Captured: the last client, which asks again", "抓取：最后一个客户端，它又问了一次"),
                "client", "server", captured_messages(data.retried, data.guests_port),
            )
        )  # fmt: skip
    found += [_believers(data), _settings(data)]
    found.append(
        Remark(
            Text(
                "Counted with `accept` and the kernel's own tables (/proc/net/tcp, TCP_INFO of the listening socket). A place more than the number: the kernel refuses when "
                "more than the number wait, not when as many do.",
                "用 `accept` 和内核自己的表来数（/proc/net/tcp、监听套接字的 TCP_INFO）。比数字多一个位置：内核在等待者多于这个数时才拒绝，而不是等于时。",
            )
        )
    )
    return tuple(found)


def _crowds(title: Text, crowds: tuple[Crowd, ...]) -> Table:
    return Table(
        title,
        (
            same("listen(n)"), same("cookies"), Text("came", "来了"), Text("half-open", "半连接"), Text("finished, waiting", "完成、在等"),
            Text("accepted", "accept 取出"), Text("never answered", "没有回答"), Text("clients that believe", "自以为连上"),
            same("ListenOverflows"), same("ListenDrops"),
        ),
        tuple(
            tuple(
                same("?" if value is None else value)
                for value in (
                    crowd.number, crowd.cookies, crowd.came, crowd.half_open, crowd.waiting, crowd.accepted, crowd.unanswered, crowd.believe,
                    crowd.overflows, crowd.drops,
                )
            )
            for crowd in crowds
        ),
    )  # fmt: skip


def _asked(asked: tuple[Asked, ...]) -> Table:
    return Table(
        Text("By hand: requests whose answers are lost, so that none is ever confirmed", "手工：请求的应答全部丢失，因此永远得不到确认"),
        (same("listen(n)"), same("cookies"), Text("came", "来了"), same("SYN+ACK"), Text("half-open", "半连接")),
        tuple(tuple(map(same, (each.number, "?" if each.cookies is None else each.cookies, each.came, each.answered, each.half_open)))
              for each in asked),
    )  # fmt: skip


def _plot(data: Data) -> Plot:
    def of(name: str, crowds: tuple[Crowd, ...], values: list[int]) -> Series:
        return Series(name, tuple(float(crowd.number) for crowd in crowds), tuple(map(float, values)))

    return Plot(
        Text("Room in each queue, by the number given to listen", "两个队列的容量与传给 listen 的数字"),
        same("listen(n)"),
        Text("places", "位置"),
        (
            of("finished", data.finished, [crowd.accepted for crowd in data.finished]),
            of("half-open", data.half_open, [crowd.half_open for crowd in data.half_open]),
        ),
    )


def _late(data: Data) -> tuple[Guest, ...]:
    """Those that were not answered until somebody had been accepted."""
    first = min((guest.accepted_s for guest in data.guests if guest.accepted_s is not None), default=0.0)
    return tuple(guest for guest in data.guests if guest.connected_s is None or guest.connected_s > first)


def _guests(data: Data) -> Timeline:
    ends = [moment for guest in data.guests for moment in (guest.connected_s, guest.accepted_s) if moment is not None]
    whole = max(ends, default=0.0)
    return Timeline(
        Text(
            f"{len(data.guests)} clients and listen({data.guests_number}): waiting for an answer, then in the queue, then accepted",
            f"{len(data.guests)} 个客户端与 listen({data.guests_number})：先等回答，再排队，再被 accept",
        ),
        tuple(_lane(place, guest, whole) for place, guest in enumerate(data.guests, 1)),
    )


def _lane(place: int, guest: Guest, whole: float) -> Lane:
    connected = whole if guest.connected_s is None else guest.connected_s
    accepted = whole if guest.accepted_s is None else guest.accepted_s
    spans = (Span(guest.asked_s, connected, "SYN_SENT", "wait"), Span(connected, accepted, "ESTABLISHED", "hold"))
    marks = () if guest.accepted_s is None else (Mark(guest.accepted_s, "accept"),)
    return Lane(str(place), tuple(span for span in spans if span.end_s - span.start_s > 0.001), marks)


def _believers(data: Data) -> Table:
    seen = data.believers
    return Table(
        Text("Connected in their own eyes alone", "只是自以为连上了"),
        (Text("what", "项目"), Text("count", "数目")),
        (
            (Text("clients that connected and said nothing; others then filled the queue", "先连上、没说话的客户端；随后别人占满了队列"), same(seen.silent)),
            (Text("ESTABLISHED at the client", "客户端一侧为 ESTABLISHED"), same(seen.established)),
            (Text("SYN_RECV at the server", "服务端一侧为 SYN_RECV"), same(seen.half_open)),
            (Text("bytes that their kernel took to send", "它们的内核收下待发的字节"), same(seen.sent)),
            (Text("clients whose bytes nobody confirms", "字节无人确认的客户端"), same(seen.unconfirmed)),
            (Text("given by accept, of all", "accept 取出的总数"), same(seen.accepted)),
            (Text("given by accept, of them", "其中属于它们的"), same(seen.accepted_silent)),
            (Text("of them, once there was room and they had sent again", "有了空位、它们重发之后取出的"), same(seen.later)),
        ),
    )  # fmt: skip


def _settings(data: Data) -> Table:
    rows = (
        ("net.core.somaxconn", data.somaxconn),
        ("net.ipv4.tcp_syncookies", data.syncookies),
        ("net.ipv4.tcp_max_syn_backlog", data.max_syn_backlog),
        (f"listen({data.asked_for}) → limit", data.granted),
    )
    return Table(
        Text("Settings of this machine", "这台机器的设置"),
        (Text("setting", "设置"), Text("value", "值")),
        tuple((same(name), same("?" if value is None else value)) for name, value in rows),
    )
