"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.ipc_queue.data import Data, Early
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

DEAR: Final = 1.5
"""So many times the time of shared memory: a large message is dear."""


WAYS: Final[Mapping[str, Text]] = {
    "pipe": Text("pipe", "管道"),
    "queue": Text("queue", "队列"),
    "socket": Text("socket", "套接字"),
    "shared memory": Text("shared memory", "共享内存"),
    "file": Text("file", "文件"),
    "signal": Text("signal", "信号"),
    "exit status": Text("exit status", "退出状态"),
}


def early(data: Data, kind: str) -> Early:
    """The rounds with that queue."""
    return next(each for each in data.early if each.kind == kind)


def _n072(data: Data) -> Ruling:
    worked = {each.name: WAYS[each.name] for each in data.ways if each.arrived}
    en, zh = ", ".join(name.en for name in worked.values()), "、".join(name.zh for name in worked.values())
    if set(worked) == {"pipe", "queue"}:
        return confirmed("A pipe and a queue delivered, nothing else did.", "管道和队列送到了，别的都没有。")
    if not {"pipe", "queue"} <= set(worked):
        return refuted(f"Only these delivered: {en}.", f"只有这些送到了：{zh}。")
    return refined(
        f"Those two, and more: {len(worked)} ways delivered ({en}). A queue is built on a pipe itself.",
        f"这两种可以，还有别的：共有 {len(worked)} 种送到了（{zh}）。队列本身就建在管道之上。",
    )


def _n073(data: Data) -> Ruling:
    parts = data.parts
    thread = parts.threads_after_put > parts.threads_before
    pipe = parts.descriptors >= 2
    if not pipe:
        return refuted(
            f"It came with {parts.descriptors} descriptors: no pipe.",
            f"它只带来 {parts.descriptors} 个描述符：没有管道。",
        )
    if not thread:
        return confirmed(
            f"It came with {parts.descriptors} descriptors, and no thread.",
            f"它带来 {parts.descriptors} 个描述符，没有线程。",
        )
    return refined(
        f"And a thread: it came with the {parts.descriptors} ends of a pipe and locks, and the first put started a thread "
        f"({parts.threads_before} → {parts.threads_after_put}) that writes into the pipe later. So putting 8 MiB took {parts.put_large_s * 1e3:.1f} ms, "
        f"where a bare pipe {'waits for its reader' if parts.pipe_large_waits else 'took it as well'}.",
        f"还有一个线程：它带来管道的 {parts.descriptors} 端和锁，第一次 put 又启动了一个线程（{parts.threads_before} → {parts.threads_after_put}），稍后才写入管道。"
        f"所以放入 8 MiB 只用了 {parts.put_large_s * 1e3:.1f} 毫秒，而光用管道{'就得等人来读' if parts.pipe_large_waits else '也收下了'}。",
    )


def _n074(data: Data) -> Ruling:
    room = data.room
    if room.bound < room.put:
        return refuted(f"It says that {room.bound} items are its bound.", f"它的上限是 {room.bound} 项。")
    whole = room.put * room.item_bytes
    if room.grown_bytes < whole / 4:
        return refuted(
            f"{room.put} items of {room.item_bytes} bytes went in, and memory grew by {room.grown_bytes >> 20} MiB only.",
            f"放入 {room.put} 项、每项 {room.item_bytes} 字节，内存只增加 {room.grown_bytes >> 20} MiB。",
        )
    return refined(
        f"It counts items and not bytes, up to {room.bound}: {room.put} items went in without a wait, and the memory of the process that put them "
        f"grew by {room.grown_bytes >> 20} MiB. Only {data.parts.pipe_bytes >> 10} KiB lie in the kernel's pipe. Nothing bounds it but the end of memory.",
        f"它数的是项数而不是字节，上限 {room.bound}：{room.put} 项不等待就放进去了，放的那个进程内存增加 {room.grown_bytes >> 20} MiB。"
        f"内核管道里只有 {data.parts.pipe_bytes >> 10} KiB。除了内存耗尽，没有别的限制。",
        depends_on=Text("the largest value of a semaphore (SEM_VALUE_MAX)", "信号量的最大值（SEM_VALUE_MAX）"),
    )


def _n075(data: Data) -> Ruling:
    large = data.passages[-1]
    times = large.queue_s / large.shared_s
    en = (
        f"A message of {large.size >> 20} MiB {'arrived whole' if large.intact else 'did not arrive whole'} after {large.queue_s * 1e3:.0f} ms, through shared "
        f"memory after {large.shared_s * 1e3:.0f} ms ({times:.1f} times): it is pickled, copied into the pipe in pieces and out again."
    )
    zh = (
        f"{large.size >> 20} MiB 的消息{'完整到达' if large.intact else '没有完整到达'}，用时 {large.queue_s * 1e3:.0f} 毫秒；走共享内存 "
        f"{large.shared_s * 1e3:.0f} 毫秒（相差 {times:.1f} 倍）：它要先 pickle，再一段段拷入管道、拷出来。"
    )
    if not large.intact:
        return confirmed(en, zh)
    if times < DEAR:
        return refuted(en, zh)
    return refined(en + " It may be done; it is a matter of cost.", zh + "可以放，只是代价问题。")


def _n076(data: Data) -> Ruling:
    limits, program = data.limits, data.waits
    stood = program.returncode is None and len(program.out) == 3
    if limits.order_kept and limits.fourth_put_waited and limits.fourth_get_waited and stood:
        return confirmed(
            "A text, a dictionary and a list came out as they were put in; the fourth put waited until there was room, and the fourth get "
            f"waited as well: the notes' program printed {len(program.out)} lines and had to be killed.",
            f"字符串、字典、列表按放入的顺序取出；第四次放等到有了空位，第四次取也在等：笔记中的程序打印 {len(program.out)} 行后只能杀掉。",
        )
    return refuted(
        f"Order kept: {limits.order_kept}; the fourth put waited: {limits.fourth_put_waited}, the fourth get: {limits.fourth_get_waited}.",
        f"保持顺序：{limits.order_kept}；第四次放等待：{limits.fourth_put_waited}；第四次取等待：{limits.fourth_get_waited}。",
    )


def _n077(data: Data) -> Ruling:
    limits = data.limits
    waited = min(limits.put_limit_s, limits.get_limit_s) >= limits.limit_s * 0.9
    at_once = max(limits.put_nowait_s, limits.get_nowait_s) < limits.limit_s
    names = ", ".join(dict.fromkeys(limits.raised))
    en = (
        f"With a limit of {limits.limit_s:g} s put raised after {limits.put_limit_s:.3f} s and get after {limits.get_limit_s:.3f} s; told not to wait, after "
        f"{limits.put_nowait_s * 1e3:.2f} and {limits.get_nowait_s * 1e3:.2f} ms ({names})."
    )
    zh = (
        f"时限 {limits.limit_s:g} 秒时，放在 {limits.put_limit_s:.3f} 秒后、取在 {limits.get_limit_s:.3f} 秒后抛出异常；声明不等待时，分别在 "
        f"{limits.put_nowait_s * 1e3:.2f} 和 {limits.get_nowait_s * 1e3:.2f} 毫秒后抛出（{names}）。"
    )
    if waited and at_once and all(limits.raised):
        return confirmed(en, zh)
    return refuted(en, zh)


def _n078(data: Data) -> Ruling:
    shared, threads, ours = early(data, "multiprocessing.Queue"), early(data, "queue.Queue"), early(data, "Holdfast")
    whole = sum(len(ran.out) == 3 for ran in data.nowait)
    after_a_wait = data.repaired.out[-2:] == ("all are out", "empty")
    en = (
        f"The notes' program printed three lines in {whole} of {len(data.nowait)} runs. Of {shared.rounds} rounds {shared.early} found a queue of `multiprocessing` "
        f"empty too early, {threads.early} of {threads.rounds} one of `queue`, {ours.early} of {ours.rounds} one of Holdfast."
    )
    zh = (
        f"笔记中的程序 {len(data.nowait)} 次里有 {whole} 次打印了三行。`multiprocessing` 的队列 {shared.rounds} 轮中有 {shared.early} 轮过早地报空，"
        f"`queue` 的 {threads.rounds} 轮中 {threads.early} 轮，Holdfast 的 {ours.rounds} 轮中 {ours.early} 轮。"
    )
    if not shared.early and whole == len(data.nowait):
        return confirmed(
            en, zh, depends_on=Text("luck: how soon the queue's thread has its turn", "运气：队列的线程何时轮到")
        )
    why_en = " What was put is on its way through another thread and a pipe; until it arrives get_nowait raises Empty."
    why_zh = "放进去的东西还要经过另一个线程和管道，到达之前 get_nowait 就抛 Empty。"
    if after_a_wait:
        return refined(
            en + why_en + " With a wait for each of the three only the fourth raised.",
            zh + why_zh + "每次都等它到达，就只有第四次抛异常。",
        )
    return refuted(en + why_en, zh + why_zh)


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n072": _n072,
    "n073": _n073,
    "n074": _n074,
    "n075": _n075,
    "n076": _n076,
    "n077": _n077,
    "n078": _n078,
}
