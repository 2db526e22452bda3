"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.queue_orders.data import Carrier, Data, Order, Tie, Trial
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted


def as_ordered(trial: Trial) -> bool:
    """Whether the numbers came out as the order says."""
    wanted = {"fifo": trial.put, "lifo": trial.put[::-1], "priority": tuple(sorted(trial.put))}
    return trial.got == wanted[trial.order]


def score(data: Data, carrier: Carrier, order: Order) -> tuple[int, int]:
    """How many trials came out in order, and of how many."""
    trials = [trial for trial in data.trials if (trial.carrier, trial.order) == (carrier, order)]
    return sum(map(as_ordered, trials)), len(trials)


def tie(data: Data, carrier: Carrier, payload: str) -> Tie:
    """What became of two equally urgent items."""
    return next(each for each in data.ties if (each.carrier, each.payload) == (carrier, payload))


def _n109(data: Data) -> Ruling:
    first, last = data.fifo.out == ("1", "2", "3"), data.lifo.out == ("3", "2", "1")
    (fifo, rounds), (lifo, _) = score(data, "python", "fifo"), score(data, "python", "lifo")
    said = " ".join(data.fifo.out), " ".join(data.lifo.out)
    en = (
        f"The programs print `{said[0]}` and `{said[1]}`. Of {rounds} random rows of numbers {fifo} left a `Queue` in the order in which they "
        f"came, and {lifo} left a `LifoQueue` in the opposite one."
    )
    zh = (
        f"两个程序打印 `{said[0]}` 和 `{said[1]}`。{rounds} 组随机数里，{fifo} 组按放入的顺序离开 `Queue`，"
        f"{lifo} 组按相反的顺序离开 `LifoQueue`。"
    )
    return confirmed(en, zh) if first and last and fifo == lifo == rounds else refuted(en, zh)


def _n110(data: Data) -> Ruling:
    said = ", ".join(data.priority.out)
    right, rounds = score(data, "python", "priority")
    en = f"The program prints `{said}`; {right} of {rounds} random rows of numbers came out sorted."
    zh = f"程序打印 `{said}`；{rounds} 组随机数里有 {right} 组按从小到大出来。"
    numbers = [line.partition(",")[0].strip("(") for line in data.priority.out]
    if right < rounds or numbers != ["-10", "3", "11"]:
        return refuted(en, zh)
    dicts, texts = tie(data, "python", "dict"), tie(data, "python", "text")
    if not dicts.error and texts.arrival_order:
        return confirmed(
            en + " Equal numbers came out in the order of arrival.",
            zh + "数字相同的按到达先后出来。",
        )
    en += " But the whole item is compared, not its number alone. With equal numbers "
    zh += "但比较的是整个元素，而不只是数字。数字相同时，"
    if dicts.error:
        en += f"two dicts raised `{dicts.error}`"
        zh += f"两个字典引发 `{dicts.error}`"
    else:
        en += "two dicts raised nothing"
        zh += "两个字典没有报错"
    arrived = texts.arrival_order
    en += f", and of two texts {'the one that came first' if arrived else 'the smaller one, not the first to come,'} was next."
    zh += f"，两个字符串里{'先到的先出' if arrived else '较小的先出，而不是先到的'}。"
    if tie(data, "python", "counted dict").arrival_order:
        en += " A count between number and data mends both."
        zh += "在数字和数据之间加一个计数就都好了。"
    return refined(en, zh)


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {
    "n109": _n109,
    "n110": _n110,
}
