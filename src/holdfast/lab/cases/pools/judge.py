"""What the observations say of the claims. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.pools.data import Data, Timed
from holdfast.lab.seen import Ran
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

TASK_S: Final = 5.0
CALLBACK_S: Final = 1.0
SYNC_TASK_S: Final = 10.0


def pool(data: Data, kind: str) -> Timed:
    """What was seen of that kind."""
    return next(each for each in data.timed if each.kind == kind)


def overlapping(timed: Timed) -> int:
    """How many callbacks of it ran at the same time, at the most."""
    return max(
        sum(other.called_s <= task.called_s < other.called_until_s for other in timed.tasks) for task in timed.tasks
    )


def own_worker(timed: Timed) -> int:
    """How many callbacks were called by the worker that had done the task."""
    return sum(task.caller == task.worker for task in timed.tasks)


def notes_s(seconds: float, pace: float) -> float:
    """What it would be at the notes' own pace."""
    return seconds / pace


def took(ran: Ran) -> float | None:
    """The seconds that the program itself tells at its end."""
    found = re.search(r"main .* ([\d.]+)$", "\n".join(ran.out))
    return float(found.group(1)) if found else None


def _n111(data: Data) -> Ruling:
    en = (
        f"Of {data.many} tasks at most {data.most_at_once} ran at once in a pool of {data.workers}, and {data.most_without} in one of {data.many}. "
        "It bounds what runs, not what is given: the others wait in a queue that has no bound."
    )
    zh = (
        f"{data.many} 个任务，在 {data.workers} 人的池里最多同时跑 {data.most_at_once} 个，在 {data.many} 人的池里 {data.most_without} 个。"
        "它限制的是运行，不是提交：其余的在一个没有上限的队列里等。"
    )
    if data.most_at_once <= data.workers < data.most_without:
        return confirmed(en, zh)
    return refuted(en, zh)


def _n112(data: Data) -> Ruling:
    together, one_by_one = (
        data.together.seconds / data.pace / SYNC_TASK_S,
        data.one_by_one.seconds / data.pace / SYNC_TASK_S,
    )
    en = (
        f"The notes' program takes about as long as {together:.1f} tasks, since it gives all four away before it waits: they run at the same time. With "
        f"`result()` right after each `submit` it takes as long as {one_by_one:.1f}."
    )
    zh = f"笔记中的程序用时约合 {together:.1f} 个任务：它先把四个都交出去再等，所以它们同时在跑。每次 `submit` 之后立刻 `result()`，用时才合 {one_by_one:.1f} 个任务。"
    if together > one_by_one * 0.8:
        return confirmed(en, zh)
    return refuted(en, zh) if one_by_one < 2 else refined(en, zh)


def _n113(data: Data) -> Ruling:
    seen = data.entrance
    en = (
        f"Submitting afterwards raised “{seen.refused}”. And more: with wait=True it {'waited for' if seen.waited else 'did not wait for'} all that had been given "
        f"({seen.finished} of {seen.given} done), with cancel_futures=True {seen.cancelled} of 6 were not begun any more."
    )
    zh = (
        f"此后再提交会抛出“{seen.refused}”。不止如此：wait=True 时{'会等' if seen.waited else '没有等'}已交的全部做完（{seen.given} 个完成 {seen.finished} 个），"
        f"cancel_futures=True 时 6 个里有 {seen.cancelled} 个不再开始。"
    )
    if not seen.refused:
        return refuted("Submitting afterwards was accepted.", "此后仍可提交。")
    return refined(en, zh) if seen.waited or seen.cancelled else confirmed(en, zh)


def _n114(data: Data) -> Ruling:
    timed = pool(data, "ProcessPoolExecutor")
    here = sum(task.caller.split()[0] == timed.main.split()[0] for task in timed.tasks)
    main_thread = sum(task.caller == timed.main for task in timed.tasks)
    callers = ", ".join(sorted({task.caller.partition(" ")[2] for task in timed.tasks}))
    en = (
        f"{here} of {len(timed.tasks)} callbacks were called in the main process, {main_thread} of them by its main thread: it was the pool's own thread "
        f"({callers}), at most {overlapping(timed)} at a time. So it takes a task and four callbacks: {notes_s(timed.seconds, data.pace):.1f} s at the notes' pace."
    )
    zh = (
        f"{len(timed.tasks)} 个回调有 {here} 个在主进程里执行，其中主线程执行的有 {main_thread} 个：执行者是池自己的线程（{callers}），同时最多 {overlapping(timed)} 个。"
        f"所以总时间是一个任务加四个回调：按笔记的节奏是 {notes_s(timed.seconds, data.pace):.1f} 秒。"
    )
    if here < len(timed.tasks):
        return refuted(en, zh)
    return confirmed(en, zh) if main_thread == here else refined(en, zh)


def _n115(data: Data) -> Ruling:
    timed = pool(data, "ThreadPoolExecutor")
    own, some = own_worker(timed), len(timed.tasks)
    workers = {task.worker for task in timed.tasks}
    if not any(task.caller in workers for task in timed.tasks):
        names = ", ".join(sorted({task.caller.partition(" ")[2] for task in timed.tasks}))
        return refuted(f"No thread of the pool called back: it was {names}.", f"回调的不是池里的线程，而是 {names}。")
    seconds = notes_s(timed.seconds, data.pace)
    en = (
        f"{own} of {some} callbacks were called by the very thread that had done the task, at most {overlapping(timed)} at a time: a task and one callback, "
        f"{seconds:.1f} s at the notes' pace."
    )
    zh = (
        f"{some} 个回调有 {own} 个就由做完该任务的那个线程执行，同时最多 {overlapping(timed)} 个：一个任务加一个回调，"
        f"按笔记的节奏是 {seconds:.1f} 秒。"
    )
    if data.uneven_own < data.uneven:
        return confirmed(
            f"{en} Where tasks differed in length another thread took {data.uneven - data.uneven_own} of {data.uneven} callbacks.",
            f"{zh}任务长短不一时，{data.uneven} 个回调里有 {data.uneven - data.uneven_own} 个由别的线程接手。",
        )
    return refined(
        f"{en} But it is not one that has time: where tasks differed in length and another thread was free for {data.uneven_free} of {data.uneven}, the one that had "
        f"just finished still called {data.uneven_own} of {data.uneven}.",
        f"{zh}但并不是谁有空谁做：任务长短不一、{data.uneven} 个里有 {data.uneven_free} 个完成时另有线程空闲，"
        f"回调仍有 {data.uneven_own} 个由刚做完的那个线程执行。",
    )


def _n116(data: Data) -> Ruling:
    calls = data.calls
    adder, canceller = calls.after_the_end == calls.adder, calls.cancelled_called and calls.cancelled == calls.canceller
    gaps = [task.called_s - task.ended_s for timed in data.timed[:2] for task in timed.tasks]
    en = (
        f"Not only then: it was called for a future that had failed ({'yes' if calls.failed else 'no'}) and for one that was cancelled "
        f"({'by the canceller' if canceller else 'no'}); added to one that was done, it was called at once by "
        f"{'who added it' if adder else 'another thread'}. And not always at once: the last of four waited {max(gaps) / data.pace:.1f} s (notes' pace) for the others' callbacks."
    )
    zh = (
        f"不止那时：future 失败时也会调用（{'是' if calls.failed else '否'}），被取消时也会（{'由取消者执行' if canceller else '否'}）；"
        f"加到已完成的 future 上，则由{'添加者' if adder else '别的线程'}立刻执行。也不总是立刻：四个里最后一个为等别人的回调，等了 {max(gaps) / data.pace:.1f} 秒（按笔记的节奏）。"
    )
    if not (calls.failed or calls.cancelled_called):
        return confirmed(en, zh)
    return refined(en, zh)


def _n117(data: Data) -> Ruling:
    timed = pool(data, "ProcessPoolExecutor")
    first = min(task.ended_s for task in timed.tasks)
    en = f"All four were given away after {timed.submitted_s * 1e3:.1f} ms, the first was done after {first * 1e3:.0f} ms, and its callback came by itself."
    zh = f"{timed.submitted_s * 1e3:.1f} 毫秒就交完了四个任务，第一个在 {first * 1e3:.0f} 毫秒后做完，回调自行到来。"
    if timed.submitted_s < first:
        return confirmed(en, zh)
    return refuted(en, zh)


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n111": _n111,
    "n112": _n112,
    "n113": _n113,
    "n114": _n114,
    "n115": _n115,
    "n116": _n116,
    "n117": _n117,
}
