"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Mark, Plot, Remark, Series, Span, Spread, Table, Timeline, once
from holdfast.lab.cases.io_models.data import Cell, Data
from holdfast.lab.cases.io_models.judge import BUSY, KINDS
from holdfast.lab.text import Text, same

HELD = 10_000
PAIRS = (("threads", "epoll"), ("select", "epoll"), ("asyncio", "epoll"), ("epoll", "io_uring"), ("fork", "threads"))
"""Models between which one may have to choose: from how many connections on is the second one the faster?"""


def best(data: Data, connections: int, active: int) -> Cell | None:
    """The model with the highest rate under that load."""
    found = [each for each in data.cells if (each.connections, each.active) == (connections, active) and _whole(each)]
    return max(found, key=lambda each: each.per_s, default=None)


def answer(data: Data) -> Text:
    """In short."""
    alone, crowd = best(data, 1, 1), best(data, 500, 500)
    held = sorted({each.model for each in data.cells if each.connections == HELD and each.served == HELD})
    select = max((each.served for each in data.cells if each.model == "select"), default=0)
    return Text(
        f"With one client {_told(alone)} is quickest, with 500 that all ask {_told(crowd)}; the floor of this machine is {data.floor.per_s:,.0f} "
        f"requests/s. Ten thousand connections were held by {', '.join(held) or 'none'}. select ended at {select} connections, a pool at the "
        f"number of its threads, and asking all the time takes {data.asking_cpu:.0%} of a core while nobody speaks.",
        f"只有一个客户端时最快的是 {_told(alone)}，500 个都在请求时是 {_told(crowd)}；本机的底线是每秒 {data.floor.per_s:,.0f} 个请求。"
        f"撑住一万个连接的有：{'、'.join(held) or '无'}。select 止于 {select} 个连接，线程池止于其线程数；不断询问在无人说话时也占去一个核的 {data.asking_cpu:.0%}。",
    )


def _told(cell: Cell | None) -> str:
    return "-" if cell is None else f"{cell.model} ({cell.per_s:,.0f}/s)"


def figures(data: Data) -> Mapping[str, Spread]:
    """Rates and delays of the grid."""
    found = {"floor, 100 asking": once(data.floor.per_s, "req/s")}
    for each in data.cells:
        name = f"{each.model}, {each.active} of {each.connections} asking"
        found[name] = Spread(each.per_s, each.low_per_s, each.high_per_s, "req/s", each.rounds)
    return found


def blocks(data: Data) -> Sequence[Block]:
    """The contest as curves and a table, where each model ends, and how the notes' servers fare."""
    asking = [each for each in data.cells if each.active == each.connections and _whole(each)]
    crowds = [each for each in data.cells if each.active != each.connections and _whole(each)]
    connections = Text("connections, all asking", "连接数，全部在请求")
    return (
        _turns(data),
        _curves(
            Text("Answers a second", "每秒应答数"),
            connections,
            Text("answers/s", "应答/秒"),
            asking,
            lambda cell: cell.per_s,
        ),
        _curves(
            Text("One in a hundred waits longer than this", "百分之一的请求等得更久"),
            connections,
            Text("p99, ms", "p99，毫秒"),
            asking,
            lambda cell: cell.p99_ms,
            log_y=True,
        ),
        _curves(
            Text("Processor time for one request", "每个请求的 CPU 时间"),
            connections,
            Text("µs", "微秒"),
            asking,
            lambda cell: cell.cpu_us,
        ),
        _bars(
            Text("Memory of one connection", "每个连接的内存"),
            Text("KiB, without what the kernel keeps", "KiB，不含内核所占"),
            ((cell.model, cell.memory_bytes / 1024) for cell in _largest(data.cells, 100)),
        ),
        _table(Text("Few ask among many", "众多连接中少数在请求"), crowds),
        _table(Text("All of them ask", "全部在请求"), asking),
        *_unequal(asking),
        _ends(data),
        _crossings(asking),
        _manners(data),
        _waits(data),
        Remark(
            Text(
                f"The floor is a server that answers without looking, with epoll in Python: {data.floor.per_s:,.0f} requests/s, "
                f"{data.floor.cpu_us:.0f} µs of its processor time each. What the others have more is protocol and model. Server and load generator share the cores.",
                f"底线是一个不看内容就应答的 Python epoll 服务端：每秒 {data.floor.per_s:,.0f} 个请求，每个用 {data.floor.cpu_us:.0f} 微秒 CPU。"
                "其余服务端多出来的是协议和模型的开销。服务端与负载发生器共用这些核。",
            )
        ),
    )


def _unequal(cells: Iterable[Cell]) -> list[Remark]:
    """Where half of the answers came far sooner than an equal share: the same few were served again and again."""
    found = [cell for cell in cells if cell.active >= 100 and cell.per_s and cell.p50_ms < _share_ms(cell) / 10]
    if not found:
        return []
    worst = min(found, key=lambda cell: cell.p50_ms / _share_ms(cell))
    return [
        Remark(
            Text(
                f"Not everybody gets an equal share. With {worst.model} and {worst.active} that ask, each would have an answer every "
                f"{_share_ms(worst):.1f} ms; half of the answers came within {worst.p50_ms:.2f} ms, and one in a hundred after {worst.p99_ms:.0f} ms. "
                "Who has something to read at once is served on, and the others wait.",
                f"并非人人均等。{worst.model} 有 {worst.active} 个连接在请求，平分的话每个每 {_share_ms(worst):.1f} 毫秒得到一个应答；"
                f"实际上一半应答在 {worst.p50_ms:.2f} 毫秒内到达，百分之一却等了 {worst.p99_ms:.0f} 毫秒以上：手头有数据的继续被服务，别人就得等着。",
            )
        )
    ]


def _share_ms(cell: Cell) -> float:
    """How long one would wait if all were served in turn."""
    return cell.active / cell.per_s * 1e3


def _turns(data: Data) -> Timeline:
    """Who waits for whom."""
    numbers = {model: iter(range(1, len(data.turns) + 1)) for model in data.models}
    return Timeline(
        Text(
            "Four clients come at once, ask one thing and stay for a while", "四个客户端同时到来，各问一句，再待一会儿"
        ),
        tuple(
            Lane(
                f"{turn.model} {next(numbers[turn.model])}",
                (
                    Span(turn.came_s, turn.answered_s, kind="wait"),
                    Span(turn.answered_s, turn.left_s, kind="hold"),
                ),
                (Mark(turn.answered_s, ""),),
            )
            for turn in data.turns
        ),
    )


def _whole(cell: Cell) -> bool:
    """Whether everybody was served."""
    return cell.served == cell.connections and not cell.lost


def _curves(
    title: Text, x: Text, y: Text, cells: Iterable[Cell], value: Callable[[Cell], float], *, log_y: bool = False
) -> Plot:
    by_model: dict[str, list[Cell]] = {}
    for cell in cells:
        by_model.setdefault(cell.model, []).append(cell)
    series = tuple(
        Series(model, tuple(float(cell.connections) for cell in found), tuple(value(cell) for cell in found))
        for model, found in by_model.items()
        if len(found) > 1
    )
    return Plot(title, x, y, series, log_x=True, log_y=log_y)


def _bars(title: Text, y: Text, values: Iterable[tuple[str, float]]) -> Plot:
    found = list(values)
    series = (Series(y.en, tuple(float(place) for place in range(len(found))), tuple(value for _, value in found)),)
    return Plot(
        title, Text("model", "模型"), y, series, kind="bars", log_y=True, categories=tuple(name for name, _ in found)
    )


def _largest(cells: Iterable[Cell], least: int) -> list[Cell]:
    """Of each model the cell with the most connections, if those are enough to tell one connection's share."""
    found: dict[str, Cell] = {}
    for cell in cells:
        if cell.served >= least and cell.memory_bytes > 0 and cell.served > getattr(found.get(cell.model), "served", 0):
            found[cell.model] = cell
    return list(found.values())


def _table(title: Text, cells: Sequence[Cell]) -> Table:
    return Table(
        title,
        (
            Text("model", "模型"),
            Text("connections", "连接"),
            Text("asking", "在请求"),
            Text("answers/s", "应答/秒"),
            same("p50 ms"),
            same("p99 ms"),
            same("p99.9 ms"),
            Text("CPU µs", "CPU 微秒"),
            Text("sleeps", "主动切换"),
            Text("preempted", "被动切换"),
        ),
        tuple(
            (
                same(cell.model),
                same(cell.connections),
                same(cell.active),
                same(f"{cell.per_s:.0f}"),
                same(f"{cell.p50_ms:.2f}"),
                same(f"{cell.p99_ms:.2f}"),
                same(f"{cell.p99_9_ms:.2f}"),
                same(f"{cell.cpu_us:.0f}"),
                same(f"{cell.voluntary:.2f}"),
                same(f"{cell.involuntary:.3f}"),
            )
            for cell in sorted(cells, key=lambda cell: (cell.connections, cell.active, -cell.per_s))
        ),
    )


def _ends(data: Data) -> Table:
    """How far each model came, and what it costs to go on."""
    rows: list[tuple[Text, ...]] = []
    for model in data.models:
        cells = [each for each in data.cells if each.model == model]
        most = max(cells, key=lambda cell: (cell.served, cell.connections))
        unserved = max((cell.connections - cell.served for cell in cells), default=0)
        rows.append(
            (
                same(model),
                same(most.served),
                same(unserved or "-"),
                same(f"{most.threads}"),
                same(f"{most.processes}"),
                same(f"{most.memory_bytes * most.served / 2**20:.1f}"),
                same(f"{most.idle_cpu:.0%}"),
            )
        )
    rows += [(same(model), Text(why, why), *[same("-")] * 5) for model, why in data.missing.items()]
    return Table(
        Text("How far each came here, and what it held then", "各自走了多远，此时占用多少"),
        (
            Text("model", "模型"),
            Text("served", "已服务"),
            Text("not served", "未服务"),
            Text("threads", "线程"),
            Text("processes", "进程"),
            same("MiB"),
            Text("CPU while idle", "空闲时 CPU"),
        ),
        tuple(rows),
    )


def crossing(cells: Iterable[Cell], first: str, second: str) -> int | None:
    """From how many connections on the second model is the faster one at every load that both were tried with."""
    rates = {(cell.model, cell.connections): cell.per_s for cell in cells}
    shared = sorted(
        {count for model, count in rates if model == first} & {count for model, count in rates if model == second}
    )
    found = None
    for count in reversed(shared):
        if rates[second, count] <= rates[first, count]:
            break
        found = count
    return found


def _crossings(cells: Sequence[Cell]) -> Table:
    rows = []
    for first, second in PAIRS:
        point = crossing(cells, first, second)
        told = Text("nowhere here", "这里没有") if point is None else Text(f"from {point} on", f"从 {point} 个起")
        rows.append((same(f"{second} > {first}"), told))
    return Table(
        Text("From how many connections on which is faster", "从多少连接起谁更快"),
        (Text("pair", "对比"), Text("crossing", "交叉点")),
        tuple(rows),
    )


def _manners(data: Data) -> Table:
    def told(server: str, manner: str, *, repaired: bool) -> Text:
        met = next((m for m in data.meetings if (m.server, m.manner, m.repaired) == (server, manner, repaired)), None)
        if met is None:
            return same("-")
        if not met.alive:
            name = met.error.partition(":")[0]
            return Text(f"ended itself: {name}", f"自己退出：{name}")
        if not met.serves:
            return Text("serves nobody else", "别人得不到服务")
        if met.cpu >= BUSY:
            return Text("serves, runs in circles", "能服务，但空转")
        return Text("serves", "能服务")

    rows = [
        (Text(f"{server}{', repaired' if repaired else ''}", f"{server}{'，修好的' if repaired else ''}"),
         *(told(server, manner, repaired=repaired) for manner in KINDS))
        for server in ("non-blocking", "select", "gevent")
        for repaired in (False, True)
    ]  # fmt: skip
    return Table(
        Text("The notes' servers after a client that ...", "笔记中的服务端，遇到这样的客户端之后"),
        (Text("server", "服务端"), *KINDS.values()),
        tuple(rows),
    )


def _waits(data: Data) -> Plot:
    calls = tuple(dict.fromkeys(each.call for each in data.waits))
    return Plot(
        Text("One wait, one connection with something to say", "一次等待，只有一个连接有话说"),
        Text("connections", "连接数"),
        Text("µs", "微秒"),
        tuple(
            Series(
                call,
                tuple(float(each.connections) for each in data.waits if each.call == call),
                tuple(each.seconds * 1e6 for each in data.waits if each.call == call),
            )
            for call in calls
        ),
        log_x=True,
        log_y=True,
    )
