"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.timer.data import Data, Given
from holdfast.lab.seen import Ran
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted


def main_first(ran: Ran) -> bool:
    """Whether main spoke before the call that came later, and both did."""
    return ran.returncode == 0 and ran.out[:2] == ("main", "10 is running")


def late_s(data: Data) -> tuple[float, ...]:
    """How much later than asked each call was made; negative: too early."""
    return tuple(call.waited_s - call.asked_s for call in data.calls)


def arrived(given: Given) -> bool:
    """Whether the call was made."""
    return given.received is not None


def _n107(data: Data) -> Ruling:
    first, runs = sum(map(main_first, data.programs)), len(data.programs)
    own = len({call.threads_id for call in data.calls} - {data.main_id})
    early, most = sum(late < 0 for late in late_s(data)), max(late_s(data)) * 1e3
    en = (
        f"In {first} of {runs} runs `main` came first. Of {len(data.calls)} timers {early} called too early, none more than {most:.1f} ms late, "
        f"in {own} threads that are not main's."
    )
    zh = (
        f"{runs} 次里有 {first} 次 `main` 在前。{len(data.calls)} 个定时器里提前的有 {early} 个，最多晚 {most:.1f} 毫秒，"
        f"分别在主线程以外的 {own} 个线程里执行。"
    )
    if early or own < len(data.calls) or any(call.in_main for call in data.calls) or first == 0:
        return refuted(en, zh)
    if first < runs:
        return refined(
            en + " Nothing but the time makes main the first.",
            zh + "让主线程在前的只有那段时间。",
            depends_on=Text("the scheduler", "调度"),
        )
    return confirmed(
        en + f" With no time to wait the call came before main's next step in {data.at_once_before_main} of {data.at_once} tries.",
        zh + f"等待时间为零时，{data.at_once} 次里有 {data.at_once_before_main} 次调用抢在主线程的下一步之前。",
    )  # fmt: skip


def _n108(data: Data) -> Ruling:
    others = [each for each in data.given if each.what != "tuple"]
    work = [each for each in others if arrived(each)]
    failed = [each for each in others if not arrived(each)]
    en_failed = "".join(f" `args={each.written}` raised `{each.error}`, in the timer's thread." for each in failed)
    zh_failed = "".join(f"`args={each.written}` 在定时器的线程里引发 `{each.error}`。" for each in failed)
    if not work:
        return confirmed("Nothing but a tuple made the call." + en_failed, "只有元组完成了调用。" + zh_failed)
    made = ", ".join(f"`args={each.written}` made the call {_received(each)}" for each in work)
    zh_made = "，".join(f"`args={each.written}` 的调用是 {_received(each)}" for each in work)
    return refuted(
        f"Anything that can be iterated will do, and is unpacked: {made}.{en_failed} What makes a tuple is the comma, not the brackets.",
        f"凡是可迭代的都行，会被拆开：{zh_made}。{zh_failed}元组靠的是逗号，不是括号。",
    )


def _received(given: Given) -> str:
    return f"`task({', '.join(given.received or ())})`"


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n107": _n107,
    "n108": _n108,
}
