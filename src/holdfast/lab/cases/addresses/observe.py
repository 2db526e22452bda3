"""Serves, moves, shares and asks, on this machine and in networks made for it."""

from __future__ import annotations

from holdfast.lab.cases.addresses import naming, serving, talking
from holdfast.lab.cases.addresses.data import Data
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab


def observe(lab: Lab) -> Data:
    """What each address finds."""
    twins = naming.twins(lab.random.randint(20_000, 30_000))  # in networks that nobody else is in
    if not twins:
        lab.lacks(
            "private networks with a TAP device",
            Text("no second network has the same addresses; the loopback, which every machine has, stands in",
                 "没有另一个地址相同的网络，改看每台机器都有的环回"),
        )  # fmt: skip
    gap_s = lab.pick(quick=0.3, full=1.0)
    replaced = (serving.replaced("server", gap_s), serving.replaced("keeper", gap_s))
    talks, mismatch = talking.talks(lab)
    return Data(
        talks=talks,
        mismatch=mismatch,
        replaced=replaced,
        moved=serving.moved(),
        interfaces=naming.interfaces(),
        twins=twins,
        answerers=serving.answerers(),
        pages=naming.pages(),
        services=naming.services(),
        stranger_on_67=naming.stranger_on_67(),
        dns=naming.dns(),
    )
