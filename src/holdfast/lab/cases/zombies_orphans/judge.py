"""What the observations say of the claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.zombies_orphans.data import Data
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

INIT: Final = 1
MUCH: Final = 0.5
"""Of the machine's memory: less than that does not fill it."""
HERE: Final = Text("the limits and the memory of this machine", "本机的各项上限和内存")


def zombie_kib(data: Data) -> float:
    """What the kernel keeps of one zombie: its records, or else how much its memory grew."""
    return max(0.0, spread(data.kernel_kib, "KiB").median) if data.records_kib is None else data.records_kib


def all_zombies_mib(data: Data) -> float:
    """Memory of as many zombies as there can be."""
    return zombie_kib(data) * data.slots / 1024


def _n061(data: Data) -> Ruling:
    orphan = data.orphan
    if orphan.parent_after is None or orphan.parent_after == orphan.parent:
        return refuted("Nobody took the orphan.", "没有谁收养这个孤儿。")
    harmless = not orphan.lock_held and orphan.state_unburied is None
    if orphan.parent_after == INIT and harmless:
        return confirmed("Process 1 took it, and took its remains away.", "1 号进程收养了它，也为它收了尸。")
    namespace = (
        ("", "")
        if orphan.parent_in_namespace is None
        else (
            f" (in a pid namespace of its own it was process {orphan.parent_in_namespace})",
            f"（在独立的 PID 命名空间里则是 {orphan.parent_in_namespace} 号进程）",
        )
    )
    held = (
        ("still held the lock on a file that it had inherited", "还占着继承来的文件锁")
        if orphan.lock_held
        else ("held nothing", "没有占着什么")
    )
    return refined(
        f"Its parent {orphan.parent} was killed, and the orphan went to {orphan.parent_after}: the nearest ancestor that has offered to adopt, not always init{namespace[0]}. "
        f"Harmless only as far as it is: it ran on, {held[0]}, and after its own end it was in state {orphan.state_unburied or 'none'} until its new parent waited.",
        f"父进程 {orphan.parent} 被杀后，孤儿归了 {orphan.parent_after}：最近的、声明愿意收养的祖先，不一定是 init{namespace[1]}。"
        f"无害也有限度：它继续运行，{held[1]}；自己结束之后，状态一直是 {orphan.state_unburied or '无'}，直到养父母 wait 为止。",
    )


def _n062(data: Data) -> Ruling:
    zombie = data.zombie
    letters = [state.letter for state in zombie.states]
    if "Z" not in letters or zombie.state_after_wait is not None:
        return refuted(
            f"Its states were {', '.join(letters) or 'none'}, after the wait {zombie.state_after_wait or 'gone'}.",
            f"它的状态依次为 {'、'.join(letters) or '无'}，wait 之后为 {zombie.state_after_wait or '消失'}。",
        )
    return confirmed(
        f"The child had ended and its parent had not asked: state Z, {zombie.memory_kib} KiB of memory ({zombie.memory_kib_alive} KiB before), and SIGKILL changed nothing ({zombie.state_after_kill}). "
        f"The wait call handed over exit code {zombie.exit_code}, and it was gone. A parent that ignores SIGCHLD gets none ({zombie.left_if_ignored or 'gone at once'}), and when the parent "
        f"dies its heir takes the zombie away ({zombie.left_after_parent or 'gone'}).",
        f"子进程已结束而父进程没有过问：状态 Z，内存 {zombie.memory_kib} KiB（之前 {zombie.memory_kib_alive} KiB），SIGKILL 也无济于事（{zombie.state_after_kill}）。"
        f"wait 取走退出码 {zombie.exit_code} 之后它就消失了。父进程若忽略 SIGCHLD 就不会有僵尸（{zombie.left_if_ignored or '立即消失'}）；"
        f"父进程死了，接手的进程会把僵尸收走（{zombie.left_after_parent or '已消失'}）。",
    )


def _n063(data: Data) -> Ruling:
    told = (
        f"A loop of bare forks had {data.piled[-1]} zombies after {data.forks[-1]} forks, one for each",
        f"只 fork 不 wait 的循环，{data.forks[-1]} 次之后有 {data.piled[-1]} 个僵尸，一次一个",
    )
    if data.piled != data.forks:
        return refuted(
            f"After {data.forks[-1]} forks without a wait there were {data.piled[-1]} zombies.",
            f"{data.forks[-1]} 次 fork 而不 wait，有 {data.piled[-1]} 个僵尸。",
        )
    if data.piled_by_multiprocessing >= data.starts and data.piled_after_parent:
        return confirmed(
            f"{told[0]}; `Process.start()` piles them up as well.", f"{told[1]}；`Process.start()` 也同样堆积。"
        )
    return refined(
        f"{told[0]}: what they use up are process ids. Two things stop it: when the loop's process ended {data.piled_after_parent} were left, and `Process.start()` "
        f"takes earlier dead children away itself: {data.piled_by_multiprocessing} after {data.starts} starts without `join()`.",
        f"{told[1]}：耗掉的是进程号。有两样东西会止住它：循环所在的进程一结束，只剩 {data.piled_after_parent} 个；"
        f"而 `Process.start()` 自己会收走先前死去的子进程：不 `join()` 连开 {data.starts} 次，只有 {data.piled_by_multiprocessing} 个。",
    )


def _n064(data: Data) -> Ruling:
    each, every = zombie_kib(data), all_zombies_mib(data)
    names = ", ".join(name for name, most in data.limits if most == data.slots)
    if every > MUCH * data.memory_mib:
        return confirmed(
            f"{data.slots} zombies ({names}) of {each:.1f} KiB would take {every:.0f} of {data.memory_mib:.0f} MiB.",
            f"{data.slots} 个僵尸（{names}），每个 {each:.1f} KiB，会占 {data.memory_mib:.0f} MiB 中的 {every:.0f} MiB。",
            depends_on=HERE,
        )
    bound = data.limit
    said = (
        f"A zombie has no memory of its own ({data.zombie.memory_kib} KiB); the kernel keeps about {each:.1f} KiB for each. All {data.slots} that can be here ({names}) would take "
        f"{every:.0f} of {data.memory_mib:.0f} MiB.",
        f"僵尸自己没有内存（{data.zombie.memory_kib} KiB），内核为每个保留约 {each:.1f} KiB。这里最多 {data.slots} 个（{names}），总共也只占 {data.memory_mib:.0f} MiB 中的 {every:.0f} MiB。",
    )
    if not bound.error:
        return refined(f"{said[0]} No limit was met.", f"{said[1]} 没有碰到任何上限。", depends_on=HERE)
    return refuted(
        f'{said[0]} Ids run out first: a user with {bound.allowed} left got {bound.zombies} zombies and then "{bound.error}", while {bound.available_mib:.0f} MiB were free. '
        "True is the end of the sentence: nothing more can be started then.",
        f"{said[1]} 先用完的是进程号：还能开 {bound.allowed} 个进程的用户，有了 {bound.zombies} 个僵尸后就得到“{bound.error}”，此时还空着 {bound.available_mib:.0f} MiB。"
        "说对的是后半句：到那时确实什么也开不了。",
        depends_on=HERE,
    )


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n061": _n061, "n062": _n062, "n063": _n063, "n064": _n064}
