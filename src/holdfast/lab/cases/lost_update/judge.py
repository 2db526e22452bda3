"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.lost_update.data import Data, Round
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted


def seconds(rounds: tuple[Round, ...]) -> float:
    """Their median."""
    return spread([each.seconds for each in rounds], "s").median


def left(rounds: tuple[Round, ...]) -> tuple[int, ...]:
    """What was left, each different number once."""
    return tuple(sorted({each.left for each in rounds}))


def _n090(data: Data) -> Ruling:
    found, took = left(data.unlocked), seconds(data.unlocked)
    said = ", ".join(map(str, found))
    if found == (0,):
        return refuted(
            f"Nothing was lost in {len(data.unlocked)} rounds: 0 were left.",
            f"{len(data.unlocked)} 轮都没有丢失：剩 0。",
        )
    evidence = (
        f"{said} were left in {len(data.unlocked)} rounds, after {took:.3f} s: all {data.threads} threads had read before the "
        "first one wrote back. That it is one number for all is shown by its being lost.",
        f"{len(data.unlocked)} 轮分别剩下 {said}，用时 {took:.3f} 秒：{data.threads} 个线程都在第一个写回之前读完了。更新会丢失，正说明大家改的是同一个数。",
    )
    machine = Text("how fast the machine starts threads", "机器启动线程的快慢")
    if found == (data.threads - 1,) and took < 0.3:
        return confirmed(*evidence, depends_on=machine)
    return refined(*evidence, depends_on=machine)


def _n091(data: Data) -> Ruling:
    found, took, free = left(data.locked), seconds(data.locked), seconds(data.unlocked_short)
    late, late_left = seconds(data.locked_late), left(data.locked_late)
    if found != (0,):
        return refuted(f"With the lock {found[-1]} were left.", f"加了锁，还剩 {found[-1]}。")
    if late_left == (0,) and late < took / 3:
        return refined(
            f"0 were left, and it took {took:.2f} s in place of {free:.3f} s. But the price is not the lock's: it was held during the "
            f"pause of {data.pause_s * 1e3:g} ms. Held for the change alone it is just as safe, in {late:.3f} s.",
            f"剩 0，用时从 {free:.3f} 秒变成 {took:.2f} 秒。但代价不在锁本身：锁在 {data.pause_s * 1e3:g} 毫秒的停顿里也一直拿着。"
            f"只在修改的那一刻加锁，同样安全，只需 {late:.3f} 秒。",
        )
    return confirmed(
        f"0 were left, and it took {took:.2f} s in place of {free:.3f} s.",
        f"剩 0，用时从 {free:.3f} 秒变成 {took:.2f} 秒。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n090": _n090, "n091": _n091}
