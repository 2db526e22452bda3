"""docs/spec/protocol.md says what the code does."""

from __future__ import annotations

import re

import pytest

from holdfast.wire import limits, messages
from holdfast.wire.codes import ErrorCode
from tests.unit.wire import spec_tables
from tests.unit.wire.spec_tables import NOTES, SPEC, TABLES, blocks, regenerated

TEXT = SPEC.read_text()


def test_the_generated_tables_are_up_to_date() -> None:
    assert regenerated(TEXT) == TEXT, "run: python -m tests.unit.wire.spec_tables"


def test_every_table_is_in_the_document_once() -> None:
    assert sorted(blocks(TEXT)) == sorted(TABLES)


def test_every_request_event_answer_and_code_is_described() -> None:
    for name in messages.REQUEST_NAMES:
        assert f"### `{name}`" in TEXT
    for event in ("accepted", "started", "opened", "progress"):
        assert f"### `{event}`" in TEXT
    assert set(spec_tables.CODES) == {code.name for code in ErrorCode}
    answers = {name for name in messages.__all__ if name.endswith("Answer")}
    assert answers == {kind.__name__ for kind in spec_tables.ANSWERS}
    for name in answers:
        assert TEXT.count(name) >= 2, f"{name} is missing from the table of answers"


def test_every_limit_has_its_reason() -> None:
    names = {name for name in vars(limits) if name.isupper() and name not in ("KIB", "MIB")}
    rows = re.findall(r"^\| ([A-Z_]+) \| ([\d.]+) \| (.+) \|$", TABLES["limits"](), re.MULTILINE)
    assert {name for name, _, _ in rows} == names


def test_every_note_belongs_to_a_field() -> None:
    kinds = [*spec_tables.GREETINGS, *spec_tables.REQUESTS, *spec_tables.EVENTS]
    kinds += [*spec_tables.ANSWERS, *spec_tables.SHARED, *spec_tables.STEPS]
    known = {f"{kind.__name__}.{field}" for kind in kinds for field in kind.__struct_fields__}
    assert set(NOTES) <= known


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("5 seconds may pass", limits.HELLO_DEADLINE_S == 5),
        ("1 024 streams open at once, 20 000 new ones", (limits.STREAMS_OPEN, limits.STREAMS_PER_S) == (1024, 20_000)),
        ("100 000 frames a second (200 000 at once)", (limits.FRAMES_PER_S, limits.FRAMES_BURST) == (100_000, 200_000)),
        (
            "20 000 CREDITs a second (40 000 at once)",
            (limits.CREDITS_PER_S, limits.CREDITS_BURST) == (20_000, 40_000),
        ),
        ("nothing at all comes within 2 s", limits.PROBE_S == 2),
        ("PINGs are 1 s apart at least", limits.PROBE_GAP_S == 1),
        ("| 16 | secret | random |", limits.SECRET_BYTES == 16),
        ("| 0 to 300 | address |", limits.ADDRESS_CHARS == 300),
        ("1 to 262 144 bytes", limits.CHUNK_BYTES == 262_144),
        ("at least 4 096 above", limits.CREDIT_STEP_BYTES == 4096),
        (
            "turns of 64 KiB, one alone in frames of up to 256 KiB",
            limits.TURN_BYTES == limits.CHUNK_BYTES / 4 == 65_536,
        ),
        ("256 KiB and goes up to 4 MiB", (limits.INITIAL_WINDOW_BYTES, limits.WINDOW_BYTES) == (1 << 18, 1 << 22)),
        ("nothing for 10 s sends PING", limits.HEARTBEAT_S == 10),
        ("for 25 s gives the connection up", limits.SILENCE_S == 25),
        ("More than 10 PINGs at once", limits.PINGS_BURST == 10),
        ("at most 1 024 bytes", limits.TEXT_BYTES == 1024),
        ("There is one so far: 1.", limits.PROTOCOL_LOWEST == limits.PROTOCOL_HIGHEST == 1),
    ],
)
def test_figures_in_the_text_are_those_of_the_code(sentence: str, value: bool) -> None:
    assert sentence in re.sub(r"\s+", " ", TEXT)
    assert value
