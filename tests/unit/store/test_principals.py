"""The file of enrolled keys: kept whole, kept private, names never given to another key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from holdfast.errors import StorageError
from holdfast.store.principals import Enrolled, Principals

ANNA = Enrolled(
    name="anna@box", certificate=b"\x30\x01", fingerprint="hf:anna", role="operator", enrolled_unix_s=1_700_000_000.5
)
BERT = Enrolled(
    name="bert@box", certificate=b"\x30\x02", fingerprint="hf:bert", role="viewer", enrolled_unix_s=1_700_000_001.0
)


def test_what_was_put_is_there_for_the_next_agent(tmp_path: Path) -> None:
    path = str(tmp_path / "principals.json")
    first = Principals(path)
    assert len(first) == 0
    first.put(ANNA)
    first.put(msgspec.structs.replace(BERT, revoked_unix_s=5.0))
    again = Principals(path)
    assert list(again) == [ANNA, msgspec.structs.replace(BERT, revoked_unix_s=5.0)]
    assert again.certificates() == [ANNA.certificate]
    assert again.of_certificate(BERT.certificate) == again.named("bert@box") == again.of_fingerprint("hf:bert")
    assert again.of_certificate(b"") is None


def test_the_file_is_private_from_the_first_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    really = os.fsync

    def fsync(fd: int) -> None:
        modes.append(os.fstat(fd).st_mode & 0o777)
        really(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    before = os.umask(0)
    try:
        Principals(str(tmp_path / "p.json")).put(ANNA)
    finally:
        os.umask(before)
    assert modes[0] == 0o600
    assert (tmp_path / "p.json").stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    Principals(str(path)).put(ANNA)
    path.chmod(0o640)
    with pytest.raises(StorageError, match="mode 640"):
        Principals(str(path))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"version":1}', b'{"version":2,"principals":[]}', b'{"version":1,"principals":[{}]}']
)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.json"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"p\.json"):
        Principals(str(path))
    assert path.read_bytes() == content


def test_a_failed_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "p.json")
    principals = Principals(path)
    principals.put(ANNA)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space") as caught:
        principals.put(BERT)
    assert caught.value.full
    assert list(principals) == [ANNA]
    monkeypatch.undo()
    assert list(Principals(path)) == [ANNA]
    principals.put(BERT)
    assert list(Principals(path)) == [ANNA, BERT]


def test_when_a_principal_was_seen_is_written_with_the_next_change(tmp_path: Path) -> None:
    path = str(tmp_path / "p.json")
    principals = Principals(path)
    principals.put(ANNA)
    principals.saw("anna@box", 7.0)
    assert Principals(path).named("anna@box") == ANNA
    principals.save()
    seen = Principals(path).named("anna@box")
    assert seen is not None
    assert seen.seen_unix_s == 7.0


def test_the_file_can_be_read_by_people(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    Principals(str(path)).put(ANNA)
    assert json.loads(path.read_text())["principals"][0]["name"] == "anna@box"
    assert path.read_text().count("\n") > 5
