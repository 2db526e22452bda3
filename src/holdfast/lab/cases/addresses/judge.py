"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.addresses.data import Data, Replaced, Talk
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, definition, refined, refuted

_LOOPBACK: Final = "127.0.0.1"
_ZH: Final[Mapping[str, str]] = {
    "client/server": "客户端与服务端",
    "browser/server": "浏览器与服务端",
    "client/server of Holdfast": "Holdfast 的客户端与服务端",
    "TCP on a loopback": "环回上的 TCP",
    "TCP, no interface up": "TCP，没有网络接口",
    "TCP on a wire that is a program": "以程序为线路的 TCP",
    "unix socket": "unix 套接字",
    "first time": "第一次",
    "second time": "第二次",
    "another name": "换个名字",
}


def service(data: Data, name: str, protocol: str = "udp") -> int | None:
    """The port of a service in this machine's list."""
    return next((each.port for each in data.services if (each.name, each.protocol) == (name, protocol)), None)


def bodies(data: Data) -> dict[str, set[str]]:
    """What came out, by URL."""
    found: dict[str, set[str]] = defaultdict(set)
    for page in data.pages:
        found[page.url].add(page.body)
    for twin in data.twins:
        found[twin.url].add(twin.body)
    return found


def _of(data: Data, who_listens: str) -> Replaced:
    return next(each for each in data.replaced if each.who_listens == who_listens)


def called(words: str) -> Text:
    """A pair, a carrier or a way of asking, by its name in the data."""
    return Text(words, _ZH.get(words, words))


def _names(talks: list[Talk]) -> Text:
    named = dict.fromkeys((talk.pair, talk.carrier) for talk in talks)
    return Text(
        ", ".join(f"{pair} ({carrier})" for pair, carrier in named),
        "、".join(f"{called(pair).zh}（{called(carrier).zh}）" for pair, carrier in named),
    )


def _n006(data: Data) -> Ruling:
    over = [talk for talk in data.talks if talk.carrier.startswith("TCP") and talk.network and talk.answered]
    without = [talk for talk in data.talks if talk.carrier.startswith("unix") and talk.answered]
    cut_off = [talk for talk in data.talks if not talk.network and not talk.answered]
    if not over:
        return refuted("Nobody got an answer over the network.", "没有谁通过网络得到回答。")
    if without:
        return refined(
            f"They do: {_names(over).en}. But they need not: {_names(without).en} got an answer through a socket of the same machine"
            + (f", also where no interface was up and TCP failed ({cut_off[0].error})." if cut_off else "."),
            f"确实如此：{_names(over).zh}。但不是非网络不可：{_names(without).zh} 经本机套接字也得到了回答"
            + (f"，即使没有任何网络接口、TCP 已经不通（{cut_off[0].error}）。" if cut_off else "。"),
        )
    return confirmed(
        f"Only over the network did they get an answer: {_names(over).zh}.",
        f"只有通过网络才得到回答：{_names(over).zh}。",
    )


def _n007(data: Data) -> Ruling:
    alone, kept = _of(data, "server"), _of(data, "keeper")
    gap = [each.gap_s[1] - each.gap_s[0] for each in (alone, kept)]
    slowest = max((each.took_s for each in kept.asked), default=0.0)
    if not alone.failed:
        return refuted(
            f"The server was away for {gap[0]:.1f} s, and all {len(alone.asked)} questions were answered.",
            f"服务端离开了 {gap[0]:.1f} 秒，{len(alone.asked)} 个问题全部得到回答。",
        )
    if kept.failed:
        return confirmed(
            f"While the server was away ({gap[0]:.1f} s) {alone.failed} of {len(alone.asked)} questions failed, and {kept.failed} even "
            "where another process kept the socket.",
            f"服务端离开期间（{gap[0]:.1f} 秒），{len(alone.asked)} 个问题失败 {alone.failed} 个；由别的进程保住套接字时也失败 {kept.failed} 个。",
        )
    return refined(
        f"Without a server {alone.failed} of {len(alone.asked)} questions failed within {gap[0]:.1f} s. But what must stay is the listening "
        f"socket, not the process: when another process kept it, the server was replaced within {gap[1]:.1f} s, and none of {len(kept.asked)} "
        f"questions failed; the slowest took {slowest:.2g} s.",
        f"没有服务端的 {gap[0]:.1f} 秒里，{len(alone.asked)} 个问题失败了 {alone.failed} 个。不过必须一直在的是监听套接字，而不是进程：由别的进程保住它，"
        f"服务端在 {gap[1]:.1f} 秒内换了一个，{len(kept.asked)} 个问题无一失败，最慢的用了 {slowest:.2g} 秒。",
    )


def _n008(data: Data) -> Ruling:
    moved = data.moved
    if not all(moved.told_reached):
        return confirmed("A server that took any port was not reached.", "随意取端口的服务端没有被访问到。")
    if moved.old_reached:
        return refuted(
            f"A client that knew only port {moved.ports[0]} reached the server after it had moved to {moved.ports[1]}.",
            f"只知道 {moved.ports[0]} 端口的客户端，在服务端搬到 {moved.ports[1]} 之后仍能访问。",
        )
    return refined(
        f"It need not stay the same, it has to be known: a server on port {moved.ports[0]}, then on {moved.ports[1]}, both picked by the "
        "system, was reached each time by a client that was told; one that knew only the old port was refused. Nor must it bind: "
        f"`listen` without `bind` got port {moved.unbound_port}.",
        f"不必不变，但要为人所知：系统先后给服务端 {moved.ports[0]} 和 {moved.ports[1]} 端口，得知端口的客户端每次都能访问，只知道旧端口的则被拒绝。"
        f"也不是非 bind 不可：不 `bind` 直接 `listen`，得到了 {moved.unbound_port} 端口。",
    )


def _n009(data: Data) -> Ruling:
    answered = [talk for talk in data.talks if talk.answered and talk.network and talk.carrier.startswith("TCP")]
    if not data.mismatch:
        return refuted(
            "Two programs understood each other without a common protocol.", "两个程序没有共同的协议也能互相理解。"
        )
    if answered:
        carriers = list(dict.fromkeys(talk.carrier for talk in answered))
        return refined(
            f"The protocols are needed: HTTP to a server of another protocol gave {data.mismatch}. A physical link is not needed for "
            f"them: the same protocols ran over {', '.join(carriers)}, with no cable or card in between. (That the internet spans the world "
            "is a matter of links; one machine cannot show it.)",
            f"协议确实必需：用 HTTP 去问另一种协议的服务端，得到 {data.mismatch}。物理连接对协议来说却不是必需：同样的协议在没有网线和网卡的 "
            f"{'、'.join(called(each).zh for each in carriers)} 上照样运行。（互联网遍及世界靠的是连接，一台机器展示不了。）",
        )
    return confirmed(
        f"Without a physical link nothing was answered, without a common protocol neither ({data.mismatch}).",
        f"没有物理连接就没有回答，没有共同协议也没有（{data.mismatch}）。",
    )


def _n013(data: Data) -> Ruling:
    pairs = {(twin.ip, twin.mac) for twin in data.twins}
    own = [each for each in data.interfaces if each.ip != _LOOPBACK]
    if len(data.twins) > 1 and len(pairs) == 1:
        twin = data.twins[0]
        return refuted(
            f"Two networks were there at once, and an interface in each had {twin.ip} and {twin.mac}: private addresses repeat, and a MAC "
            f"is a setting (it was {twin.mac_before} before). This machine itself has {len(data.interfaces)} such pairs, one of "
            "them that of every machine's loopback.",
            f"两个网络同时存在，各有一个接口，地址都是 {twin.ip} 和 {twin.mac}：私有地址会重复，MAC 也只是一项设置（原来是 {twin.mac_before}）。"
            f"而这台机器自己就有 {len(data.interfaces)} 对这样的地址，其中一对是每台机器的环回都有的。",
        )
    if len(data.interfaces) > len(own) or len(own) > 1:
        return refined(
            f"They name an interface, not a computer: this one has {len(data.interfaces)} pairs, and that of the loopback "
            f"({_LOOPBACK}, all zeros) is the same on every machine.",
            f"它们标识的是接口，不是计算机：这台机器有 {len(data.interfaces)} 对，而环回的那一对（{_LOOPBACK}，全零）每台机器都一样。",
        )
    return confirmed("This machine has one pair, and it was found nowhere else.", "这台机器只有一对，别处没有见到。")


def _n014(data: Data) -> Ruling:
    who, shared = data.answerers, len(data.answerers.tcp)
    if shared > 1:
        twin = " And two networks had the same three at once." if data.twins else ""
        twin_zh = "此外，两个网络同时用着同样的三项。" if data.twins else ""
        return refuted(
            f"At one IP and port {shared} processes answered, with {' and '.join(map(str, who.tcp))} connections (`SO_REUSEPORT`)"
            f"{', and a third one by UDP at the same number' if who.udp_too else ''}; one process answered at {who.ports_of_one} ports.{twin} "
            "What is unique is a connection: protocol and both ends with their ports, within one network.",
            f"同一个 IP 和端口上有 {shared} 个进程应答，各得 {'、'.join(map(str, who.tcp))} 个连接（`SO_REUSEPORT`）"
            f"{'，同一个号码上还有第三个进程用 UDP 应答' if who.udp_too else ''}；一个进程也在 {who.ports_of_one} 个端口上应答。{twin_zh}"
            "真正唯一的是一条连接：在一个网络之内，协议加上两端的地址与端口。",
            depends_on=Text("a system with SO_REUSEPORT", "有 SO_REUSEPORT 的系统"),
        )
    if who.udp_too:
        return refined(
            "The protocol belongs to it: at one number one process answered by TCP and another by UDP.",
            "还要加上协议：同一个号码上，一个进程用 TCP 应答，另一个用 UDP 应答。",
        )
    return confirmed("One process alone answered there.", "那里只有一个进程应答。")


def _n015(data: Data) -> Ruling:
    several = {url: found for url, found in bodies(data).items() if len(found) > 1}
    by_name = [page for page in data.pages if page.how == "another name"]
    aliases = [
        page for page in by_name if any(page.body == other.body and page.url != other.url for other in data.pages)
    ]
    if several:
        shown_en = "; ".join(f"{url} gave {' and '.join(sorted(found))}" for url, found in several.items())
        shown_zh = "；".join(f"{url} 给出 {' 和 '.join(sorted(found))}" for url, found in several.items())
        return refined(
            f"A URL says where and how to ask. What it gives hangs on who asks, where and when: {shown_en}. And {1 + len(aliases)} "
            "URLs gave one and the same page.",
            f"URL 说的是到哪里、怎样去要。要到什么，还看谁在何处、何时去要：{shown_zh}。另外有 {1 + len(aliases)} 个 URL 给出同一个页面。",
        )
    return confirmed(
        f"Each of {len(bodies(data))} URLs always gave the same.", f"{len(bodies(data))} 个 URL 每次都给出同样的内容。"
    )


def _n016(data: Data) -> Ruling:
    server, client = service(data, "bootps"), service(data, "bootpc")
    if server is None:
        return definition(
            "This machine has no list of services; 67 is the number that was registered for DHCP servers (RFC 2131).",
            "这台机器没有服务列表；67 是登记给 DHCP 服务端的号码（RFC 2131）。",
        )
    if server != 67:
        return refuted(f"This machine's list has it at {server}.", f"这台机器的列表里是 {server}。")
    if client is None:
        return confirmed("This machine's list has it at 67.", "这台机器的列表里是 67。")
    stranger = (
        (
            " It is a number by agreement: in a private network a program that knows nothing of DHCP took it.",
            "这只是约定的号码：在私有网络里，一个与 DHCP 无关的程序也占用了它。",
        )
        if data.stranger_on_67
        else ("", "")
    )
    return refined(
        f"{server} is the server's; the client listens on a port of its own, {client} (UDP).{stranger[0]}",
        f"{server} 是服务端的端口；客户端也有固定的端口 {client}（UDP）。{stranger[1]}",
    )


def _n017(data: Data) -> Ruling:
    listed = service(data, "domain")
    dns = data.dns
    if dns is not None and dns.port == 53:
        other = (
            (
                " It is the default only: at another port the same server answered whoever asked there.",
                "这只是默认值：同一个服务端换一个端口，向那里问也得到了回答。",
            )
            if dns.elsewhere
            else ("", "")
        )
        return confirmed(
            f"The system's resolver asked {dns.nameserver} at UDP port {dns.port}, and took the answer {dns.answer or '-'}.{other[0]}",
            f"系统的解析器向 {dns.nameserver} 的 UDP {dns.port} 端口提问，并采用了回答 {dns.answer or '-'}。{other[1]}",
        )
    if listed == 53:
        return confirmed("This machine's list has it at 53.", "这台机器的列表里是 53。")
    if listed is not None:
        return refuted(f"This machine's list has it at {listed}.", f"这台机器的列表里是 {listed}。")
    return definition(
        "This machine has no list of services; 53 is the number that was registered for DNS (RFC 1035).",
        "这台机器没有服务列表；53 是登记给 DNS 的号码（RFC 1035）。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n006": _n006,
    "n007": _n007,
    "n008": _n008,
    "n009": _n009,
    "n013": _n013,
    "n014": _n014,
    "n015": _n015,
    "n016": _n016,
    "n017": _n017,
}
