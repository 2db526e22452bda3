"""S23: each flipped bit, each removed, repeated or moved line of the audit shows, and a cut end against a kept head.

That each act has its record before it happens is tested with the agent itself: ``test_s23_records.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.store.audit import Audit, Entry, Head, verify


@pytest.fixture
def chain(tmp_path: Path) -> tuple[Path, Head]:
    """A chain over two files, without a kept head, and the head that was exported."""
    directory = tmp_path / "audit"
    audit = Audit(str(directory), now_unix_s=lambda: 1_700_000_000.0, file_bytes=900)
    for number in range(5):
        audit.append(Entry(action="run", decision="allow", principal="anna@laptop", detail={"number": number}))
    head = audit.head
    audit.close()
    (directory / "head").unlink()
    assert len(list(directory.iterdir())) == 2
    assert verify(str(directory), head).problem == ""
    return directory, head


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("audit-*"))


def test_s23_each_flipped_bit_is_detected_without_any_head(chain: tuple[Path, Head]) -> None:
    directory, _ = chain
    for path in files(directory):
        whole = path.read_bytes()
        for at in range(len(whole)):
            changed = bytearray(whole)
            changed[at] ^= 1 << (at % 8)
            path.write_bytes(changed)
            assert verify(str(directory)).problem, f"{path.name}: byte {at} ({whole[at : at + 1]!r}) was changed unseen"
        path.write_bytes(whole)
    assert verify(str(directory)).problem == ""


def test_s23_each_removed_repeated_or_moved_line_is_detected(chain: tuple[Path, Head]) -> None:
    directory, head = chain
    for path in files(directory):
        lines = path.read_bytes().splitlines(keepends=True)
        for at in range(len(lines)):
            is_end = path == files(directory)[-1] and at == len(lines) - 1
            variants = [lines[:at] + lines[at + 1 :], lines[: at + 1] + lines[at:]]
            if at:
                variants.append([*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]])
            for variant in variants:
                path.write_bytes(b"".join(variant))
                assert verify(str(directory), head if is_end else None).problem
        path.write_bytes(b"".join(lines))


def test_s23_a_removed_file_is_detected(chain: tuple[Path, Head]) -> None:
    directory, head = chain
    for path in files(directory):
        whole = path.read_bytes()
        path.unlink()
        assert verify(str(directory), head).problem
        path.write_bytes(whole)


def test_s23_an_end_cut_at_any_byte_is_detected_against_an_exported_head(chain: tuple[Path, Head]) -> None:
    directory, head = chain
    path = files(directory)[-1]
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert verify(str(directory), head).problem, f"cut at {length}"


def test_s23_a_chain_that_was_written_anew_is_detected_against_an_exported_head(tmp_path: Path) -> None:
    heads = []
    for name, principal in (("true", "anna@laptop"), ("forged", "bert@desk")):
        audit = Audit(str(tmp_path / name), now_unix_s=lambda: 1.0)
        for _ in range(3):
            audit.append(Entry(action="run", principal=principal))
        heads.append(audit.head)
        audit.append(Entry(action="more"))
        audit.close()
    assert verify(str(tmp_path / "forged")).problem == ""
    assert "written anew" in verify(str(tmp_path / "forged"), heads[0]).problem
    assert verify(str(tmp_path / "true"), heads[0]).problem == ""
