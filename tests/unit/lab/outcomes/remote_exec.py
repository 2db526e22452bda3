"""Remote commands as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.remote_exec.data import (
    Data,
    Decoded,
    Departure,
    Filled,
    Framed,
    Large,
    Lengths,
    Long,
    Pieces,
    Pipes,
    Reuse,
    Stranger,
    Told,
    Turns,
    Unreaped,
)
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes

HEADER = '{"file": "out.txt", "total_size": 6, "hashlib": "0123456789abcdef"}'
OTHER = '{"file": "out.txt", "total_size": 6, "hashlib": "0123456789abcdef", "status": 3}'


def session(*answers: str) -> Ran:
    """A client that printed these answers."""
    lines = "".join(f">>>>{answer}\n" for answer in answers).splitlines()
    return Ran(tuple(Line(0.1, line) for line in [*lines, ">>>>"]), 1.0, 1, 0.05)


TRUE = Data(
    session=session("one", "two\nthree", "a-b-c-"),
    commands=("echo one", "echo two; echo three", "printf '%s-' a b c"),
    wanted=("one", "two\nthree", "a-b-c-"),
    framed=Framed("echo hello", len(HEADER), HEADER, "hello\n", 0.001, 0.002, 0.003),
    reuse=Reuse(0, 1, "OSError: [Errno 98] Address already in use", ""),
    pieces=Pieces(8, 8, "struct.error: unpack requires a buffer of 4 bytes", "json.JSONDecodeError: x", "", True),
    large=Large(300_000, 300_000, False, 0.5, 0.45, "error: the server has gone", 300_000, 4),
    texts=(
        Decoded("ASCII", "hello", "hello", "", "hello", "hello"),
        Decoded("UTF-8", "你好", "浣犲ソ", "", "你好", "你好"),
        Decoded("GBK", "你好", "你好", "", "\\xc4", "你好"),
        Decoded("UTF-8, 9 bytes", "测试中", None, "UnicodeDecodeError: 'gbk' codec", "测试中", "测试中"),
    ),
    lengths=Lengths(76, 76, 66, 70, "json.JSONDecodeError: x"),
    long=Long(1050, 3, "aaa", "the rest is a command", "next", True, 100_000, True),
    stranger=Stranger("0\n42\n", "", "EOF", 0),
    pipes=Pipes(65536, 0.5, (Filled(1000, 0.1, 0.1, 0.1), Filled(70_000, None, 0.1, 0.1)), "pipe_read", "pipe_write"),
    told=Told(
        hashes=("0123456789abcdef", "0123456789abcdef"),
        sums=("2c8b08da5ce60398", "27dd8ed44a83ff94"),
        damage_notes="",
        damage_repaired="error: what came is not what was sent",
        headers=(HEADER, HEADER),
        repaired_status=3,
        holdfast_status=3,
        mixed="ERR\nOUT\nOUT\n",
        holdfast_channels=("OUT\nOUT\n", "ERR\n"),
        holdfast_digests=("aa", "bb"),
    ),
    departures=(
        Departure("it closes", True, "", True),
        Departure("it leaves before its answer", False, "BrokenPipeError: [Errno 32] Broken pipe", True),
    ),
    notes_turns=Turns(0.4, 0.1, 0.41),
    repaired_turns=Turns(0.4, 0.1, 0.11),
    holdfast_turns=Turns(0.4, 0.1, 0.11),
    unreaped=Unreaped((1, 1, 1, 1), (0, 0, 0, 0), 0),
)
TOLD = TRUE.told
WELL_READ = tuple(replace(each, notes=each.text, error="") for each in TRUE.texts)
ILL_READ = tuple(replace(each, notes=None, error="UnicodeDecodeError: x") for each in TRUE.texts)
NONE_HANGS = replace(TRUE.pipes, filled=(Filled(1000, 0.1, 0.1, 0.1), Filled(70_000, 0.1, 0.1, 0.1)))
ALL_HANG = replace(TRUE.pipes, filled=(Filled(1000, None, 0.1, 0.1), Filled(70_000, None, 0.1, 0.1)))
TRUE_HEADER = replace(TOLD, hashes=("aa", "bb"), headers=(HEADER, OTHER), damage_notes="ValueError: it differs")

OUTCOMES: Outcomes = {
    "n030": [
        (TRUE, "confirmed"),
        (replace(TRUE, session=session("one")), "refuted"),
        (replace(TRUE, framed=replace(TRUE.framed, declared=7)), "refuted"),
    ],
    "n031": [
        (TRUE, "refuted"),
        (replace(TRUE, reuse=replace(TRUE.reuse, repaired_again="OSError: in use")), "refuted"),
        (replace(TRUE, reuse=Reuse(1, 1, "", "")), "confirmed"),
    ],
    "n032": [
        (TRUE, "refined"),
        (replace(TRUE, pieces=replace(TRUE.pieces, prefix="", header="")), "confirmed"),
        (replace(TRUE, pieces=replace(TRUE.pieces, whole=0)), "refuted"),
    ],
    "n033": [
        (TRUE, "refined"),
        (replace(TRUE, large=replace(TRUE.large, cut_ended=True)), "confirmed"),
        (replace(TRUE, large=replace(TRUE.large, notes=1024)), "refuted"),
    ],
    "n034": [
        (TRUE, "refined"),
        (replace(TRUE, texts=WELL_READ), "confirmed"),
        (replace(TRUE, texts=ILL_READ), "refuted"),
    ],
    "n035": [
        (TRUE, "refined"),
        (replace(TRUE, lengths=Lengths(76, 76, 70, 70, "")), "confirmed"),
        (replace(TRUE, lengths=Lengths(66, 70, 66, 70, "json.JSONDecodeError: x")), "refuted"),
    ],
    "n036": [
        (TRUE, "refined"),
        (replace(TRUE, long=replace(TRUE.long, second="")), "refined"),
        (replace(TRUE, long=replace(TRUE.long, ran=2, second="next")), "confirmed"),
    ],
    "n037": [(TRUE, "confirmed"), (replace(TRUE, stranger=Stranger("", "", "", 0)), "refuted")],
    "n038": [
        (TRUE, "refined"),
        (replace(TRUE, pipes=NONE_HANGS), "confirmed"),
        (replace(TRUE, pipes=ALL_HANG), "refuted"),
    ],
    "n039": [(TRUE, "refined"), (replace(TRUE, told=TRUE_HEADER), "confirmed")],
    "n040": [
        (TRUE, "refined"),
        (replace(TRUE, departures=TRUE.departures[:1]), "confirmed"),
        (replace(TRUE, departures=TRUE.departures[1:]), "refuted"),
    ],
    "n041": [(TRUE, "confirmed"), (replace(TRUE, notes_turns=TRUE.repaired_turns), "refuted")],
    "n042": [
        (TRUE, "refined"),
        (replace(TRUE, unreaped=Unreaped((0, 0), (0, 0), 0)), "confirmed"),
        (replace(TRUE, unreaped=Unreaped((1, 2, 3, 4), (0, 0, 0, 0), 0)), "refuted"),
    ],
}
