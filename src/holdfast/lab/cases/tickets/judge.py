"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from holdfast.lab.cases.tickets.data import Data, Sale
from holdfast.lab.seen import Line
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted


def lines(sale: Sale) -> list[Line]:
    """All lines of a day in the order of their times."""
    return sorted((line for ran in sale.runs for line in ran.lines if line.stream == "out"), key=lambda line: line.at_s)


def sold(sale: Sale) -> int:
    """How many were told that they have a ticket; two lines may have grown together."""
    return sum(line.text.count("has a ticket") for line in lines(sale))


def looked(sale: Sale) -> list[float]:
    """When somebody saw how many were left."""
    return [line.at_s for line in lines(sale) for _ in range(line.text.count(" sees "))]


def served(sale: Sale) -> list[float]:
    """When somebody was through with buying."""
    ends = ("has a ticket", "comes too late")
    return [line.at_s for line in lines(sale) for _ in range(sum(line.text.count(end) for end in ends))]


def of(data: Data, way: str) -> Sale:
    """That day."""
    return next(sale for sale in data.sales if sale.way == way)


def one_at_a_time(data: Data, sale: Sale) -> bool:
    """Whether at least the two seconds of the notes lie between two that were served."""
    times = served(sale)
    return len(times) == data.buyers and all(
        later - earlier >= 2 * data.pace * 0.8 for earlier, later in pairwise(times)
    )


def _n068(data: Data) -> Ruling:
    with_lock, without = of(data, "lock"), of(data, "no lock")
    looks, ends = looked(with_lock), served(with_lock)
    together = len(looks) == data.buyers and max(looks) < min(ends)
    en = (
        f"With the lock all {len(looks)} had looked before the first had bought ({max(looks, default=0):.2f} s against {min(ends, default=0):.2f} s); buying then took until "
        f"{max(ends, default=0):.2f} s, one after the other, without the lock until {max(served(without), default=0):.2f} s."
    )
    zh = (
        f"加锁时 {len(looks)} 个人都查完了票，第一个人才买到（{max(looks, default=0):.2f} 秒对 {min(ends, default=0):.2f} 秒）；之后逐个购票直到 {max(ends, default=0):.2f} 秒，"
        f"不加锁则到 {max(served(without), default=0):.2f} 秒。"
    )
    serial = one_at_a_time(data, with_lock)
    if together and serial:
        return confirmed(en, zh)
    return refined(en, zh) if serial else refuted(en, zh)


def _n069(data: Data) -> Ruling:
    with_lock, without = of(data, "lock"), of(data, "no lock")
    two = of(data, "Holdfast's lock, two programs")
    exact = sold(with_lock) == with_lock.stock and with_lock.left == 0
    en = (
        f"Of {with_lock.stock} tickets {sold(with_lock)} were sold with the lock and {sold(without)} without it (the file then said that {without.left} were left). "
        f"Bought from two programs that share a lock of Holdfast: {sold(two)}."
    )
    zh = (
        f"{with_lock.stock} 张票，加锁卖出 {sold(with_lock)} 张，不加锁卖出 {sold(without)} 张（文件里还写着剩 {without.left} 张）。"
        f"两个程序共用一把 Holdfast 的锁来买：{sold(two)} 张。"
    )
    if not exact:
        return refuted(en, zh)
    return (
        confirmed(en, zh)
        if sold(without) > without.stock
        else refined(en + " Without it nothing went wrong this time.", zh + "这一次不加锁也没出错。")
    )


def _n070(data: Data) -> Ruling:
    mutex = data.mutex
    if not mutex.second_waits:
        return refuted("Its holder took it a second time.", "持有者又获取了一次。")
    if not (mutex.other_may_release or mutex.rlock_again):
        return confirmed(
            "Its holder waited when it asked again, and nobody else could give it back.",
            "持有者再次获取时会等待，别人也无法释放。",
        )
    return refined(
        f"Its holder waits when it asks again. But it need not release it itself: another process {'could' if mutex.other_may_release else 'could not'}, and then "
        f"it goes on. An RLock {'may' if mutex.rlock_again else 'may not'} be taken again by its holder.",
        f"持有者再次获取时会等待。但不必自己释放：别的进程{'可以' if mutex.other_may_release else '不能'}释放，随后它就继续。递归锁的持有者{'可以' if mutex.rlock_again else '不能'}再次获取。",
    )


def _n071(data: Data) -> Ruling:
    mutex = data.mutex
    if not mutex.free_after_error_with:
        return refuted("After an error in a `with` the lock was not free.", "`with` 里出错之后锁没有释放。")
    if mutex.free_after_error_plain:
        return confirmed("Both ways it was free after an error.", "两种写法出错之后都释放了。")
    return refined(
        "And more than short: after an error inside `with` the lock was free, after one between acquire and release it was held for ever.",
        "不只是简写：`with` 里出错后锁已释放；acquire 与 release 之间出错，锁就一直被占着。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n068": _n068, "n069": _n069, "n070": _n070, "n071": _n071}
