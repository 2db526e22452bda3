"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.producer_consumer.data import Data, Death
from holdfast.lab.seen import Ran
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

BUNS: Final = 10


def baked_and_eaten(ran: Ran) -> tuple[int, int]:
    """How many lines tell of baking, and of eating."""
    told = "\n".join(ran.out)  # two lines may have grown together
    return told.count(" baked bun"), told.count(" ate bun")


def _n079(data: Data) -> Ruling:
    alone, endless, bounded, as_fast = data.shops
    times = alone.seconds / as_fast.seconds
    en = (
        f"{data.buns} buns took {alone.seconds:.2f} s one after the other and {as_fast.seconds:.2f} s with a counter between two that are equally fast "
        f"({times:.1f} times). "
    )
    zh = f"{data.buns} 个包子，一个接一个要 {alone.seconds:.2f} 秒；两边一样快、中间有柜台时 {as_fast.seconds:.2f} 秒（{times:.1f} 倍）。"
    if times < 1.1:
        return refuted(en, zh)
    if endless.most_waiting <= bounded.most_waiting:
        return confirmed(
            en + "Even without a bound little lay on the counter.", zh + "即使不设上限，柜台上也没堆多少。"
        )
    return refined(
        en
        + f"But it is the bound that balances: with a guest three times slower {endless.most_waiting} buns lay on a counter without end, "
        f"{bounded.most_waiting} on one for three, at which the baker stood still for {bounded.wait_s:.2f} s. The slower of the two sets the pace in the end.",
        zh
        + f"但真正起平衡作用的是上限：吃一个的时间是做一个的三倍时，无上限的柜台堆了 {endless.most_waiting} 个，容量为三的只有 {bounded.most_waiting} 个，"
        f"为此做的一方停了 {bounded.wait_s:.2f} 秒。最终由慢的一方定速度。",
    )


def death(data: Data, queue: str) -> Death:
    """What became of the buns there."""
    return next(each for each in data.deaths if each.queue.startswith(queue))


def _n080(data: Data) -> Ruling:
    baked, eaten = baked_and_eaten(data.program)
    if (baked, eaten, data.program.returncode) != (BUNS, BUNS, 0):
        return refuted(
            f"{baked} were baked, {eaten} eaten, and the program ended with {data.program.returncode}.",
            f"做了 {baked} 个，吃了 {eaten} 个，程序以 {data.program.returncode} 结束。",
        )
    plain, ours = death(data, "multiprocessing"), death(data, "Holdfast")
    en, zh = (
        f"{baked} were baked and {eaten} eaten, and the program ended. ",
        f"做了 {baked} 个，吃了 {eaten} 个，程序结束了。",
    )
    if not data.guests_left and plain.eaten == plain.buns:
        return confirmed(en, zh)
    return refined(
        en
        + f"But one None ends one guest: {data.guests_left} of {data.guests} went on waiting. And a guest that is killed takes its bun along: "
        f"{plain.eaten} of {plain.buns} were eaten then, {ours.eaten} of {ours.buns} from a durable queue of Holdfast, which gives the bun to another one.",
        zh
        + f"但一个 None 只结束一个消费者：{data.guests} 个里还有 {data.guests_left} 个在等。消费者被杀，手里的包子也没了：此时 {plain.buns} 个只吃到 {plain.eaten} 个；"
        f"Holdfast 的持久队列会把它交给别人，{ours.buns} 个吃到 {ours.eaten} 个。",
    )


def _n081(data: Data) -> Ruling:
    seen, mended = data.colour, data.colour_repaired
    if not seen.coloured:
        return refuted("No line began with a colour.", "没有一行以颜色开头。")
    en = f"{seen.coloured} of {seen.lines} lines begin with a colour, and after {seen.put_off} of them the terminal writes plainly again."
    zh = f"{seen.lines} 行里有 {seen.coloured} 行以颜色开头，其中 {seen.put_off} 行之后终端恢复了正常。"
    if seen.put_off == seen.lines:
        return confirmed(en, zh)
    return refined(
        en
        + f" The sequence at the end lacks its first sign, ESC: {seen.stray} lines show `[0m` as text, and all that follows stays coloured. "
        f"With it {mended.put_off} of {mended.lines} are right.",
        zh
        + f"行末的序列缺了开头的 ESC：{seen.stray} 行把 `[0m` 当文字打了出来，后面的内容一直带着颜色。补上之后，{mended.lines} 行里有 {mended.put_off} 行正确。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n079": _n079, "n080": _n080, "n081": _n081}
