"""Makes zombies and orphans, and looks who takes them away and what they cost."""

from __future__ import annotations

from pathlib import Path

from holdfast.client.sync import Host
from holdfast.lab import proc
from holdfast.lab.cases.zombies_orphans import deaths, piles
from holdfast.lab.cases.zombies_orphans.data import Data
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

LEFT_BEHIND = 'for _ in 1 2 3; do sleep 60 & echo "$!"; done'


def observe(lab: Lab) -> Data:
    """One zombie, one orphan, a pile of zombies, a limit, and a job that leaves children behind."""
    most = lab.pick(quick=300, full=900)
    steps = (most // 4, most // 2, most)
    rounds = [piles.pile(steps) for _ in range(lab.pick(quick=5, full=7))]
    limits = piles.limits()
    if piles.records_kib() is None:
        lab.lacks(
            "/proc/slabinfo",
            Text("the cost of a zombie is measured over the whole machine", "僵尸的开销只能按整机来量"),
        )
    orphan = deaths.orphan(lab.folder)
    if orphan.parent_in_namespace is None:
        lab.lacks("CAP_SYS_ADMIN", Text("no pid namespace with an init of its own", "没有自带 init 的 PID 命名空间"))
    with lab.agent() as host:
        left, tree = _job(host, lab.folder)
    return Data(
        zombie=deaths.zombie(),
        orphan=orphan,
        forks=steps,
        piled=rounds[-1][0],
        piled_after_parent=rounds[-1][1],
        starts=most // 10,
        piled_by_multiprocessing=piles.by_multiprocessing(most // 10),
        kernel_kib=tuple(each[2] for each in rounds),
        records_kib=piles.records_kib(),
        memory_mib=piles.memory_mib(),
        slots=min(most for _, most in limits),
        limits=limits,
        limit=piles.refused(),
        holdfast_left=left,
        holdfast_tree=tree,
    )


def _job(host: Host, folder: Path) -> tuple[int, str]:
    """How many of the children that a command has left are there after its job, and what the receipt says."""
    completed = host.run(["sh", "-c", LEFT_BEHIND], text=True, cwd=str(folder))
    pids = [int(line) for line in str(completed.stdout).split()]
    return sum(proc.state(pid) is not None for pid in pids), completed.receipt.tree
