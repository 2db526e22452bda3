"""The audit from the command line: shown, filtered, and checked against changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.store.audit import Audit, Entry
from tests.unit.cli.conftest import Call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The record of an agent, with 30 decisions, of which every third is a refusal."""
    found = tmp_path / "state" / "audit"
    (tmp_path / "state").mkdir(mode=0o700)
    audit = Audit(str(found), now_unix_s=lambda: 1.7e9)
    for number in range(30):
        audit.append(
            Entry(
                action="run",
                decision="allow" if number % 3 else "deny",
                principal=f"anna@laptop\x1b[{number}m",
                source="tls 10.0.0.5:1",
                resource=f"job{number}",
                rule="role operator",
                detail={"argv0": "/bin/true"},
            )
        )
    audit.close()
    return found


def test_the_newest_records_are_shown(call: Call, folder: Path) -> None:
    lines = call("agent", "audit").out.decode().splitlines()
    assert lines[0].split() == ["SEQ", "TIME", "DECISION", "ACTION", "PRINCIPAL", "SOURCE", "RESOURCE", "WHY"]
    assert len(lines) == 1 + 20
    assert "job29" in lines[-1]
    assert "2023-11-14T22:13:20Z" in lines[-1]
    assert "\\x1b[29m" in lines[-1]
    assert "role operator argv0=/bin/true" in lines[-1]
    assert len(call("agent", "audit", "-n", "3").out.splitlines()) == 4


def test_refusals_alone_and_as_json(call: Call, folder: Path) -> None:
    documents = json.loads(call("agent", "audit", "--refused", "--json", "-n", "100").out)
    assert [document["decision"] for document in documents] == ["deny"] * 10
    assert documents[0]["resource"] == "job0"
    assert documents[0]["detail"] == {"argv0": "/bin/true"}
    assert len(documents[0]["hash"]) == 64


def test_no_record_is_no_error(call: Call) -> None:
    assert call("agent", "audit").code == 0
    assert call("agent", "audit", "verify").code == 0


def test_a_whole_record_and_its_head(call: Call, folder: Path) -> None:
    outcome = call("agent", "audit", "verify")
    assert (outcome.code, outcome.err) == (0, "")
    document = json.loads(call("agent", "audit", "verify", "--json").out)
    assert (document["ok"], document["problem"]) == (True, None)
    assert f"head     {document['head']}".encode() in outcome.out
    assert call("agent", "audit", "verify", "--head", document["head"]).code == 0


def test_a_record_that_was_changed(call: Call, folder: Path) -> None:
    head = json.loads(call("agent", "audit", "verify", "--json").out)["head"]
    (file,) = folder.glob("audit-*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"job7"', b'"job8"'))
    outcome = call("agent", "audit", "verify")
    assert outcome.code == 1
    assert b"BROKEN" in outcome.out
    assert json.loads(call("agent", "audit", "verify", "--json").out)["ok"] is False
    file.unlink()
    (folder / "head").unlink()
    assert call("agent", "audit", "verify").code == 0  # nobody was there, as far as can be told from here
    assert call("agent", "audit", "verify", "--head", head).code == 1


@pytest.mark.parametrize("args", [["verify", "--head", "12"], ["verify", "--head", "1:zz"], ["-n", "0"], ["more"]])
def test_wrong_words(call: Call, args: list[str]) -> None:
    outcome = call("agent", "audit", *args)
    assert (outcome.code, outcome.out) == (2, b"")
    assert outcome.err.count("\n") == 1
