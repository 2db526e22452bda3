"""What the observations say of the claim. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.memory_isolation.data import Data
from holdfast.lab.seen import Ran
from holdfast.lab.verdicts import Ruling, confirmed, refuted

WAITED_S: Final = 500


def printed(ran: Ran) -> str:
    """The number that the parent printed; "": none."""
    return next((line for line in ran.out if line.isdigit()), "")


def changed_s(ran: Ran) -> float | None:
    """When the child was through; None: it never was."""
    return next((line.at_s for line in ran.lines if line.text == "changed"), None)


def _n054(data: Data) -> Ruling:
    program, repaired = printed(data.program), printed(data.repaired)
    methods = ", ".join(view.method for view in data.views)
    kept = all((view.child_after, view.parent_after) == (0, 100) for view in data.views)
    if (program, repaired) != ("100", "100") or not kept or changed_s(data.program) is None:
        told = "; ".join(f"{view.method}: {view.child_after}/{view.parent_after}" for view in data.views)
        return refuted(
            f"The parent printed {program or 'nothing'}, the repaired program {repaired or 'nothing'}; child/parent afterwards: {told}.",
            f"父进程打印 {program or '无'}，修好的程序打印 {repaired or '无'}；之后子/父进程的值：{told}。",
        )
    crossed = [each.what for each in data.crossings if each.parent_after == 0 and each.what != "thread"]
    return confirmed(
        f"The child read 0, the parent {program}; with {methods}, and on Holdfast ({printed(data.holdfast)}), too. No wait is too long or too short for that: the child was "
        f"through {changed_s(data.program):.2g} s after the start, and `join()` instead of {WAITED_S} s of sleep gives {repaired} after {data.repaired.seconds:.2g} s. "
        f"What is shared on purpose does cross: {', '.join(crossed) or 'nothing here'}.",
        f"子进程读到 0，父进程读到 {program}；用 {methods} 开启以及在 Holdfast 上（{printed(data.holdfast)}）都如此。等多久都一样：子进程在启动后 {changed_s(data.program):.2g} 秒就跑完了，"
        f"用 `join()` 代替睡 {WAITED_S} 秒，{data.repaired.seconds:.2g} 秒后就得到 {repaired}。特意共享的东西则能穿过：{'、'.join(crossed) or '这里没有'}。",
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n054": _n054}
