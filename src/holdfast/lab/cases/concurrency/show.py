"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab import blocks as b
from holdfast.lab.cases.concurrency.data import Data, Scene
from holdfast.lab.cases.concurrency.judge import at_once, best_parallel, pushed_aside, turns_of
from holdfast.lab.text import Text, same


def answer(data: Data) -> Text:
    """In short."""
    two = best_parallel(data)
    share, _ = pushed_aside(data.priority.scene)
    en = (
        f"On one core two tasks take turns ({turns_of(data.concurrent)} of them) and never run at the same time "
        f"({at_once(data.concurrent):.0%})"
    )
    zh = f"一个核上两个任务轮流运行（轮换 {turns_of(data.concurrent)} 次），从不同时（{at_once(data.concurrent):.0%}）"
    if two is not None:
        en += f"; on two cores they do for {two:.0%} of the time"
        zh += f"；两个核上有 {two:.0%} 的时间同时运行"
    apart = not data.pages.parent_sees
    return Text(
        f"{en}. A core is handed on when a task waits, when its time is over, and when a more important one comes (the other one "
        f"then had {share:.0%}). Memories are {'kept apart by page tables: pages are shared until somebody writes' if apart else 'not kept apart'}.",
        f"{zh}。任务等待、时间用完、来了更重要的任务时（此时另一个只得到 {share:.0%}），核就换人。"
        f"内存{'靠页表隔离：在有人写之前，页是共用的' if apart else '没有隔离'}。",
    )


def figures(data: Data) -> Mapping[str, b.Spread]:
    """Shares and switches."""
    found = {
        "switch between generators": b.spread(data.saved.generator_ns, "ns"),
        "switch between processes": b.spread(data.saved.process_ns, "ns"),
        "at the same time, one core": b.spread([100 * at_once(data.concurrent)], "%"),
    }
    if data.parallel:
        found["at the same time, two cores"] = b.spread([100 * at_once(scene) for scene in data.parallel], "%")
    return found


def blocks(data: Data) -> Sequence[b.Block]:
    """Whose turn it was, and whose page."""
    found: list[b.Block] = [
        _timeline(Text("Serial: one after the other", "串行：一个接一个"), data.serial),
        _timeline(Text("Concurrent: by turns on one core", "并发：一个核上轮流"), data.concurrent),
    ]
    if data.parallel:
        found.append(
            _timeline(Text("Parallel: a core for each", "并行：每个任务一个核"), max(data.parallel, key=at_once))
        )
    return (
        *found,
        _timeline(Text("One mostly waits: the core is handed on at once", "一个多半在等待：核立即让出"), data.waiting),
        _timeline(
            Text(f"One of higher priority comes ({data.priority.how})", f"来了优先级更高的任务（{data.priority.how}）"),
            data.priority.scene,
        ),
        b.Table(
            Text("Who gave up the core, and from whom it was taken", "谁让出了核，谁被夺走了核"),
            (Text("scene", "情形"), Text("task", "任务"), Text("gave it up", "主动让出"), Text("had it taken", "被夺走"),
             Text("ran", "运行")),
            tuple(
                (name, same(runner.name), same(runner.voluntary), same(runner.involuntary),
                 same(f"{sum(end - begin for begin, end in runner.runs) * 1e3:.0f} ms"))
                for name, scene in (
                    (Text("serial", "串行"), data.serial),
                    (Text("concurrent", "并发"), data.concurrent),
                    (Text("waiting", "等待"), data.waiting),
                    (Text("priority", "优先级"), data.priority.scene),
                )
                for runner in scene.runners
            ),
        ),
        _pages(data),
    )  # fmt: skip


def _timeline(title: Text, scene: Scene) -> b.Timeline:
    """Each task's runs; in between it waits for the core, or for what it has asked for."""
    start = min(runner.began_s for runner in scene.runners)
    lanes = []
    for runner in scene.runners:
        spans = []
        at_s = runner.began_s
        for began, ended in runner.runs:
            if began > at_s:
                spans.append(b.Span(at_s - start, began - start, kind="wait"))
            spans.append(b.Span(began - start, ended - start))
            at_s = ended
        if runner.ended_s > at_s:
            spans.append(b.Span(at_s - start, runner.ended_s - start, kind="wait"))
        lanes.append(b.Lane(f"{runner.name}, core {runner.core}", tuple(spans)))
    return b.Timeline(title, tuple(lanes))


def _pages(data: Data) -> b.Table:
    pages = data.pages

    def told(value: object) -> Text:
        return Text("not told", "不告知") if value is None else same(value)

    return b.Table(
        Text("A page of memory in parent and child", "父子进程中的同一页内存"),
        (Text("which", "项目"), Text("after the fork", "fork 之后"), Text("after the child's write", "子进程写过之后")),
        (
            (Text("parent's physical page", "父进程的物理页"), told(pages.parent_frame), told(pages.parent_frame)),
            (Text("child's physical page", "子进程的物理页"), told(pages.child_frame), told(pages.child_frame_written)),
            (Text(f"KiB of {pages.size_kib} in common", f"{pages.size_kib} KiB 中共用的 KiB"),
             told(pages.shared_kib), told(pages.shared_kib_written)),
        ),
    )  # fmt: skip
