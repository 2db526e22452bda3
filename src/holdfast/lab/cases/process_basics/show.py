"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import (
    Block,
    Lane,
    Listing,
    Mark,
    Plot,
    Remark,
    Series,
    Span,
    Spread,
    Table,
    Timeline,
    once,
    spread,
)
from holdfast.lab.cases.process_basics.data import Data, Leaving
from holdfast.lab.cases.process_basics.judge import last_error, order
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    there = sum(each.there_at_return for each in data.born)
    fork = order(data, "fork")
    took = spread([each.seconds * 1e3 for each in data.terminated], "ms").median
    outlived = sum(each.outlived for each in data.leavings)
    return Text(
        f"When `start()` returns the child is there: in {there} of {len(data.born)} ways of starting. Who speaks first is the scheduler's affair (main in {fork.main_first} of "
        f"{fork.rounds}). `terminate()` asks, and a sleeping child is gone within {took:.2g} ms; one that ignores it stays. "
        f"A program waits for its children and threads because Python does so at its end: in {outlived} endings a child outlived its parent.",
        f"`start()` 返回时子进程已经存在：{len(data.born)} 种开启方式中有 {there} 种如此。谁先说话由调度器定（{fork.rounds} 次里主进程先的有 {fork.main_first} 次）。"
        f"`terminate()` 只是请求，睡眠中的子进程 {took:.2g} 毫秒内消失，不理会它的照样活着。"
        f"程序等子进程和线程，是 Python 收尾时的做法：有 {outlived} 种结束方式里子进程活得比父进程久。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """How soon a child ends that was told to, and how often main was first."""
    found = {"terminate to gone": spread([each.seconds * 1e3 for each in data.terminated], "ms")}
    for each in data.orders:
        found[f"main first, {each.how}"] = once(100 * each.main_first / each.rounds, "%")
    return found


def blocks(data: Data) -> Sequence[Block]:
    """Starts, arguments, ends, and who waits for whom."""
    return (
        _timeline(Text("The first program, repaired: main does not wait to speak", "第一个程序（修好的）：主进程不等就说话"), data.by_function_repaired),
        Listing(Text("The first program as in the notes", "第一个程序，笔记原样"), (*data.by_function.out, last_error(data.by_function))),
        Plot(
            Text("Who speaks first", "谁先说话"),
            Text("how it was started", "开启方式"),
            Text("% of the rounds", "占比 %"),
            (
                Series("main", _places(len(data.orders)), tuple(100 * each.main_first / each.rounds for each in data.orders)),
                Series("child", _places(len(data.orders)), tuple(100 - 100 * each.main_first / each.rounds for each in data.orders)),
            ),
            kind="bars",
            categories=tuple(each.how for each in data.orders),
        ),
        Table(
            Text("The child when start() returns", "start() 返回时的子进程"),
            (
                Text("method", "方式"), Text("there", "已存在"), Text("parent id is mine", "父进程号是我"),
                Text("has my memory", "带着我的内存"), Text("another program", "换了程序"),
            ),
            tuple(
                (same(each.method), _yes(each.there_at_return), _yes(each.ppid == each.parent_pid), _yes(each.memory_copied), _yes(each.new_program))
                for each in data.born
            ),
        ),
        Table(
            Text("One argument, five ways to write it", "一个参数，五种写法"),
            (Text("written", "写法"), Text("arguments that arrive", "到达的参数")),
            tuple((same(each.written), same(each.arrived)) for each in data.passed),
        ),
        Timeline(Text("Told to end", "被要求结束"), _told_to_end(data)),
        Listing(
            Text("The program that asks whether it lives: runs in the standard library, and on Holdfast", "询问是否存活的程序：标准库的各次运行，以及在 Holdfast 上"),
            (*(" / ".join(ran.out) for ran in data.terminating), f"Holdfast: {' / '.join(data.holdfast_terminating.out)}"),
        ),
        Table(
            Text("A dead child, and who takes it away", "死去的子进程，谁来收"),
            (Text("call", "调用"), Text("state before", "之前"), Text("state after", "之后")),
            tuple(
                (same(each.call), same(each.state_before or "-"), same(each.state_after) if each.state_after else Text("gone", "已消失"))
                for each in data.reaped
            ),
        ),
        Table(
            Text("The main thread is through, something else is not", "主线程跑完了，别的还没有"),
            (Text("what is left", "还剩下"), Text("main leaves by", "主线程的离开方式"), Text("outcome", "结果")),
            tuple((same(each.other), same(each.leaves), _outcome(each)) for each in data.leavings),
        ),
        _timeline(Text("The first program on Holdfast: one import is another", "第一个程序在 Holdfast 上：只换一行导入"), data.holdfast_by_function),
        _timeline(Text("The subclass on Holdfast", "子类在 Holdfast 上"), data.holdfast_by_subclass),
        Remark(
            Text(
                f"A process of Holdfast has the same names and answers: terminated, it ended with {data.holdfast_terminated.exitcode} after {data.holdfast_terminated.seconds * 1e3:.2g} ms. "
                "It is a job under a supervisor, so its end and that of all it has started is proved.",
                f"Holdfast 的进程有同样的名字和回答：终止后它以 {data.holdfast_terminated.exitcode} 结束，用了 {data.holdfast_terminated.seconds * 1e3:.2g} 毫秒。"
                "它是受监管的任务，所以它和它开启的一切是否结束都有据可查。",
            )
        ),
    )  # fmt: skip


def _places(count: int) -> tuple[float, ...]:
    return tuple(float(place) for place in range(count))


def _timeline(title: Text, ran: Ran) -> Timeline:
    """Main's line is a moment; the child's lines are what it did."""
    at = {line.text: line.at_s for line in ran.lines if line.stream == "out"}
    begins = at.get("the child begins", 0.0)
    over = at.get("the child is over", ran.seconds)
    main = at.get("main", 0.0)
    return Timeline(
        title,
        (
            Lane("main", (Span(0.0, main), Span(main, ran.seconds, kind="wait")), (Mark(main, "main"),)),
            Lane("child", (Span(begins, over),), (Mark(begins, "begins"), Mark(over, "is over"))),
        ),
    )


def _told_to_end(data: Data) -> tuple[Lane, ...]:
    """The slowest sleeper beside the one that ignores it until it is killed."""
    slowest = max(data.terminated, key=lambda each: each.seconds)
    return (
        Lane("sleeps", (Span(0.0, slowest.seconds),), (Mark(slowest.seconds, f"gone ({slowest.exitcode})"),)),
        Lane("ignores", (Span(0.0, data.ignored_s),), (Mark(data.ignored_s, f"kill() ({data.ignoring_killed})"),)),
    )


def _outcome(each: Leaving) -> Text:
    if each.waited:
        return Text("the program waits", "程序等着")
    if each.outlived:
        return Text(
            f"gone; the other lives on, under {each.parent_after}", f"已走；另一个还活着，归 {each.parent_after}"
        )
    return Text("gone, and the other with it", "已走，另一个也随之消失")


def _yes(value: bool) -> Text:
    return Text("yes", "是") if value else Text("no", "否")
