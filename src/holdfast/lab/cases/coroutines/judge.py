"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from holdfast.lab.cases.coroutines.data import Cost, Data, Ending, Stop
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

GAIN: Final = 2.0
"""So much faster is a gain; a busy machine does not bring about that much."""
NO_GAIN: Final = 1.5
FAR: Final = 7.0
STOPPED: Final = 0.2
"""Of the ticks that belong into that time; a ticker that runs has nearly all."""

_INTERPRETER: Final = Text(
    "the code of each loop, the interpreter and the kernel", "各事件循环自身的代码、解释器和内核"
)


def gains(data: Data) -> tuple[float, float]:
    """How much faster waiting and computing were with switching than turn by turn: the least and the most of all means."""
    plain = next(each for each in data.worked if each.means == "turn by turn")
    others = [each for each in data.worked if each is not plain]
    waiting = min(plain.waiting_s.low / each.waiting_s.low for each in others)
    computing = max(plain.computing_s.low / each.computing_s.low for each in others)
    return waiting, computing


def cheapest(costs: Sequence[Cost], *, inside: bool) -> Cost:
    """Of the program's ways to switch, or of the kernel's."""
    return min((cost for cost in costs if cost.inside is inside), key=lambda cost: cost.us.low)


def dearest_inside(costs: Sequence[Cost]) -> Cost:
    """A loop that decides who is next, as a rule."""
    return max((cost for cost in costs if cost.inside), key=lambda cost: cost.us.low)


def ticks_inside(stop: Stop) -> int:
    """Ticks while the call lasted; its edges belong to nobody."""
    edge = stop.every_s / 2
    return sum(stop.began_s + edge < at < stop.ended_s - edge for at in stop.ticks)


def stopped(stop: Stop) -> bool:
    """Whether the ticker stood still."""
    return ticks_inside(stop) * stop.every_s < STOPPED * (stop.ended_s - stop.began_s)


def ending(data: Data, what: str) -> Ending | None:
    """How a program ended, if it was tried."""
    return next((each for each in data.endings if each.what == what), None)


def _n118(data: Data) -> Ruling:
    waiting, computing = gains(data)
    plain, switched = (
        next(each for each in data.worked if each.means == means) for means in ("turn by turn", "asyncio")
    )
    en = (
        f"{data.tasks} tasks that wait were done {waiting:.1f} times as fast with switching as turn by turn; "
        f"{data.tasks} tasks that compute and give way after each step, {computing:.2f} times as fast. "
    )
    zh = f"{data.tasks} 个等待的任务，切换后的速度是逐个做的 {waiting:.1f} 倍；{data.tasks} 个计算的任务每步都让出，速度是 {computing:.2f} 倍。"
    if waiting >= GAIN and computing < NO_GAIN:
        return confirmed(
            en + f"What giving way does bring there is fairness: a short task behind long ones was done after "
            f"{switched.short_s * 1e3:.0f} ms instead of {plain.short_s * 1e3:.0f} ms.",
            zh
            + f"计算时让出换来的只是公平：排在长任务之后的短任务用了 {switched.short_s * 1e3:.0f} 毫秒，原本要 {plain.short_s * 1e3:.0f} 毫秒。",
        )
    if waiting >= GAIN:
        return refined(en + "Both gained.", zh + "两种都变快了。")
    return refuted(en + "Waiting gained nothing.", zh + "等待的任务没有变快。")


def _n119(data: Data) -> Ruling:
    best, loop, kernel = (
        cheapest(data.costs, inside=True),
        dearest_inside(data.costs),
        cheapest(data.costs, inside=False),
    )
    bare = next((cost for cost in data.costs if cost.name == "greenlets"), best)
    far, near = kernel.us.low / bare.us.low, kernel.us.low / loop.us.low
    en = (
        f"On one CPU a bare switch ({bare.name}) took {bare.us.low:.2f} µs, the kernel's cheapest ({kernel.name}) "
        f"{kernel.us.low:.1f} µs: {far:.0f} times as much. "
    )
    zh = f"同一个 CPU 上，单纯的一次切换（{bare.name}）用 {bare.us.low:.2f} 微秒，内核最便宜的（{kernel.name}）用 {kernel.us.low:.1f} 微秒，是它的 {far:.0f} 倍。"
    if far >= FAR and near >= FAR:
        return confirmed(
            en + f"Even {loop.name}, the dearest, takes only {loop.us.low:.1f} µs.",
            zh + f"连最贵的 {loop.name} 也只用 {loop.us.low:.1f} 微秒。",
            depends_on=_INTERPRETER,
        )
    if far >= FAR:
        return refined(
            en
            + f"But a switch has to be decided on, too: a turn of the loop ({loop.name}) takes {loop.us.low:.1f} µs, "
            f"and the kernel then {near:.1f} times as much. The kernel was not even asked: it counted "
            f"{loop.kernel_switches:.3f} switches for each, for {kernel.name} {kernel.kernel_switches:.1f}.",
            zh
            + f"可是还得有人决定轮到谁：循环转一轮（{loop.name}）要 {loop.us.low:.1f} 微秒，内核只是它的 {near:.1f} 倍。"
            f"内核没有参与：每次切换它只记到 {loop.kernel_switches:.3f} 次，而 {kernel.name} 是 {kernel.kernel_switches:.1f} 次。",
            depends_on=_INTERPRETER,
        )
    return refuted(en + "That is not far.", zh + "算不上快得多。", depends_on=_INTERPRETER)


def _n120(data: Data) -> Ruling:
    deaf = [stop for stop in data.stops if not stop.gives_way]
    heard = [stop for stop in data.stops if stop.gives_way]
    still = [stop for stop in deaf if stopped(stop)]
    going = [stop for stop in heard if not stopped(stop)]
    names = ", ".join(dict.fromkeys(stop.call for stop in still))
    ticks = sum(map(ticks_inside, deaf))
    en = f"{len(still)} of {len(deaf)} calls that the loop did not know of stopped everything ({names or 'none'}; {ticks} ticks in all)"
    zh = f"循环不知道的 {len(deaf)} 次调用中，有 {len(still)} 次让一切停下（{names or '无'}；其间共 {ticks} 次滴答）"
    if len(still) == len(deaf) and len(going) == len(heard):
        most, least = max(map(ticks_inside, heard)), min(map(ticks_inside, heard))
        return confirmed(
            f"{en}; beside the {len(heard)} that it did know of there were {least} to {most} ticks each. "
            "Computing is no input or output and stops the others just as well; a call that cannot be caught can be handed to a thread.",
            f"{zh}；循环知道的 {len(heard)} 次，每次其间有 {least} 至 {most} 次滴答。"
            "计算不是 I/O，也照样让别人停下；抓不住的调用可以交给线程去做。",
        )
    if still:
        return refined(
            f"{en}; of {len(heard)} others {len(going)} let the rest go on.",
            f"{zh}；其余 {len(heard)} 次中有 {len(going)} 次别人照常运行。",
        )
    return refuted(en + ".", zh + "。")


def _n121(data: Data) -> Ruling:
    patched = data.patched
    if patched is None:
        return refined(
            "Not tried: gevent is not installed. asyncio patches nothing; its coroutines say `await` themselves.",
            "没有试：未装 gevent。asyncio 什么也不替换，协程自己写 `await`。",
            depends_on=Text("gevent", "gevent"),
        )
    names = sum(count for _, count in patched.replaced)
    modules = sum(count > 0 for _, count in patched.replaced)
    early, above = ticks_inside(patched.early_name), ticks_inside(patched.written_above)
    if not patched.same_code and not names:
        return confirmed("The code that follows is another one than before.", "后面的代码与先前的不同了。")
    if patched.same_code and names and patched.early_name_is_old and not stopped(patched.written_above):
        return refuted(
            f"It replaced {names} names in {modules} modules while the program ran; the same source gave the very same code before and after. "
            f"A function written above the call gives way as well ({above} ticks), since it looks the name up when it runs; "
            f"`from time import sleep` above the call keeps the old one and stops all ({early} ticks).",
            f"它在运行时替换了 {modules} 个模块里的 {names} 个名字；同一段源码前后编译出完全相同的代码。"
            f"写在它上面的函数运行时才查名字，照样会让出（{above} 次滴答）；在它之前 `from time import sleep` 留下的是旧函数，让大家都停下（{early} 次滴答）。",
        )
    return refined(
        f"It replaced {names} names in {modules} modules; a name imported before was "
        f"{'still the old one' if patched.early_name_is_old else 'the new one'}, a function written above had {above} ticks beside it.",
        f"它替换了 {modules} 个模块里的 {names} 个名字；先前导入的名字{'仍是旧的' if patched.early_name_is_old else '是新的'}，写在上面的函数运行时有 {above} 次滴答。",
    )


def _n122(data: Data) -> Ruling:
    if not data.served or not data.bursts:
        return refined(
            "Not tried: gevent is not installed. The case io-models has servers of other makes.",
            "没有试：未装 gevent。io-models 一例里有用别的办法写的服务端。",
            depends_on=Text("gevent", "gevent"),
        )
    notes, repaired = data.bursts[0], data.bursts[-1]
    answers, wrong = sum(each.answers for each in data.served), sum(each.wrong for each in data.served)
    lacking = sum(each.clients - each.complete for each in data.served if each.kind == "repaired" and each.ended)
    unanswered = sum(each.let_in - each.answered for each in data.bursts)
    en = f"{answers} answers to client threads, {wrong} of them wrong. "
    zh = f"客户端线程共收到 {answers} 个回答，错 {wrong} 个。"
    if not answers or wrong or lacking or unanswered:
        return refuted(
            f"{en}{lacking} clients that came to their end lacked answers, and {unanswered} that were let in had none.",
            f"{zh}跑完的客户端中有 {lacking} 个少了回答，连上的有 {unanswered} 个没得到回答。",
        )
    en += f"With {repaired.answered} connected at once, all were answered by {repaired.processes} process with {repaired.threads} thread. "
    zh += f"{repaired.answered} 个同时连着，全由 {repaired.processes} 个进程、{repaired.threads} 个线程作答。"
    if notes.answered == notes.knocked and (notes.threads, notes.processes) == (1, 1):
        return confirmed(en.strip(), zh)
    return refined(
        f"{en}But the notes' server lets only {notes.backlog} wait for `accept`: of {notes.knocked} that knocked while it was held up "
        f"for a moment {notes.let_in} got in, and whom the kernel turns away tries again after a second and more; "
        f"with room for {repaired.backlog} {repaired.let_in} got in.",
        f"{zh}但笔记的服务端只让 {notes.backlog} 个等 `accept`：它停顿片刻时来了 {notes.knocked} 个，只进来 {notes.let_in} 个，"
        f"被内核回绝的要过一秒以上才再试；队列放宽到 {repaired.backlog} 时进来 {repaired.let_in} 个。",
    )


def _n123(data: Data) -> Ruling:
    alone, joined = ending(data, "greenlet"), ending(data, "greenlet, joined")
    other, family = ending(data, "greenlet, another one joined"), data.family
    if alone is None or joined is None or other is None or family is None:
        return refined(
            "Not tried: gevent is not installed. Of asyncio one knows it from `asyncio.run`: what it was not told to wait for is cancelled.",
            "没有试：未装 gevent。asyncio 的情形见 `asyncio.run`：没让它等的任务会被取消。",
            depends_on=Text("gevent", "gevent"),
        )
    one = family.children == 0 and family.pids == 1
    kept = alone.finished and other.finished
    en = (
        f"A greenlet that nobody waited for {'came to its end' if alone.finished else 'did not even begin' if not alone.began else 'was cut off'}; "
        f"with `join()` it {'came to its end' if joined.finished else 'did not'}, and when another one was joined it "
        f"{'did, too' if other.finished else 'was cut off'}. {family.greenlets} greenlets lived in {family.pids} process "
        f"and {family.threads} thread, with {family.children} child processes."
    )
    zh = (
        f"没人等的协程{'跑到了底' if alone.finished else '连开始都没有' if not alone.began else '被中断'}；有 `join()` 时{'跑到了底' if joined.finished else '没跑完'}；"
        f"等的是另一个协程时，它{'也跑到了底' if other.finished else '被中断'}。{family.greenlets} 个协程都在 {family.pids} 个进程、{family.threads} 个线程里，子进程 {family.children} 个。"
    )
    if kept and not one:
        return confirmed(en, zh)
    if not kept and one:
        return refuted(
            en + " It is `join()` that keeps the program, and `spawn` starts no process.",
            zh + "留住程序的是 `join()`；`spawn` 并不启动进程。",
        )
    return refined(en, zh)


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n118": _n118,
    "n119": _n119,
    "n120": _n120,
    "n121": _n121,
    "n122": _n122,
    "n123": _n123,
}
