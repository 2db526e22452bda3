"""What there is to see. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Mark, Plot, Series, Span, Spread, Table, Timeline, spread
from holdfast.lab.cases.thread_basics.data import Data
from holdfast.lab.cases.thread_basics.judge import grown_together, ratio
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    return Text(
        f"A thread is what the kernel runs; its process owns memory and files. It starts {ratio(data):.0f} times as fast as a forked "
        f"process and shares everything with the others. It cannot be ended from outside: {len(data.only_processes)} of a process's names are missing.",
        f"内核运行的是线程，内存和文件归进程。线程的开启比 fork 进程快 {ratio(data):.0f} 倍，并与其他线程共享一切。"
        f"但它不能从外部终止：进程的名字里有 {len(data.only_processes)} 个线程没有。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """The cost of starting."""
    return {
        "thread": spread([each * 1e6 for each in data.thread_s], "µs"),
        "forked process": spread([each * 1e6 for each in data.fork_s], "µs"),
        "process with a new interpreter": spread([each * 1e3 for each in data.spawn_s], "ms"),
    }


def blocks(data: Data) -> Sequence[Block]:
    """The programs' lines in time, who speaks first, what it costs, and what threads lack."""
    costs = [spread(each, "s").median * 1e6 for each in (data.thread_s, data.fork_s, data.spawn_s)]
    return (
        _timeline(Text("Main is through first, the program waits", "主线程先结束，程序仍在等"), _clear(data.waits)),
        _timeline(Text("A daemon thread is not waited for", "守护线程没人等"), _clear(data.daemon)),
        Plot(
            Text("Starting one and waiting for its end", "开启一个并等它结束"),
            Text("kind", "种类"),
            Text("µs", "微秒"),
            (Series("µs", (0.0, 1.0, 2.0), tuple(costs)),),
            kind="bars",
            log_y=True,
            categories=("thread", "fork", "spawn"),
        ),
        Table(
            Text("Who speaks first", "谁先说话"),
            (Text("started", "开启的是"), Text("first line", "第一行"), Text("times", "次数")),
            tuple(
                (same(kind), same(line), same(count))
                for kind, lines in (("Thread", data.first_line_thread), ("Process", data.first_line_process))
                for line, count in sorted(Counter(lines).items())
            ),
        ),
        Table(
            Text("What a process has and a thread has not", "进程有而线程没有的"),
            (Text("name", "名字"),),
            tuple((same(name),) for name in data.only_processes),
        ),
    )


def _clear(runs: Sequence[Ran]) -> Ran:
    """One in which no lines have grown together, if there is one."""
    return next((ran for ran in runs if not grown_together(ran)), runs[0])


def _timeline(title: Text, ran: Ran) -> Timeline:
    """A lane for each speaker, from its first to its last line; one that never says that it is over ends with the program."""
    names = dict.fromkeys(_speaker(line.text) for line in ran.lines)
    lanes = []
    for name in names:
        own = [line for line in ran.lines if _speaker(line.text) == name]
        over = any(line.text.endswith("is over") for line in own) or name == "main"
        end = own[-1].at_s if over else ran.seconds
        lanes.append(
            Lane(
                name,
                (Span(own[0].at_s, end, "", "work" if over else "dead"),),
                tuple(Mark(line.at_s, line.text) for line in own),
            )
        )
    return Timeline(title, tuple(lanes))


def _speaker(line: str) -> str:
    for ending in (" begins", " is over"):
        line = line.removesuffix(ending)
    return line
