"""What there is to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.lab.blocks import Block, Lane, Mark, Remark, Span, Spread, Table, Timeline, spread
from holdfast.lab.cases.lost_update.data import Data, Round
from holdfast.lab.cases.lost_update.judge import left, seconds
from holdfast.lab.text import Text, same

DRAWN = 20


def answer(data: Data) -> Text:
    """In short."""
    return Text(
        f"Without a lock {left(data.unlocked)[-1]} of {data.threads} are left: all read the same number. With a lock around reading, "
        f"waiting and writing none are left, {seconds(data.locked) / seconds(data.unlocked_short):.0f} times slower; "
        f"with a lock around the change alone none are left either, in {seconds(data.locked_late) * 1e3:.0f} ms.",
        f"不加锁，{data.threads} 里还剩 {left(data.unlocked)[-1]}：大家读到的是同一个数。把读、等、写都锁住，剩 0，"
        f"但慢 {seconds(data.locked) / seconds(data.unlocked_short):.0f} 倍；只锁住修改的那一刻，同样剩 0，只需 {seconds(data.locked_late) * 1e3:.0f} 毫秒。",
    )


def figures(data: Data) -> Mapping[str, Spread]:
    """Times of all ways."""
    ways = {
        "no lock, as in the notes": data.unlocked,
        "no lock": data.unlocked_short,
        "lock around all": data.locked,
        "lock around the change": data.locked_late,
        "Holdfast's lock around the change": data.holdfast,
    }
    return {name: spread([each.seconds for each in rounds], "s") for name, rounds in ways.items()}


def blocks(data: Data) -> Sequence[Block]:
    """One round without a lock, and all ways beside each other."""
    return (
        Timeline(
            Text(
                f"The first {DRAWN} of {data.threads} threads, no lock: from reading to writing",
                f"{data.threads} 个线程中的前 {DRAWN} 个，不加锁：从读到写",
            ),
            tuple(
                Lane(str(place), (Span(step.read_s, step.wrote_s),), (Mark(step.wrote_s, f"writes {step.value}"),))
                for place, step in enumerate(sorted(data.steps, key=lambda step: step.read_s)[:DRAWN], 1)
            ),
        ),
        Table(
            Text("What is left, and after how long", "剩下多少，用时多久"),
            (Text("lock", "锁"), Text("left", "剩余"), Text("seconds", "秒")),
            (
                _row(Text("none, pause 0.1 s", "不加锁，停顿 0.1 秒"), data.unlocked),
                _row(Text(f"none, pause {data.pause_s:g} s", f"不加锁，停顿 {data.pause_s:g} 秒"), data.unlocked_short),
                _row(Text("around reading, pause and writing", "锁住读、停顿和写"), data.locked),
                _row(Text("around the change alone", "只锁修改"), data.locked_late),
                _row(Text("around the change alone, of Holdfast", "只锁修改，用 Holdfast 的锁"), data.holdfast),
            ),
        ),
        Remark(
            Text(
                f"Four threads that did `n += 1` {data.increments} times each, without a pause, lost {data.increments_missing}. "
                "That is a matter of luck and of the interpreter: reading, adding and writing are three steps, and a turn may end between them.",
                f"四个线程各做 {data.increments} 次 `n += 1`，中间不停顿，丢失 {data.increments_missing} 次。"
                "这取决于运气和解释器：读、加、写是三步，轮换可能发生在中间。",
            )
        ),
    )


def _row(name: Text, rounds: tuple[Round, ...]) -> tuple[Text, Text, Text]:
    return name, same(" ".join(map(str, left(rounds)))), same(f"{seconds(rounds):.3f}")
