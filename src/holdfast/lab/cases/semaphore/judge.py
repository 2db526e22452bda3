"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.semaphore.data import Data, Stay
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted


def most_inside(stays: tuple[Stay, ...]) -> int:
    """How many were inside at the same time, at the most."""
    moves = sorted([(stay.entered_s, 1) for stay in stays] + [(stay.left_s, -1) for stay in stays])
    inside = most = 0
    for _, change in moves:
        inside += change
        most = max(most, inside)
    return most


def entered_at_once(data: Data) -> int:
    """How many had entered before the first one left."""
    first = min(stay.left_s for stay in data.semaphore)
    return sum(stay.entered_s < first for stay in data.semaphore)


def entered_on_leaving(data: Data) -> int:
    """Of those that came later, how many entered after as many had left as had to."""
    entries = sorted(stay.entered_s for stay in data.semaphore)
    exits = sorted(stay.left_s for stay in data.semaphore)
    return sum(entry >= exits[number] for number, entry in enumerate(entries[data.places :]))


def _n096(data: Data) -> Ruling:
    places, one = most_inside(data.semaphore), most_inside(data.mutex)
    count = len(data.semaphore)
    if (places, one) == (data.places, 1):
        return confirmed(
            f"Of {count} visitors at most {places} were inside a semaphore of {data.places} at the same time, "
            f"and at most {one} inside a mutex.",
            f"{count} 个访客中，同时在 {data.places} 位信号量之内的最多 {places} 个，同时在互斥锁之内的最多 {one} 个。",
        )
    return refuted(
        f"A semaphore of {data.places} had {places} inside, a mutex {one}.",
        f"{data.places} 位的信号量里同时有 {places} 个，互斥锁里有 {one} 个。",
    )


def _n097(data: Data) -> Ruling:
    five = 5 * data.cpus
    if (data.default_threads, data.default_processes) == (five, five):
        return confirmed(
            f"Without a number {data.default_threads} entered, five for each of the {data.cpus} CPUs.",
            f"不写数目时进去了 {data.default_threads} 个，正是 {data.cpus} 个 CPU 的五倍。",
        )
    return refuted(
        f"Without a number `threading.Semaphore` let in {data.default_threads} and `multiprocessing.Semaphore` "
        f"{data.default_processes}; five for each CPU would be {five}. (CPUs times 5 once was the default of `ThreadPoolExecutor`.)",
        f"不写数目时，`threading.Semaphore` 放进 {data.default_threads} 个，`multiprocessing.Semaphore` 放进 "
        f"{data.default_processes} 个；CPU 数的五倍应是 {five} 个。（CPU 数乘 5 曾是 `ThreadPoolExecutor` 的默认值。）",
    )


def _n098(data: Data) -> Ruling:
    one_process = data.forked_threading > 1
    across = data.forked_multiprocessing == 1 and data.holdfast_processes == 1
    lock_like = data.lock_released_free or not data.released_by_other
    if one_process and not across and lock_like:
        return confirmed("It ends at the process, and it behaves as a lock does.", "它止于进程之内，行为与锁一致。")
    if not one_process and not across:
        return refuted("Not even threads of one process are counted by it.", "它连一个进程之内的线程也没有数清。")
    return refined(
        f"True of `threading.Semaphore`: of four processes that inherited one of 1 place, {data.forked_threading} were inside. "
        f"One of `multiprocessing` let in {data.forked_multiprocessing}, one of Holdfast, shared by separate clients, "
        f"{data.holdfast_processes}. And it is more than a lock: nobody owns it, so whoever did not enter may let others in "
        f"({'it worked' if data.released_by_other else 'it was refused'}), where a free lock refuses to be released.",
        f"对 `threading.Semaphore` 成立：四个进程继承同一个 1 位信号量，进去了 {data.forked_threading} 个。"
        f"`multiprocessing` 的只放进 {data.forked_multiprocessing} 个，Holdfast 的（各为独立客户端）只放进 {data.holdfast_processes} 个。"
        f"它也不只是锁：它没有主人，没进去的线程也能放别人进去（{'成功' if data.released_by_other else '被拒绝'}），而没人持有的锁不许释放。",
    )


def _n099(data: Data) -> Ruling:
    first, later = entered_at_once(data), len(data.semaphore) - data.places
    followed = entered_on_leaving(data)
    if (first, followed) == (data.places, later):
        return confirmed(
            f"{first} entered before anybody left; each of the {later} others entered when one had left.",
            f"在有人离开之前进去了 {first} 个；其余 {later} 个都是有人离开后才进去的。",
        )
    return refuted(
        f"{first} entered before anybody left; {followed} of the {later} others came in when one had left.",
        f"在有人离开之前进去了 {first} 个；其余 {later} 个中有 {followed} 个是有人离开后才进去的。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n096": _n096,
    "n097": _n097,
    "n098": _n098,
    "n099": _n099,
}
