"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.deadlock.data import Data
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted


def _n092(data: Data) -> Ruling:
    lines = len(data.program.out)
    if data.program.returncode is None:
        return confirmed(
            f"After {lines} lines it printed nothing more and never ended; it had to be killed after {data.program.seconds:.1f} s. "
            f"With one order for all it ended by itself in {data.ordered.seconds:.1f} s.",
            f"打印 {lines} 行之后就再无输出，也不结束，{data.program.seconds:.1f} 秒后只能杀掉。统一加锁顺序后，{data.ordered.seconds:.1f} 秒自行结束。",
        )
    return refuted(
        f"This time it ended by itself, after {lines} lines: nobody came between the two locks of another.",
        f"这一次它自行结束了，共 {lines} 行：没有线程插到别人的两把锁之间。",
    )


def _n093(data: Data) -> Ruling:
    if data.both_at_once:
        return refuted(
            f"Threads of that very program held A and B at the same time before it stopped (seen: {data.both_at_once}). "
            "Not two locks are the trouble but two orders.",
            f"就在这个程序里，停住之前已有 {data.both_at_once} 次同时持有 A 和 B。问题不在两把锁，而在两种顺序。",
        )
    return confirmed("No thread ever held both.", "没有哪个线程同时持有过两把锁。")


def _n094(data: Data) -> Ruling:
    again = data.rlock_depth > 1
    owned = data.rlock_stranger_refused and not data.rlock_other_after_one_release and data.rlock_other_after_all
    if again and owned:
        return confirmed(
            f"One thread took it {data.rlock_depth} times in a row. Others got it only when it was given back as often, "
            "and none but the owner may give it back.",
            f"一个线程连续获取了 {data.rlock_depth} 次。归还同样多次之后别人才拿得到，而且只有主人能归还。",
        )
    if again:
        return refined(
            f"It was taken {data.rlock_depth} times in a row, but it does not keep others out as a lock should.",
            f"连续获取了 {data.rlock_depth} 次，但没有像锁一样挡住别的线程。",
        )
    return refuted("The second acquire did not succeed.", "第二次获取没有成功。")


def _n095(data: Data) -> Ruling:
    cured = data.one_rlock.returncode == 0
    if not cured:
        return refuted("With it the program stopped as well.", "用了它，程序照样停住。")
    if data.rlock_hand_over:
        return confirmed(
            "The program ended, and A and B could be held by two threads.",
            "程序结束了，A 和 B 还能分别由两个线程持有。",
        )
    return refined(
        f"The program ended ({data.one_rlock.seconds:.1f} s). But nothing was turned into two: A and B are two names of one lock, "
        "so whoever holds A keeps everybody from B. It is cured since only one lock is left, not since that lock is recursive for "
        f"other threads; two locks in one order do it as well ({data.ordered.seconds:.1f} s).",
        f"程序结束了（{data.one_rlock.seconds:.1f} 秒）。但并没有变成两把：A 和 B 是同一把锁的两个名字，拿着 A 就挡住了所有人的 B。"
        f"之所以不再死锁，是因为只剩一把锁；两把锁统一顺序同样有效（{data.ordered.seconds:.1f} 秒）。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n092": _n092,
    "n093": _n093,
    "n094": _n094,
    "n095": _n095,
}
