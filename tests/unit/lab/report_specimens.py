"""An invented case with blocks of all kinds, and runs of it, for the tests of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from holdfast.lab.blocks import (
    Block,
    Lane,
    Listing,
    Mark,
    Message,
    Plot,
    Remark,
    Sequence,
    Series,
    Span,
    Spread,
    Table,
    Timeline,
)
from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.report import drawing, plots
from holdfast.lab.results import Leftover, Result
from holdfast.lab.seen import Machine
from holdfast.lab.text import Text, same
from holdfast.lab.verdicts import Claim, Ruling, confirmed, definition, refined, refuted

HOSTILE = "<script>alert('1')</script> & \"quotes\" `code <b>`"
LONG = "`http://127.0.0.1:40000/" + "a-name-without-an-end" * 5 + "`"


class Nothing(msgspec.Struct, frozen=True):
    """What an invented run has observed."""


class Specimen(Case, frozen=True):
    """A case whose parts are here and not in a package."""

    shown: tuple[Block, ...] = ()

    @property
    def data(self) -> type[msgspec.Struct]:
        return Nothing

    @property
    def judges(self) -> Mapping[str, Callable[[object], Ruling]]:
        return {
            "n001": lambda _: confirmed("9 of 9 did.", "9 个里有 9 个。", depends_on=Text("Linux", "Linux")),
            "n002": lambda _: refined(f"4 of 9 did. {LONG}", f"9 个里有 4 个。{LONG}"),
            "n003": lambda _: refuted(f"None did: {HOSTILE}", "一个也没有。"),
            "n004": lambda _: definition("It is a name.", "只是一个名字。"),
        }

    def answer(self, data: msgspec.Struct) -> Text:
        return Text("In 9 rounds `recv` gave 3 pieces.", "9 轮里 `recv` 给出 3 段。")

    def figures(self, data: msgspec.Struct) -> Mapping[str, Spread]:
        return {"wait": Spread(1.25, 1.0, 2.5, "ms", 9), "once": Spread(3.0, 3.0, 3.0, "")}

    def blocks(self, data: msgspec.Struct) -> tuple[Block, ...]:
        return self.shown


def both(words: str) -> Text:
    """A text of which each language can be told."""
    return Text(f"{words} in English", f"{words}（中文）")


TIMELINE = Timeline(
    both("Who held what"),
    (
        Lane("first", (Span(0.0, 0.2, kind="wait"), Span(0.2, 0.5, "A", "hold")), (Mark(0.5, "lets go"),)),
        Lane("second", (Span(0.0, 0.5), Span(0.5, 0.9, kind="dead")), (Mark(0.1, "wants A"), Mark(0.12, "wants B"))),
        Lane("third 第三", (Span(0.3, 0.30001),), (Mark(0.9, HOSTILE),)),
    ),
)
SEQUENCE = Sequence(
    both("Three segments"),
    "client",
    "server",
    (
        Message(0.0, True, "SYN seq=1000", "SYN_SENT", "SYN_RCVD"),
        Message(0.0001, False, "SYN ACK seq=5000 ack=1001", "ESTABLISHED"),
        Message(0.0002, True, "ACK ack=5001 " + "and many more words " * 4, "", "ESTABLISHED"),
    ),
)
LINES = Plot(
    both("Throughput"),
    both("connections"),
    both("requests per second"),
    (
        Series("epoll", (1.0, 10.0, 100.0, 1000.0), (900.0, 5000.0, 9000.0, 8800.0)),
        Series(
            "threads", (1.0, 10.0, 100.0), (800.0, 4000.0, 3000.0), (700.0, 3500.0, 2500.0), (900.0, 4500.0, 3500.0)
        ),
    ),
    log_x=True,
)
BARS = Plot(
    both("Cost"),
    both("kind"),
    both("time in µs"),
    (Series("median", (0.0, 1.0, 2.0), (55.0, 900.0, 41000.0), (50.0, 800.0, 39000.0), (70.0, 1000.0, 45000.0)),),
    kind="bars",
    log_y=True,
    categories=("thread", "fork", "new interpreter"),
)
STEPS = Plot(both("Queue"), both("time"), both("length"), (Series("$length_1$", (0, 1, 2), (0, 3, 1)),), kind="steps")
OTHERS = (
    Table(both("Left"), (both("lock"), both("left")), ((same("none"), same(99)), (same(HOSTILE), same("100|2")))),
    Listing(both("Printed"), ("one", HOSTILE, "\x1b[31mred\x00", "x" * 300)),
    Remark(both("A remark with `code`,")),
)
BLOCKS: tuple[Block, ...] = (TIMELINE, SEQUENCE, LINES, BARS, STEPS, *OTHERS)
MACHINE = Machine("3.13.1", "CPython", True, "6.1.0", 2, "A processor", 8 << 30, 1024, "anvil", False)


def specimen(blocks: tuple[Block, ...] = BLOCKS, *, name: str = "specimen") -> Specimen:
    """The case, with these blocks."""
    return Specimen(
        name=name,
        chapter=Chapter.NETWORK,
        title=both("A specimen"),
        question=both("What is to be seen?"),
        claims={
            "n001": Claim(both("The pool bounds requests"), "半连接池"),
            "n002": Claim(both("States have names")),
            "n003": Claim(Text(HOSTILE, HOSTILE), "管道"),
            "n004": Claim(both("A code word")),
        },
        words=("pool", "半连接池"),
        reading=(Reading("src/holdfast/wire/frames.py", both("The real one")),),
        shown=blocks,
    )


def run(case: Case, *, failed: str | None = None, seed: int = 7) -> Result:
    """A run of it."""
    return Result(
        case=case.name,
        seed=seed,
        quick=True,
        pace=0.05,
        began_unix_s=1.7e9,
        seconds=2.5,
        machine=MACHINE,
        data=msgspec.Raw(b"{}" if failed is None else b"null"),
        lesser=(both("Raw sockets: the kernel's tables instead"),),
        failed=failed,
        leftovers=(Leftover(4711, "sleep 1"),),
    )


def open_fonts() -> None:
    """Let matplotlib open its fonts, which it keeps open for good, if it is there; tests look for what is left open."""
    try:
        drawing.draw(BARS, "zh", "fonts")
    except plots.NoMatplotlib:
        pass
