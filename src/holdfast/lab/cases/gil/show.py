"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab import blocks as b
from holdfast.lab.cases.gil.data import Contest, Data
from holdfast.lab.cases.gil.judge import (
    NAMES,
    PARALLEL_SHARE,
    at_once,
    held,
    median_s,
    no_gil,
    own_gils,
    own_threads,
    together,
)
from holdfast.lab.text import Text, same

MEANS = {"holdfast": "Holdfast pool"}
CLIP_S = 0.1
"""So much of a contest is drawn: the turns of the GIL are of 5 ms."""


def answer(data: Data) -> Text:
    """In short."""
    waiting, serial = held(data, "wait", "threads"), held(data, "wait", "serial")
    wait_s = median_s(waiting) if waiting else 0.0
    whole_s = median_s(serial) if serial else 0.0
    threads, processes = at_once(own_threads(data)), at_once(held(data, "compute", "processes"))
    several, none = own_gils(data), no_gil(data)
    en = (
        f"For waiting threads are enough: four waits took {wait_s:.2g} s instead of {whole_s:.2g} s. For computing in Python, "
        f"CPython {data.python.version}'s threads ran at the same time for {threads:.0%} of it, processes for {processes:.0%}."
    )
    zh = (
        f"等待用线程就够：四个等待用了 {wait_s:.2g} 秒，而不是 {whole_s:.2g} 秒。用 Python 计算时，CPython {data.python.version} 的线程"
        f"有 {threads:.0%} 的时间同时运行，进程有 {processes:.0%}。"
    )
    if several:
        en += f" Sub-interpreters of {several.python.version}, each with a GIL of its own, came to {at_once(several):.0%}."
        zh += f"{several.python.version} 的子解释器各有自己的 GIL，达到 {at_once(several):.0%}。"
    if none:
        en += f" Without a GIL ({none.python.version}) threads came to {at_once(none):.0%}."
        zh += f"不带 GIL 时（{none.python.version}）线程达到 {at_once(none):.0%}。"
    return Text(en, zh)


def figures(data: Data) -> Mapping[str, b.Spread]:
    """How long each contest and each of the notes' programs took."""
    found = {
        f"{each.kind}, {each.means}, {_label(each)}": b.spread([round_.seconds for round_ in each.rounds], "s")
        for each in data.contests
    }
    programs = data.programs
    for name, times in (
        ("program 25, threads", programs.wait_threads),
        ("program 25, processes", programs.wait_processes),
        ("program 25, spawned", programs.wait_spawned),
        ("program 26, threads", programs.compute_threads),
        ("program 26, processes", programs.compute_processes),
    ):
        if times:
            found[name] = b.spread(times, "s")
    return found


def blocks(data: Data) -> Sequence[b.Block]:
    """Who ran when, what the GIL lets through, and the notes' figures beside ours."""
    wait = [each for each in data.contests if each.kind == "wait"]
    busy = [each for each in data.contests if each.kind != "wait"]
    shown = [each for each in busy if each.means != "serial" and each.kind == "compute"]
    programs = data.programs
    return (
        b.Timeline(
            Text("Four tasks that wait", "四个等待的任务"),
            tuple(
                b.Lane(f"{each.means} {number}", (b.Span(task.began_s, task.ended_s, kind="wait"),))
                for each in wait
                for number, task in enumerate(each.rounds[0].tasks, 1)
            ),
        ),
        b.Timeline(
            Text(f"Two tasks that compute, the first {CLIP_S * 1e3:g} ms: when they truly ran",
                 f"两个计算的任务，最初 {CLIP_S * 1e3:g} 毫秒：真正在运行的时刻"),
            tuple(lane for each in shown for lane in _lanes(each)),
        ),
        b.Table(
            Text("Two tasks that compute", "两个计算的任务"),
            (Text("means", "方式"), Text("interpreter", "解释器"), Text("code", "代码"), Text("time", "用时"),
             Text("ran at the same time", "同时运行"), Text("parallel", "并行")),
            tuple(_row(each) for each in busy),
        ),
        b.Table(
            Text("What another thread does while one is within a call", "一个线程在某次调用之内时，另一个线程能做多少"),
            (Text("call", "调用"), Text("its steps, by round", "每轮的步数")),
            tuple((same(each.call), same(" ".join(map(str, each.taken)))) for each in data.steps),
        ),
        b.Table(
            Text("The notes' two programs", "笔记中的两个程序"),
            (Text("program", "程序"), Text("the notes say", "笔记写的"), Text("here", "此处")),
            (
                (Text("program 25, threads", "程序 25，线程"), same("5.00 s (?)"), _seconds(programs.wait_threads)),
                (Text("program 25, processes", "程序 25，进程"), same("5.16 s (?)"), _seconds(programs.wait_processes)),
                (Text("program 26, threads", "程序 26，线程"), same("6.48 s"), _seconds(programs.compute_threads)),
                (Text("program 26, processes", "程序 26，进程"), same("17.39 s"), _seconds(programs.compute_processes)),
            ),
        ),
        b.Remark(
            Text(f"Scaled: in these programs each task waits {programs.wait_s:g} s instead of 5 s, and does {programs.loops_share:g} "
                 f"of the notes' 100 000 000 rounds. A question mark: the notes do not say which figure is whose.",
                 f"按比例缩小：这两个程序里，每个任务等待 {programs.wait_s:g} 秒而不是 5 秒，循环次数是笔记一亿次的 "
                 f"{programs.loops_share:g} 倍。问号：笔记没有写明哪个数字是谁的。")
        ),
    )  # fmt: skip


def _lanes(contest: Contest) -> tuple[b.Lane, ...]:
    """The round with most parallelism, from the first run on."""
    best = max(contest.rounds, key=together)
    first = min((began for task in best.tasks for began, _ in task.runs), default=0.0)
    return tuple(
        b.Lane(
            f"{MEANS.get(contest.means, contest.means)} {_label(contest)}, {number}",
            tuple(
                b.Span(began - first, min(ended - first, CLIP_S))
                for began, ended in task.runs
                if began - first < CLIP_S
            ),
        )
        for number, task in enumerate(sorted(best.tasks, key=lambda task: task.began_s), 1)
    )


def _row(contest: Contest) -> tuple[Text, ...]:
    share = at_once(contest)
    return (
        Text(MEANS.get(contest.means, contest.means), NAMES[contest.means]),
        same(_label(contest)),
        Text("C, hashing", "C，哈希") if contest.kind == "hash" else same("Python"),
        same(f"{median_s(contest):.3f} s"),
        same(f"{share:.0%}"),
        Text("yes", "是") if share > PARALLEL_SHARE else Text("no", "否"),
    )


def _label(contest: Contest) -> str:
    return contest.python.version + ("" if contest.python.gil else "t")


def _seconds(times: tuple[float, ...]) -> Text:
    return same(f"{b.spread(times, 's').median:.3f} s" if times else "-")
