"""S23: where a job is to survive a power failure, the record of who asked for it is flushed before the journal."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast.agent.app import _App
from holdfast.store.audit import Audit, Entry


def test_s23_the_audit_is_flushed_with_and_before_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    audit = Audit(str(tmp_path / "audit"), now_unix_s=lambda: 1.0, flush=lambda fd: flushed.append("audit"))
    audit.append(Entry(action="run"))
    monkeypatch.setattr(os, "fdatasync", lambda fd: flushed.append(f"journal {fd}"))
    flush = _App._flush
    flush(cast(Any, SimpleNamespace(_audit=audit)), 7)
    assert flushed == ["audit", "journal 7"]
    flush(cast(Any, SimpleNamespace(_audit=None)), 7)
    monkeypatch.undo()
    audit.close()


def test_s23_a_failed_flush_of_the_audit_fails_the_act(tmp_path: Path) -> None:
    def fails(fd: int) -> None:
        raise OSError(5, "Input/output error")

    audit = Audit(str(tmp_path / "audit"), now_unix_s=lambda: 1.0, flush=fails)
    audit.append(Entry(action="run"))
    with pytest.raises(OSError, match="Input/output"):
        _App._flush(cast(Any, SimpleNamespace(_audit=audit)), 7)
    audit.close()
