"""JSON documents: versioned, RFC 3339 in UTC, every field there, bytes never lost."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.documents import (
    bytes_fields,
    job_document,
    leftover_document,
    policy_text,
    receipt_document,
    rfc3339,
    to_json,
    to_pretty_json,
)
from holdfast.types import Cause, ExitStatus, JobInfo, JobState, Receipt
from holdfast.wire.messages import Leftover


@pytest.mark.parametrize(
    ("unix_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1_769_860_800.5, "2026-01-31T12:00:00.500000Z"),
        (0.9999999, "1970-01-01T00:00:01.000000Z"),
        (None, None),
    ],
)
def test_times(unix_s: float | None, text: str | None) -> None:
    assert rfc3339(unix_s) == text


def test_a_receipt_keeps_every_fact() -> None:
    document = receipt_document(Receipt("j", Cause.SIGNALED, ExitStatus(signal=9), errno=None, left=(1, 2)))
    assert document["schema"] == 1
    assert (document["exit_code"], document["signal"], document["signal_name"]) == (None, 9, "SIGKILL")
    assert document["left"] == [1, 2]
    told = {"exit", "accepted_unix_s", "started_unix_s", "ended_unix_s"}  # under other names
    assert set(Receipt.__struct_fields__) - told <= set(document)
    assert json.loads(to_json(document)) == document


def test_a_job_keeps_every_fact() -> None:
    info = JobInfo(job="j", state=JobState.DONE, argv=("a", "b"), receipt=Receipt("j", Cause.LOST))
    document = job_document(info)
    told = {"principal", "accepted_unix_s", "started_unix_s", "ended_unix_s"}
    assert set(JobInfo.__struct_fields__) - told <= set(document)
    assert document["receipt"]["started_command"] is None
    assert job_document(msgspec.structs.replace(info, receipt=None))["receipt"] is None


def test_a_leftover_keeps_every_fact() -> None:
    document = leftover_document(Leftover(pid=1, job="j"))
    assert set(Leftover.__struct_fields__) - {"started_unix_s"} <= set(document)


@given(st.binary())
def test_bytes_come_back(data: bytes) -> None:
    fields = json.loads(to_json(bytes_fields(data)))
    text = fields["data"]
    assert (base64.b64decode(text) if fields.get("encoding") == "base64" else text.encode()) == data


def test_policies_read_as_they_are_written() -> None:
    from holdfast.config import parse_on_disconnect

    for policy in ("keep", "kill", 60.0, 0.5, 86_400.0):
        assert parse_on_disconnect(policy_text(policy)) == policy


def test_pretty_json_is_the_same_json() -> None:
    assert json.loads(to_pretty_json({"a": [1, {"b": None}]})) == {"a": [1, {"b": None}]}
