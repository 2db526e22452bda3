"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.process_basics.data import Born, Data, Leaving, Order
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

SPAWN_BY_DEFAULT: Final = Text(
    "the start method: `fork` until Python 3.13 on Linux, `forkserver` since 3.14",
    "启动方式：Linux 上 Python 3.13 及以前默认 `fork`，3.14 起默认 `forkserver`",
)
LINUX: Final = Text("Linux; Windows was not there to try", "Linux；未在 Windows 上试")


def by(data: Data, method: str) -> Born:
    """The child of this method."""
    return next(each for each in data.born if each.method == method)


def order(data: Data, how: str) -> Order:
    """Who spoke first there."""
    return next(each for each in data.orders if each.how == how)


def left(data: Data, other: str, leaves: str) -> Leaving:
    """How that program ended."""
    return next(each for each in data.leavings if (each.other, each.leaves) == (other, leaves))


def complete(ran: Ran) -> bool:
    """Whether the child came to its last line."""
    return any(line.endswith("is over") for line in ran.out)


def last_error(ran: Ran) -> str:
    """The last line of its standard error."""
    return ran.err[-1] if ran.err else ""


def _n049(data: Data) -> Ruling:
    as_written, repaired = complete(data.by_function), complete(data.by_function_repaired)
    child = by(data, "fork")
    apart = child.pid != child.parent_pid
    if as_written and apart:
        return confirmed(
            f"The function ran in process {child.pid}, its parent is {child.parent_pid}.",
            f"函数运行在进程 {child.pid} 中，父进程是 {child.parent_pid}。",
        )
    if repaired and apart:
        return refined(
            f"The way works: process {child.pid} ran the function, its parent is {child.parent_pid}. The program as written never imports "
            f"the module that it sleeps with: its child died of `{last_error(data.by_function)}`, while the parent ended with "
            f"{data.by_function.returncode} as if all were well. With the import both lines come.",
            f"方式可行：函数由进程 {child.pid} 运行，父进程是 {child.parent_pid}。但原程序漏了睡眠所用模块的导入："
            f"子进程死于 `{last_error(data.by_function)}`，父进程却若无其事地以 {data.by_function.returncode} 退出。补上导入后两行都在。",
        )
    return refuted("The function did not run to its end in a process of its own.", "函数没有在独立的进程里跑完。")


def _n050(data: Data) -> Ruling:
    there = [each.method for each in data.born if each.there_at_return]
    fork, paused = order(data, "fork"), order(data, "fork, main pauses")
    if len(there) < len(data.born):
        return confirmed(
            f"When `start()` returned, the kernel knew the child in {len(there)} of {len(data.born)} ways of starting only.",
            f"`start()` 返回时，{len(data.born)} 种开启方式里只有 {len(there)} 种内核已有该子进程。",
            depends_on=LINUX,
        )
    first = (
        f"Main was first in {fork.main_first} of {fork.rounds} forks, and in {paused.main_first} of {paused.rounds} when it paused a moment "
        "before it spoke: the scheduler decides.",
        f"{fork.rounds} 次 fork 中主进程先说话的有 {fork.main_first} 次；让它先停顿片刻，{paused.rounds} 次中只有 {paused.main_first} 次：顺序由调度器决定。",
    )
    told = (
        f"No signal, and nothing left to be done later: in all {len(there)} ways of starting the child was in /proc when `start()` returned. {first[0]}",
        f"没有什么信号，也没有留待以后的事：{len(there)} 种开启方式中，`start()` 返回时子进程都已在 /proc 里。{first[1]}",
    )
    return refined(*told, depends_on=LINUX) if fork.main_first else refuted(*told, depends_on=LINUX)


def _n051(data: Data) -> Ruling:
    arrived = {each.written: each.arrived for each in data.passed}
    comma, without = arrived['args=("word",)'], arrived['args=("word")']
    letter, as_list, named = arrived['args=("w")'], arrived['args=["word"]'], arrived['kwargs={"who": "word"}']
    if (comma, named) != (1, 1) or without == 1:
        return refuted(
            f"With the comma {comma} arrived, without it {without}, by `kwargs` {named}.",
            f"有逗号时到达 {comma} 个，没有时 {without} 个，用 `kwargs` 时 {named} 个。",
        )
    return confirmed(
        f"With the comma {comma} argument arrived; without it the text itself was taken apart and {without} came, one for each letter "
        f"(a word of one letter gets through by luck: {letter}). A list needs no comma ({as_list}), and neither does a dict with one entry in `kwargs` ({named}).",
        f"有逗号时到达 {comma} 个参数；没有逗号时字符串被拆开，到达 {without} 个，一个字母一个（只有一个字母时碰巧没事：{letter} 个）。"
        f"列表不需要逗号（{as_list} 个），`kwargs` 里只有一项的字典也不需要（{named} 个）。",
    )


def _n052(data: Data) -> Ruling:
    fork, spawn = by(data, "fork"), by(data, "spawn")
    if fork.new_program:
        return confirmed(
            "Here too every child began with a program of its own.",
            "在这里，每个子进程也都装入了自己的程序。",
            depends_on=LINUX,
        )
    if not spawn.new_program:
        return refuted("Here no way of starting loads a program.", "在这里，没有哪种方式装入程序。", depends_on=LINUX)
    return refined(
        f"Here `fork` loads nothing: the child goes on with a copy of its parent, changed globals included ({_yes(fork.memory_copied)[0]}). "
        f"What `CreateProcess` does in one call is `spawn` here, in two, fork and exec: a fresh interpreter that imports the module again "
        f"(changed globals seen: {_yes(spawn.memory_copied)[0]}). So on Windows the guard of the main module is a must.",
        f"在这里 `fork` 什么也不装：子进程接着用父进程的副本，改过的全局变量也在（{_yes(fork.memory_copied)[1]}）。"
        f"`CreateProcess` 一步做的事，在这里是 `spawn`，分 fork 和 exec 两步：全新的解释器重新导入模块（看得到改过的全局变量：{_yes(spawn.memory_copied)[1]}）。"
        "所以在 Windows 上主模块的保护语句必不可少。",
        depends_on=LINUX,
    )


def _n053(data: Data) -> Ruling:
    direct = data.direct
    if direct.pid_by_start == direct.parent_pid or not complete(data.by_subclass):
        return refuted("Even `start()` brought no process of its own.", "连 `start()` 也没有开出进程。")
    if direct.pid_by_run != direct.parent_pid:
        return confirmed(
            "Both `start()` and `run()` ran in a process of their own.", "`start()` 和 `run()` 都在独立进程中运行。"
        )
    return refined(
        f"A subclass works: by `start()` its `run()` ran in process {direct.pid_by_start}. Called directly, `run()` is a method like any other: it ran in the "
        f"parent itself, {direct.pid_by_run}, which waited for it. Without `super().__init__()` `start()` fails with {direct.without_super or 'nothing'}.",
        f"子类可行：`start()` 之后 `run()` 在进程 {direct.pid_by_start} 中运行。直接调用 `run()` 则只是普通方法：就在父进程 {direct.pid_by_run} 里运行，"
        f"父进程得等它。若没有 `super().__init__()`，`start()` 报 {direct.without_super or '无错'}。",
    )


def _n055(data: Data) -> Ruling:
    states = {each.call: (each.state_before, each.state_after) for each in data.reaped}
    if states["join()"] != ("Z", None):
        return refuted(
            f"Before `join()` its state was {states['join()'][0]}, afterwards {states['join()'][1]}.",
            f"`join()` 之前状态为 {states['join()'][0]}，之后为 {states['join()'][1]}。",
        )
    others = [call for call, found in states.items() if call != "join()" and found == ("Z", None)]
    never = [call for call, found in states.items() if found == ("Z", "Z")]
    return confirmed(
        f"Its child had ended and was in state Z; after `join()` the kernel knew it no more. {', '.join(others) or 'Nothing else'} had the same effect: "
        f"they make the same system call, without waiting. {', '.join(never) or 'Nothing'} took nothing away.",
        f"子进程已结束，状态为 Z；`join()` 之后内核里已没有它。{'、'.join(others) or '没有别的调用'}也有同样效果：它们用同一个 wait 调用，只是不等待。"
        f"{'、'.join(never) or '没有哪个'}则不会。",
    )


def _n056(data: Data) -> Ruling:
    took = spread([each.seconds * 1e3 for each in data.terminated], "ms")
    alive, rounds = sum(each.alive_right_after for each in data.terminated), len(data.terminated)
    if not data.ignoring_alive:
        return confirmed(
            f"Every child ended, also one that ignores SIGTERM; a sleeping one within {took.median:.2g} ms.",
            f"每个子进程都结束了，忽略 SIGTERM 的也一样；睡眠中的用了 {took.median:.2g} 毫秒。",
        )
    return refined(
        f"It sends SIGTERM, and a sleeping child is gone within {took.median:.2g} ms ({took.low:.2g} to {took.high:.2g}); right after the call it still was alive in {alive} of "
        f"{rounds} rounds. But the child has a say: one that ignores SIGTERM was alive {data.ignored_s} s later, and one with a handler ended with a code of its "
        f"own, {data.handler_exitcode}. Only `kill()` is not asked about ({data.ignoring_killed}).",
        f"它发的是 SIGTERM，睡眠中的子进程在 {took.median:.2g} 毫秒内消失（{took.low:.2g} 到 {took.high:.2g}）；调用刚返回时，{rounds} 次中有 {alive} 次仍存活。"
        f"但子进程也有发言权：忽略 SIGTERM 的那个 {data.ignored_s} 秒后还活着，有处理函数的以自己的退出码 {data.handler_exitcode} 结束。"
        f"只有 `kill()` 不由它商量（{data.ignoring_killed}）。",
    )


def _n057(data: Data) -> Ruling:
    answers = [line for ran in data.terminating for line in ran.out if "alive: " in line]
    dead = sum(line.endswith("False") for line in answers)
    spoke = sum(any(line.endswith("begins") for line in ran.out) for ran in data.terminating)
    right_after = sum(each.alive_right_after for each in data.terminated)
    said = (
        f"Not alive in {dead} of {len(answers)} runs; the child had come to its first line in {spoke} of them. The pause matters: asked without one, "
        f"{right_after} of {len(data.terminated)} children were still alive. `join()` instead of a pause is sure and quicker.",
        f"{len(answers)} 次运行中有 {dead} 次为 False；子进程来得及打印第一行的有 {spoke} 次。停顿很要紧：不停顿就问，"
        f"{len(data.terminated)} 个子进程里有 {right_after} 个还活着。用 `join()` 代替停顿，既可靠又更快。",
    )
    if answers and dead == len(answers):
        return confirmed(*said)
    return refined(*said) if dead else refuted(*said)


def _n058(data: Data) -> Ruling:
    plain = [by(data, "fork"), by(data, "spawn")]
    if not all(
        each.pid == each.pid_told and each.name == each.name_given and each.ppid == each.parent_pid for each in plain
    ):
        return refuted("Ids or names did not agree.", "编号或名字对不上。")
    server, job = by(data, "forkserver"), by(data, "holdfast")
    if server.ppid == server.parent_pid:
        return confirmed(
            "Ids, parents and names agreed in all ways of starting.", "各种开启方式下，编号、父进程和名字都一致。"
        )
    return refined(
        f"With `fork` and `spawn` all three agree. With `forkserver` the child's parent is {server.ppid}, a process kept for forking, and not {server.parent_pid} that "
        f"called `start()`; a process of Holdfast is a child of its supervisor ({job.ppid}). The parent id names who made the process for the kernel, and changes when that one dies.",
        f"用 `fork` 和 `spawn` 时三者都一致。用 `forkserver` 时，子进程的父进程是专管 fork 的 {server.ppid}，而不是调用 `start()` 的 {server.parent_pid}；"
        f"Holdfast 的进程则是其监管进程（{job.ppid}）的孩子。父进程号说的是内核眼里谁生了它，那一位死了还会变。",
        depends_on=SPAWN_BY_DEFAULT,
    )


def _n059(data: Data) -> Ruling:
    normal = left(data, "child", "end")
    if not normal.waited:
        return refuted("The program did not wait for its child.", "程序没有等它的子进程。")
    unburied = [left(data, "child", "_exit"), left(data, "child", "kill"), left(data, "command", "end")]
    went = [each for each in unburied if each.outlived]
    if not went:
        return confirmed(
            "In every way to end, the program stayed until its child was gone.", "无论怎样结束，程序都等到子进程消失。"
        )
    parents = sorted({each.parent_after for each in went if each.parent_after is not None})
    return refined(
        f"It waits, but nothing obliges it: `multiprocessing` joins its children in a handler at the end of the interpreter. In {len(went)} of {len(unburied)} other endings "
        f"(`os._exit`, SIGKILL, a child of `subprocess`) the program was gone and its child lived on, as a child of {', '.join(map(str, parents))}, who buries it.",
        f"它确实等，但并非不得不等：是 `multiprocessing` 在解释器收尾时用处理函数 join 了子进程。另外 {len(unburied)} 种结束方式（`os._exit`、SIGKILL、`subprocess` 的子进程）中有 "
        f"{len(went)} 种是程序已走、子进程还活着，成了 {'、'.join(map(str, parents))} 的孩子，由后者收尸。",
    )


def _n060(data: Data) -> Ruling:
    if not left(data, "thread", "end").waited:
        return refuted("The program ended while its thread was not through.", "线程还没跑完，程序就结束了。")
    cut = [each for each in data.leavings if each.other.endswith("thread") and not each.waited]
    if not cut:
        return confirmed(
            "In every way to end, the program stayed until its thread was through.",
            "无论怎样结束，程序都等到线程跑完。",
        )
    names = ", ".join(f"{each.other}/{each.leaves}" for each in cut)
    return refined(
        f"Python's main thread waits at its end for threads that are no daemons, and did. The kernel does not: {len(cut)} endings took the process away with its thread "
        f"in the middle ({names}). It is the process that ends, and its threads with it.",
        f"Python 主线程收尾时会等非守护线程，这里也等了。内核却不等：有 {len(cut)} 种结束方式连同没跑完的线程一起收走了进程（{names}）。结束的是进程，线程只是陪着。",
    )


def _yes(value: bool) -> tuple[str, str]:
    return ("yes", "是") if value else ("no", "否")


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n049": _n049,
    "n050": _n050,
    "n051": _n051,
    "n052": _n052,
    "n053": _n053,
    "n055": _n055,
    "n056": _n056,
    "n057": _n057,
    "n058": _n058,
    "n059": _n059,
    "n060": _n060,
}
