"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.thread_basics.data import Data
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

MUCH_FASTER: Final = 3.0


def ratio(data: Data) -> float:
    """How many threads are started in the time of one forked process."""
    return spread(data.fork_s, "s").median / spread(data.thread_s, "s").median


def in_order(ran: Ran) -> bool:
    """Whether the thread began, then main spoke, then the thread was over."""
    said = [("main" if line == "main" else line.rpartition(" ")[2]) for line in ran.out]
    return said == ["begins", "main", "over"]


def over_last(ran: Ran) -> bool:
    """Whether the program ended well and its last line was the thread's."""
    return ran.returncode == 0 and ran.out[-1:] != () and ran.out[-1].endswith("is over")


def grown_together(ran: Ran) -> bool:
    """Whether two lines came as one: ``print`` writes the text and the end of its line apart, and another spoke between."""
    return "" in ran.out


def _n082(data: Data) -> Ruling:
    kin = data.kin
    ids = len(set(kin.ids))
    if (kin.tasks_alone, kin.tasks_with_three_more, ids) == (1, 4, 4) and kin.same_process_id and kin.file_seen_by_all:
        return confirmed(
            f"A fresh process has {kin.tasks_alone} entry in /proc/PID/task, with three threads more {kin.tasks_with_three_more}: each with an id "
            "of its own, by which the kernel gives out the CPU, all with one process id and one table of open files.",
            f"新进程在 /proc/PID/task 里有 {kin.tasks_alone} 项，再开三个线程后有 {kin.tasks_with_three_more} 项：各有自己的编号，内核按它分配 CPU；进程号和打开文件表则是同一份。",
        )
    return refuted(
        f"{kin.tasks_alone} entry before, {kin.tasks_with_three_more} with three threads more, {ids} ids; "
        f"one process id: {kin.same_process_id}, one table of files: {kin.file_seen_by_all}.",
        f"之前 {kin.tasks_alone} 项，再开三个线程后 {kin.tasks_with_three_more} 项，编号 {ids} 个；进程号相同：{kin.same_process_id}，文件表相同：{kin.file_seen_by_all}。",
    )


def _n083(data: Data) -> Ruling:
    ways = [over_last(data.by_function), over_last(data.by_subclass)]
    count = len(data.by_function.out)
    if all(ways):
        return confirmed(
            f"Both programs print their {count} lines and end well; the lines differ in the thread's name only.",
            f"两个程序都打印 {count} 行并正常结束，只有线程名不同。",
        )
    return refuted(
        f"By function it {'worked' if ways[0] else 'failed'}, by subclass it {'worked' if ways[1] else 'failed'}.",
        f"传函数{'成功' if ways[0] else '失败'}，写子类{'成功' if ways[1] else '失败'}。",
    )


def _n084(data: Data) -> Ruling:
    thread, fork, spawn = (spread(each, "s").median for each in (data.thread_s, data.fork_s, data.spawn_s))
    evidence = (
        f"A thread takes {thread * 1e6:.0f} µs from start to end, a forked process {fork * 1e6:.0f} µs ({ratio(data):.0f} times), one that "
        f"begins with a new interpreter {spawn * 1e3:.0f} ms.",
        f"线程从开启到结束 {thread * 1e6:.0f} 微秒，fork 的进程 {fork * 1e6:.0f} 微秒（{ratio(data):.0f} 倍），带新解释器的进程 {spawn * 1e3:.0f} 毫秒。",
    )
    if ratio(data) >= MUCH_FASTER:
        return confirmed(*evidence)
    return refined(*evidence) if ratio(data) > 1 else refuted(*evidence)


def _n085(data: Data) -> Ruling:
    said = " ".join(data.shares.out)
    if data.shares.out == ("main 0",):
        return confirmed(
            f"It prints `{said}`: the thread's 0 is main's.", f"打印 `{said}`：线程写的 0 就是主线程读到的。"
        )
    return refuted(f"It prints `{said}`.", f"打印 `{said}`。")


def _n086(data: Data) -> Ruling:
    if not data.only_processes:
        return confirmed(f"All {len(data.both)} are there.", f"{len(data.both)} 个全都有。")
    names = ", ".join(f"`{name}`" for name in data.only_processes)
    return refuted(
        f"{len(data.both)} are shared, but a thread has no {names}. A thread cannot be ended from outside, and has no exit code.",
        f"共有的有 {len(data.both)} 个，但线程没有 {names}。线程不能从外部终止，也没有退出码。",
    )


def _n087(data: Data) -> Ruling:
    every = (*data.waits, *data.waits_hurried)
    right, last = sum(map(in_order, every)), sum(map(over_last, every))
    en = f"In {right} of {len(every)} runs the lines came so; in {last} the thread's end came last, and the program waited for it."
    zh = f"{len(every)} 次里有 {right} 次是这个顺序；有 {last} 次线程的结束在最后，程序等它结束。"
    if merged := sum(map(grown_together, every)):
        en += f" In {merged} two lines had grown into one: `print` writes a text and the end of its line apart."
        zh += f"其中 {merged} 次两行连成了一行：`print` 把文字和换行分两次写出。"
    how = Text("the interpreter's turns: `start()` returns when the new thread has begun, not when it has printed",
               "解释器的轮换：`start()` 在新线程起步后就返回，不等它打印")  # fmt: skip
    if right == len(every):
        return confirmed(en, zh, depends_on=how)
    if last == len(every):
        return refined(
            en + " Which of the first two comes first is nobody's promise.",
            zh + "前两行谁先谁后，谁也不保证。",
            depends_on=how,
        )
    return refuted(en, zh)


def _n088(data: Data) -> Ruling:
    lived, after = data.daemon_ticks_after_main, data.daemon_ticks_after_all
    if lived and not after:
        return confirmed(
            f"It ticked {lived} times after main was through, while another thread worked, and never after that one had ended.",
            f"主线程结束之后，它在另一线程工作期间又跳了 {lived} 次；那个线程结束后一次也没有了。",
        )
    return refuted(
        f"It ticked {lived} times after main was through and {after} times after the last other thread.",
        f"主线程结束后它跳了 {lived} 次，最后一个其他线程结束后又跳了 {after} 次。",
    )


def _n089(data: Data) -> Ruling:
    wanted = ("long begins", "short begins", "main", "short is over")
    right = sum(ran.out == wanted for ran in data.daemon)
    silent = sum("long is over" not in ran.out and ran.out[-1:] == ("short is over",) for ran in data.daemon)
    en = f"In {right} of {len(data.daemon)} runs exactly these lines came; in {silent} the daemon's last line was missing and the short one's came last."
    zh = f"{len(data.daemon)} 次里有 {right} 次正是这几行；有 {silent} 次守护线程的最后一行没有出现，短的那个结束在最后。"
    if silent < len(data.daemon):
        return refuted(en, zh)
    if right == len(data.daemon):
        return confirmed(en, zh)
    return refined(en + " The order of the first three is the scheduler's.", zh + "前三行的顺序由调度决定。")


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n082": _n082,
    "n083": _n083,
    "n084": _n084,
    "n085": _n085,
    "n086": _n086,
    "n087": _n087,
    "n088": _n088,
    "n089": _n089,
}
