"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.gil.data import Contest, Data, Round
from holdfast.lab.cases.gil.overlap import share_at_once
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

PARALLEL_SHARE: Final = 0.01
"""Of the time in which tasks ran, the part in which two did at once. Without parallelism it is 0, whatever the machine
does besides; with it every round has some, and on an idle machine most of it."""
MUCH_LONGER: Final = 1.5
"""The notes' figures differ by a factor of 2.7; what comes halfway near it counts as the same finding."""
C_CALL: Final = "sum("
FREE_CALL: Final = "hashlib"


def together(round_: Round) -> float:
    """The share of a round's running time in which two of its tasks ran."""
    return share_at_once([task.runs for task in round_.tasks])


def at_once(contest: Contest | None) -> float:
    """The share of its running time in which two tasks ran at once, in the round with most of it."""
    return max(map(together, contest.rounds), default=0.0) if contest else 0.0


def held(data: Data, kind: str, means: str, wanted: Callable[[Contest], bool] = lambda _: True) -> Contest | None:
    """The contest of this kind with the interpreter that runs the lab, or with the one that is wanted."""
    own = [each for each in data.contests if (each.kind, each.means) == (kind, means)]
    return next((each for each in own if wanted(each)), None)


def median_s(contest: Contest) -> float:
    """Its usual length."""
    return spread([each.seconds for each in contest.rounds], "s").median


def own_threads(data: Data) -> Contest | None:
    """Threads that compute, here."""
    return held(data, "compute", "threads", lambda each: each.python == data.python)


def own_gils(data: Data) -> Contest | None:
    """Sub-interpreters with a GIL each."""
    return held(data, "compute", "subinterpreters", lambda each: each.python.own_gil)


def no_gil(data: Data) -> Contest | None:
    """Threads that compute without any GIL."""
    return held(data, "compute", "threads", lambda each: not each.python.gil)


def steps(data: Data, call: str) -> tuple[int, ...]:
    """What another thread did within a call."""
    return next((each.taken for each in data.steps if each.call.startswith(call)), ())


def _hangs_on(data: Data) -> Text:
    gil, gil_zh = ("with a GIL", "带 GIL") if data.python.gil else ("without a GIL", "不带 GIL")
    cores = data.cores.usable
    return Text(
        f"CPython {data.python.version} {gil}, {cores} core{'s' if cores != 1 else ''}",
        f"CPython {data.python.version}（{gil_zh}），{cores} 个核",
    )


def _n100(data: Data) -> Ruling:
    within, free = steps(data, C_CALL), steps(data, FREE_CALL)
    share = at_once(own_threads(data))
    if share > PARALLEL_SHARE or min(within, default=0) > 0:
        return refuted(
            f"Two threads that computed ran at the same time for {share:.0%} of it: this interpreter has no such lock.",
            f"两个计算的线程有 {share:.0%} 的时间同时在运行：这个解释器没有这把锁。",
            depends_on=_hangs_on(data),
        )
    en = (
        f"Two threads of Python code never ran at the same time ({share:.1%}), and within one call of sum() another thread made "
        f"at most {max(within, default=0)} steps."
    )
    zh = f"两个运行 Python 代码的线程从未同时运行（{share:.1%}）；一次 sum() 调用期间，另一个线程最多走了 {max(within, default=0)} 步。"
    if max(free, default=0) == 0:
        return confirmed(en, zh, depends_on=_hangs_on(data))
    return refined(
        f"True of Python code. {en} But whoever waits or works in C may give the GIL up: within one hashing of 16 MiB the other "
        f"thread made {spread(free, '').median:.0f} steps.",
        f"对 Python 代码成立：{zh}但等待的线程、在 C 里干活的线程可以交出 GIL：哈希 16 MiB 期间，另一个线程走了 "
        f"{spread(free, '').median:.0f} 步。",
        depends_on=_hangs_on(data),
    )


def _n101(data: Data) -> Ruling:
    python = at_once(own_threads(data))
    waiting, one_by_one = held(data, "wait", "threads"), held(data, "wait", "serial")
    if python > PARALLEL_SHARE:
        return refuted(
            f"Threads that compute ran at the same time for {python:.0%} of the time.",
            f"计算的线程有 {python:.0%} 的时间同时在运行。",
            depends_on=_hangs_on(data),
        )
    hurt = not (waiting and one_by_one and median_s(waiting) < 0.6 * median_s(one_by_one))
    ways = [
        ("threads that hash in C", "在 C 里做哈希的线程", held(data, "hash", "threads")),
        ("sub-interpreters with a GIL each (CPython {})", "各有 GIL 的子解释器（CPython {}）", own_gils(data)),
        ("threads of CPython {} without a GIL", "不带 GIL 的 CPython {} 的线程", no_gil(data)),
    ]
    parallel = [
        (en.format(each.python.version), zh.format(each.python.version), at_once(each))
        for en, zh, each in ways
        if each is not None and at_once(each) > PARALLEL_SHARE
    ]
    en = f"Threads that ran Python code were at it at the same time for {python:.1%}"
    zh = f"运行 Python 代码的线程同时运行的时间占 {python:.1%}"
    if waiting and one_by_one:
        en += f", and four waits took {median_s(waiting):.2g} s instead of {median_s(one_by_one):.2g} s"
        zh += f"；四个等待用了 {median_s(waiting):.2g} 秒，而不是 {median_s(one_by_one):.2g} 秒"
    if hurt:
        return refuted(
            en + ": even waiting does not go together.", zh + "：连等待也不能同时进行。", depends_on=_hangs_on(data)
        )
    if not parallel:
        return confirmed(en + ".", zh + "。", depends_on=_hangs_on(data))
    others = ", ".join(f"{name} {share:.0%}" for name, _, share in parallel)
    others_zh = "，".join(f"{name} {share:.0%}" for _, name, share in parallel)
    return refined(
        f"{en}. But inside one process there are threads that do compute in parallel: {others}.",
        f"{zh}。但同一个进程之内也有能并行计算的：{others_zh}。",
        depends_on=_hangs_on(data),
    )


def _n102(data: Data) -> Ruling:
    off, counted = data.collector, data.counted
    lost = counted.wanted - counted.bare
    if off.freed_at_once < off.dropped:
        return confirmed(
            f"With the collector off {off.dropped - off.freed_at_once} of {off.dropped} dropped objects stayed.",
            f"关掉回收器后，丢弃的 {off.dropped} 个对象中有 {off.dropped - off.freed_at_once} 个还在。",
            depends_on=_hangs_on(data),
        )
    if min(off.steps, default=0) > 0:
        return refuted(
            f"This interpreter frees objects at once ({off.freed_at_once} of {off.dropped}) and has no GIL.",
            f"这个解释器照样立即释放对象（{off.dropped} 个中的 {off.freed_at_once} 个），却没有 GIL。",
            depends_on=_hangs_on(data),
        )
    return refined(
        f"It guards the counts of references, not the collector. With the collector off, {off.freed_at_once} of {off.dropped} "
        f"objects still were freed the moment their last name went ({off.collections} collections), and the GIL still let no other "
        f"thread in ({max(off.steps, default=0)} steps); the collector only serves cycles ({off.cycles_freed} of {off.cycles} "
        f"freed before it ran, {off.cycles_collected} after). Why a count needs a guard: two processes that counted up one number "
        f"lost {lost} of {counted.wanted} without a lock, {counted.wanted - counted.locked} with one.",
        f"它保护的是引用计数，而不是回收器。关掉回收器后，{off.dropped} 个对象中仍有 {off.freed_at_once} 个在最后一个名字消失时"
        f"立即释放（回收器运行 {off.collections} 次），GIL 也照样不放别的线程进来（{max(off.steps, default=0)} 步）；回收器只管循环引用"
        f"（运行前释放 {off.cycles_freed}/{off.cycles}，运行后 {off.cycles_collected}）。计数为什么要保护：两个进程"
        f"给同一个数加一，不加锁时 {counted.wanted} 次丢了 {lost} 次，加锁时丢了 {counted.wanted - counted.locked} 次。",
        depends_on=_hangs_on(data),
    )


def _n103(data: Data) -> Ruling:
    threads, processes = own_threads(data), held(data, "compute", "processes")
    waits = {means: held(data, "wait", means) for means in ("serial", "threads", "processes", "coroutines")}
    seconds = {means: median_s(each) for means, each in waits.items() if each}
    parallel, by_turns = at_once(processes), at_once(threads)
    shown = ", ".join(f"{means} {value:.2g} s" for means, value in seconds.items())
    shown_zh = "，".join(f"{NAMES[means]} {value:.2g} 秒" for means, value in seconds.items())
    en = (
        f"Computing, two processes ran at the same time for {parallel:.0%} of it, two threads for {by_turns:.0%}. "
        f"Four waits: {shown}."
    )
    zh = f"计算时，两个进程有 {parallel:.0%} 的时间同时运行，两个线程 {by_turns:.0%}。四个等待：{shown_zh}。"
    pool = held(data, "compute", "holdfast")
    if pool:
        en += f" Two workers of a Holdfast pool: {at_once(pool):.0%}."
        zh += f"Holdfast 进程池的两个工作进程：{at_once(pool):.0%}。"
    waits_well = seconds.get("threads", 1.0) < 0.6 * seconds.get("serial", 1.0)
    if not waits_well:
        return refuted(en, zh, depends_on=_hangs_on(data))
    if parallel <= PARALLEL_SHARE:
        return refined(
            en + " On one core processes compute no faster, either.", zh + "只有一个核时，多进程也算不快。",
            depends_on=_hangs_on(data),
        )  # fmt: skip
    if by_turns > PARALLEL_SHARE:
        return refined(
            en + " Without a GIL threads will do for both.", zh + "没有 GIL 时，两者都可以用线程。",
            depends_on=_hangs_on(data),
        )  # fmt: skip
    return confirmed(
        en
        + " A good rule for this interpreter; threads are what is cheapest to start of the two, coroutines are cheaper still.",
        zh + "对这个解释器是条好规则；两者之中线程启动更便宜，协程还要便宜。",
        depends_on=_hangs_on(data),
    )


def _n104(data: Data) -> Ruling:
    programs = data.programs
    threads, processes = spread(programs.wait_threads, "s").median, spread(programs.wait_processes, "s").median
    spawned = spread(programs.wait_spawned, "s").median
    over = [1e3 * (value - programs.wait_s) for value in (threads, processes, spawned)]
    en = (
        f"Here four waits of {programs.wait_s:g} s took {over[0]:.1f} ms more than one of them with threads, {over[1]:.1f} ms with "
        f"processes, and {over[2]:.0f} ms with processes that are started anew, as on Windows."
    )
    zh = (
        f"此处四个 {programs.wait_s:g} 秒的等待，比一个只多用：线程 {over[0]:.1f} 毫秒，进程 {over[1]:.1f} 毫秒，"
        f"像 Windows 那样全新启动的进程 {over[2]:.0f} 毫秒。"
    )
    if max(threads, processes) > 2 * programs.wait_s:
        return refuted(en, zh)
    if threads < max(processes, spawned):
        return confirmed(
            en + " So the longer one of theirs, 160 ms above, is that of processes.",
            zh + "所以多出 160 毫秒的那个，应是进程的。",
            depends_on=Text(
                "how processes start: copied here, begun anew on Windows",
                "进程的启动方式：此处是复制，Windows 上是全新启动",
            ),
        )
    return refined(
        en + " The order of their two figures does not tell which is which.",
        zh + "所以从先后看不出他们的两个数字各是谁的。",
    )


def _n105(data: Data) -> Ruling:
    programs = data.programs
    threads, processes = min(programs.compute_threads, default=0.0), min(programs.compute_processes, default=0.0)
    ratio = processes / threads if threads else 0.0
    by_turns, parallel = at_once(own_threads(data)), at_once(held(data, "compute", "processes"))
    en = (
        f"With {programs.loops_share:g} of their rounds, the best of {len(programs.compute_threads)}: threads {threads:.2g} s, "
        f"processes {processes:.2g} s."
    )
    zh = (
        f"做他们 {programs.loops_share:g} 倍的循环，{len(programs.compute_threads)} 次中最好的：线程 {threads:.2g} 秒，"
        f"进程 {processes:.2g} 秒。"
    )
    if parallel > PARALLEL_SHARE >= by_turns:
        # What the machine does besides can spoil the times of short programs; it cannot let threads run at the same time.
        if ratio > 1:
            en += " (So short a run says little here: four processes have to be started, and other work took a part of the cores.)"
            zh += "（这么短的一次在此说明不了什么：要启动四个进程，别的工作又占去了一部分核。）"
        return refuted(
            f"The two labels are each other's: the long time belongs to the threads. {en} Of two tasks that compute, processes ran "
            f"at the same time for {parallel:.0%} of it, threads for {by_turns:.0%}, so threads cannot be the faster ones by 2.7.",
            f"两个标签互相贴错了：长的时间是线程的。{zh}两个计算任务中，进程有 {parallel:.0%} 的时间同时运行，线程 {by_turns:.0%}，"
            f"所以线程不可能快 2.7 倍。",
            depends_on=_hangs_on(data),
        )
    if ratio >= MUCH_LONGER:
        return confirmed(en, zh, depends_on=_hangs_on(data))
    return refined(
        f"Here it makes no such difference: {en} It takes two cores and a GIL to tell them apart.",
        f"此处没有那样的差别：{zh}要有两个核和一把 GIL，才分得出谁是谁。",
        depends_on=_hangs_on(data),
    )


def _n106(data: Data) -> Ruling:
    cores = data.cores
    physical = cores.physical if cores.physical is not None else "?"
    en = (
        f"Here it says {cores.logical}; the scheduler lets this program use {cores.usable}, and /proc/cpuinfo names {physical} cores. "
        f"A program bound to one core was told {cores.told_when_bound}."
    )
    zh = (
        f"此处它说 {cores.logical}；调度器允许本程序用 {cores.usable} 个，/proc/cpuinfo 列出 {physical} 个核。"
        f"绑在一个核上的程序得到的回答是 {cores.told_when_bound}。"
    )
    hangs_on = Text("this machine", "这台机器")
    if cores.told_when_bound == 1 and cores.logical == cores.usable:
        return confirmed(en, zh, depends_on=hangs_on)
    return refined(
        f"{en} It counts what the machine has, hyper-threads included; what a program can use is len(os.sched_getaffinity(0)), "
        f"from 3.13 on os.process_cpu_count().",
        f"{zh}它数的是机器有多少个逻辑处理器（超线程也算）；程序能用几个，要看 len(os.sched_getaffinity(0))，"
        f"3.13 起还有 os.process_cpu_count()。",
        depends_on=hangs_on,
    )


NAMES: Final = {
    "serial": "依次",
    "threads": "线程",
    "processes": "进程",
    "coroutines": "协程",
    "subinterpreters": "子解释器",
    "holdfast": "Holdfast 进程池",
}
"""Means in Chinese."""

JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n100": _n100,
    "n101": _n101,
    "n102": _n102,
    "n103": _n103,
    "n104": _n104,
    "n105": _n105,
    "n106": _n106,
}
