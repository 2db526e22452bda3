"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.io_models.data import Data, Meeting, PosixAio
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

GROWS: Final = 4.0
"""So many times dearer with forty times the connections: it goes through all of them."""
BUSY: Final = 0.15
"""Part of a core: a server that waits needs none; one that asks takes whatever the others on this machine leave."""

KINDS: Final[Mapping[str, Text]] = {
    "polite": Text("says one thing and stays", "说一句就待着"),
    "at length": Text("says 1,500 bytes at once", "一口气说 1500 字节"),
    "silent": Text("says nothing", "一言不发"),
    "leaves": Text("leaves", "离开"),
    "resets": Text("resets", "复位"),
    "never reads": Text("never reads", "从不读取"),
}


def of(data: Data, server: str, *, repaired: bool = False) -> dict[str, Meeting]:
    """What a server of the notes did, by the manner of its client."""
    return {each.manner: each for each in data.meetings if (each.server, each.repaired) == (server, repaired)}


def failed(met: Mapping[str, Meeting]) -> list[str]:
    """Manners that kept the server from serving the next client."""
    return [manner for manner, each in met.items() if not each.serves]


def growth(data: Data, call: str) -> float:
    """How many times dearer one wait is among the most connections than among the fewest."""
    found = sorted((each.connections, each.seconds) for each in data.waits if each.call == call)
    return found[-1][1] / found[0][1]


def _named(manners: list[str]) -> tuple[str, str]:
    return (
        ", ".join(f"one that {KINDS[each].en}" for each in manners),
        "、".join(f"{KINDS[each].zh}的" for each in manners),
    )


def _n126(data: Data) -> Ruling:
    seen = data.blocking
    if not seen.default_waits:
        return refuted("A socket as it is made did not wait.", "新建的套接字并不等待。")
    if not seen.error:
        return confirmed("It waited, also when it was told not to.", "它会等待，要求不等待时也一样。")
    return refined(
        f"That is only how a socket is made. Told not to wait, the same call on the same connection raised {seen.error} after "
        f"{seen.asked_not_to_s * 1e6:.0f} µs, and {len(data.models)} servers here wait in as many ways.",
        f"那只是套接字的默认状态。要求不等待后，同一连接上的同一调用 {seen.asked_not_to_s * 1e6:.0f} 微秒后抛出 {seen.error}；这里的 {len(data.models)} 个服务端就有这么多种等法。",
    )


def _n127(data: Data) -> Ruling:
    met = of(data, "non-blocking")
    stopped, mended = failed(met), failed(of(data, "non-blocking", repaired=True))
    if not stopped:
        return confirmed(
            "It served the next client whatever the one before did.", "不管前一个客户端怎样，下一个都得到了服务。"
        )
    en, zh = _named(stopped)
    if data.blocking.accepted_waits and {"polite", "silent"} & set(stopped):
        return refuted(
            f"Only the listener does not wait: what it accepts does, on Linux. So `recv` stands still at the first quiet client, and nobody "
            f"else was served after {en}. With `setblocking(False)` on each connection {len(KINDS) - len(mended)} of {len(KINDS)} kinds of clients left others unharmed.",
            f"不等待的只是监听套接字：在 Linux 上，它接受的连接仍会等待。于是 `recv` 停在第一个安静的客户端上，遇到{zh}客户端之后，别人都得不到服务。"
            f"给每个连接也设 `setblocking(False)` 之后，{len(KINDS)} 种客户端中有 {len(KINDS) - len(mended)} 种不再妨碍别人。",
            depends_on=Text(
                "Linux; elsewhere what is accepted takes after the listener",
                "Linux；有的系统上，接受的连接会继承监听套接字的设置",
            ),
        )
    return refined(
        f"It serves, but nobody else was served after {en}.", f"能服务，但遇到{zh}客户端之后，别人都得不到服务。"
    )


def _n128(data: Data) -> Ruling:
    seen = data.blocking
    if seen.error != "BlockingIOError":
        return refuted(f"It raised {seen.error or 'nothing'}.", f"抛出的是 {seen.error or '空'}。")
    told = f"{seen.asked_not_to_s * 1e6:.0f}"
    if seen.accepted_waits:
        return refined(
            f"It did, after {told} µs, where that socket was told not to wait. The connection that a listener without waiting gives "
            "is another socket, and waits.",
            f"的确如此，{told} 微秒即返回，前提是这个套接字本身设了不等待。从不等待的监听套接字得来的连接是另一个套接字，它会等待。",
        )
    return confirmed(f"It did, after {told} µs.", f"的确如此，{told} 微秒即返回。")


def _n129(data: Data) -> Ruling:
    grown = growth(data, "asking")
    last = max((each for each in data.waits if each.call == "asking"), key=lambda each: each.connections)
    each_us = last.seconds / last.connections * 1e6
    en = (
        f"Asking {last.connections} took {last.seconds * 1e3:.2f} ms, {each_us:.1f} µs each, so a hundred million would take "
        f"{each_us * 1e8 / 1e6:.0f} s a turn. With a hundred silent connections the server used {data.asking_cpu:.0%} of a core. But a process "
        f"may have {data.descriptors} descriptors here; the end comes much earlier."
    )
    zh = (
        f"询问 {last.connections} 个用了 {last.seconds * 1e3:.2f} 毫秒，每个 {each_us:.1f} 微秒，一亿个一轮就要 {each_us * 1e8 / 1e6:.0f} 秒。"
        f"一百个安静的连接让服务端占去一个核的 {data.asking_cpu:.0%}。不过这里一个进程只能有 {data.descriptors} 个描述符，远不到那时就到头了。"
    )
    if grown >= GROWS and data.asking_cpu >= BUSY:
        return confirmed(en, zh)
    return refuted(en, zh) if grown < GROWS and data.asking_cpu < BUSY else refined(en, zh)


def _n130(data: Data) -> Ruling:
    seen = data.blocking
    mixed = [each for each in data.cells if each.model == "select" and each.served >= 100]
    many = max((each.served for each in mixed), default=0)
    if seen.select_found != 1 or not many:
        return refuted(
            f"It found {seen.select_found} ready where one was, and {many} were served by one thread.",
            f"只有一个就绪时它报出 {seen.select_found} 个；一个线程服务了 {many} 个连接。",
        )
    evidence = (
        f"It slept until the one had something ({seen.select_cpu_s * 1e6:.0f} µs of CPU for 0.2 s), and one thread held {many} connections. ",
        f"它睡到那一个有数据为止（0.2 秒只用了 {seen.select_cpu_s * 1e6:.0f} 微秒 CPU），一个线程撑住了 {many} 个连接。",
    )
    if seen.other_thread_steps:
        return refined(
            evidence[0]
            + f"But only the thread that called it stops: another thread of the process took {seen.other_thread_steps} steps meanwhile.",
            evidence[1] + f"但停住的只是调用它的线程：同一进程的另一个线程其间走了 {seen.other_thread_steps} 步。",
        )
    return confirmed(*evidence)


def _n131(data: Data) -> Ruling:
    times = {call: growth(data, call) for call in ("select", "poll", "epoll")}
    counts = sorted({each.connections for each in data.waits})
    en = (
        f"From {counts[0]} to {counts[-1]} connections, one of them with news, a wait became {times['select']:.0f} times dearer with select, "
        f"{times['poll']:.0f} times with poll, {times['epoll']:.1f} times with epoll."
    )
    zh = (
        f"连接从 {counts[0]} 个增至 {counts[-1]} 个、只有一个有事件时，一次等待的开销：select 变为 {times['select']:.0f} 倍，"
        f"poll {times['poll']:.0f} 倍，epoll {times['epoll']:.1f} 倍。"
    )
    walk = times["select"] >= GROWS and times["poll"] >= GROWS
    if walk and times["epoll"] < GROWS:
        return confirmed(en, zh)
    return refined(en, zh) if walk or times["epoll"] < GROWS else refuted(en, zh)


def _n132(data: Data) -> Ruling:
    met = of(data, "select")
    ended = [manner for manner, each in met.items() if not each.alive]
    spins = [manner for manner, each in met.items() if each.alive and each.cpu >= BUSY]
    mended = of(data, "select", repaired=True)
    sound = sum(each.alive and each.serves and each.cpu < BUSY for each in mended.values())
    if not ended and not spins:
        return confirmed(
            "It served the next client whatever the one before did, and slept in between.",
            "不管前一个客户端怎样，下一个都得到服务，空闲时也在休眠。",
        )
    en_ended, zh_ended = _named(ended)
    en_spins, zh_spins = _named(spins)
    if met["polite"].serves:
        return refined(
            f"It serves clients that ask and stay. It ended itself after {en_ended or 'none'} ({_errors(met, ended)}), and ran in circles after "
            f"{en_spins or 'none'}: an empty read is put into the list to write, and the connection stays readable for ever. {_twice(met, ended).en}"
            f"Repaired, {sound} of {len(mended)} do no harm.",
            f"对提问后不走的客户端能服务。遇到{zh_ended or '（无）'}客户端它自己退出（{_errors(met, ended)}）；遇到{zh_spins or '（无）'}客户端便空转："
            f"空读也进了写列表，而那个连接永远可读。{_twice(met, ended).zh}修好之后，{len(mended)} 种中有 {sound} 种无害。",
        )
    return refuted(
        "It did not serve a second client beside a polite one.", "有一个守规矩的客户端在场，它也没能服务第二个。"
    )


def _twice(met: Mapping[str, Meeting], manners: list[str]) -> Text:
    """Why a dictionary has nothing for a connection that is on the list."""
    if not any(met[manner].error.startswith(("KeyError", "ValueError")) for manner in manners):
        return Text("", "")
    return Text(
        "Who is read from twice before he is answered is on the list twice and in the dictionary once. ",
        "应答之前读到两次的连接，在列表里有两项，在字典里只有一项。",
    )


def _errors(met: Mapping[str, Meeting], manners: list[str]) -> str:
    return (
        ", ".join(dict.fromkeys(met[manner].error.partition(":")[0] for manner in manners if met[manner].error)) or "-"
    )


def _n133(data: Data) -> Ruling:
    without, with_it = data.blocking.steps_without_limit, data.blocking.steps_with_limit
    if with_it <= without:
        return confirmed(
            f"With it the loop did {with_it} other things, without it {without}.",
            f"有它时循环做了 {with_it} 次别的事，没有它时 {without} 次。",
        )
    return refuted(
        f"While nobody spoke for half a second, a loop without it came to do something else {without} times, with a limit of 0.05 s {with_it} times: "
        "heartbeats, time limits and an end in good order hang on it. Every server here with select or epoll uses it.",
        f"半秒内无人说话时，没有它的循环去做别的事 {without} 次，时限 0.05 秒的循环 {with_it} 次：心跳、超时、有序退出都靠它。这里用 select 和 epoll 的服务端都用到了它。",
    )


def _n134(data: Data) -> Ruling:
    seen = data.sending
    if seen.taken >= seen.size and not seen.blocking_stuck:
        return refuted(f"All {seen.size >> 20} MiB were taken at once.", f"{seen.size >> 20} MiB 一次就全被接收了。")
    en, zh = (
        f"Of {seen.size >> 20} MiB the kernel took {seen.taken >> 10} KiB. ",
        f"{seen.size >> 20} MiB 中，内核收下了 {seen.taken >> 10} KiB。",
    )
    if not seen.blocking_stuck:
        return confirmed(
            en + "A send on a connection that select called writable came back.",
            zh + "在 select 说可写的连接上，send 返回了。",
        )
    offered = ("called", "可写") if seen.offered else ("did not call", "不可写")
    return refined(
        en
        + f"The list alone does not help: select {offered[0]} a connection writable, and a send that waits did not come back while the "
        "client did not read; everybody else would have stood still. What counts is not the size but whether the other side takes it: the "
        "socket must not wait, and what was not taken has to be kept for the next turn. The notes' server does neither.",
        zh
        + f"只有写列表是不够的：select 说某个连接{offered[1]}，客户端不读时，会等待的 send 仍没有返回，其他人都得跟着停。"
        "关键不在应答多大，而在对方是否来取：套接字要设成不等待，没发完的要留到下一轮。笔记里的服务端两样都没有做。",
    )


def _n135(data: Data) -> Ruling:
    done, told, aio = data.completion, data.signalled, data.posix_aio
    if aio.filled and aio.signals and not aio.threads:
        return confirmed(
            "aio_read returned at once, and when the signal came the kernel had filled the buffer.",
            "aio_read 立即返回；信号到来时，内核已填好缓冲区。",
        )
    by_thread = _by_thread(aio)
    if done.why_not is not None:
        return refined(
            f"io_uring could not be tried here ({done.why_not}). The signal of O_ASYNC came with {told.unread} bytes still to be read: it tells that "
            f"there is something, not that it has been read.{by_thread.en}",
            f"这里无法试 io_uring（{done.why_not}）。O_ASYNC 的信号到来时还有 {told.unread} 字节未读：它只说有数据，并不是已经读好。{by_thread.zh}",
            depends_on=Text("a kernel that lets us use io_uring", "内核是否允许使用 io_uring"),
        )
    if not done.filled:
        return refuted("The buffer was not filled by the kernel.", "内核没有填好缓冲区。")
    evidence = (
        f"With io_uring asking took {done.submit_s * 1e6:.0f} µs, and the bytes were in the buffer without a call that reads. ",
        f"用 io_uring，提出请求只用了 {done.submit_s * 1e6:.0f} 微秒，没有任何读调用，数据就已在缓冲区里。",
    )
    if done.signals:
        return confirmed(
            evidence[0] + f"{done.signals} signals told of it.", evidence[1] + f"有 {done.signals} 个信号通知。"
        )
    return refined(
        evidence[0]
        + f"But no signal came: an entry in a queue tells of it. Where a signal does come (O_ASYNC: {told.signals}), {told.unread} bytes "
        f"still had to be read.{by_thread.en}",
        evidence[1]
        + f"但没有信号，通知是队列里的一项。真有信号的做法（O_ASYNC，{told.signals} 个）里，还有 {told.unread} 字节要自己读。{by_thread.zh}",
    )


def _by_thread(aio: PosixAio) -> Text:
    """Who reads where a signal tells of the end."""
    if not (aio.filled and aio.signals):
        return Text("", "")
    return Text(
        f" With aio_read of the C library a signal does tell of the end, but not the kernel: {aio.threads} thread of the library waited and read.",
        f"C 库的 aio_read 倒是用信号告知完成，但等待和读取的不是内核，而是库的 {aio.threads} 个线程。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n126": _n126,
    "n127": _n127,
    "n128": _n128,
    "n129": _n129,
    "n130": _n130,
    "n131": _n131,
    "n132": _n132,
    "n133": _n133,
    "n134": _n134,
    "n135": _n135,
}
