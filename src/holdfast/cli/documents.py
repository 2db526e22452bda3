"""Values as JSON documents for people's scripts. Pure.

Every document carries ``schema``; fields are only ever added. Times are RFC 3339 in UTC, durations are seconds, and
bytes that are not UTF-8 are base64 with an ``encoding`` field beside them.
"""

from __future__ import annotations

import base64
import math
import time
from typing import Any, Final

import msgspec

from holdfast.types import ChannelRecord, JobInfo, OnDisconnect, Receipt
from holdfast.wire.messages import Leftover

SCHEMA: Final = 1

_encode: Final = msgspec.json.Encoder().encode


def to_json(document: object) -> bytes:
    """One line of JSON with its newline."""
    return _encode(document) + b"\n"


def to_pretty_json(document: object) -> bytes:
    """Indented JSON with a newline at the end."""
    return msgspec.json.format(_encode(document), indent=2) + b"\n"


def rfc3339(unix_s: float | None) -> str | None:
    """``2026-01-31T12:00:00.123456Z``, or None for None."""
    if unix_s is None:
        return None
    micros = math.floor(unix_s * 1e6 + 0.5)
    whole, fraction = divmod(micros, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{fraction:06d}Z"


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    """A receipt with every field present; what is not known is null."""
    status = receipt.exit
    return {
        "schema": SCHEMA,
        "job": receipt.job,
        "cause": receipt.cause.value,
        "exit_code": None if status is None else status.code,
        "signal": None if status is None else status.signal,
        "signal_name": None if status is None else status.signal_name,
        "core": status is not None and status.core,
        "ended_by": receipt.ended_by,
        "started_command": receipt.started,
        "attempt": receipt.attempt,
        "retry_of": receipt.retry_of,
        "accepted": rfc3339(receipt.accepted_unix_s),
        "started": rfc3339(receipt.started_unix_s),
        "ended": rfc3339(receipt.ended_unix_s),
        "stdin_bytes": receipt.stdin_bytes,
        "stdout": _channel(receipt.stdout),
        "stderr": _channel(receipt.stderr),
        "usage": None if receipt.usage is None else msgspec.structs.asdict(receipt.usage),
        "timeout_s": receipt.timeout_s,
        "tree": receipt.tree,
        "left": list(receipt.left),
        "reason": receipt.reason or None,
        "errno": receipt.errno,
        "stage": receipt.stage or None,
        "supervisor": receipt.supervisor,
        "host": receipt.host,
        "boot_id": receipt.boot_id,
    }


def job_document(info: JobInfo) -> dict[str, Any]:
    """A job as ``ps`` knows it, its receipt inside once it is done."""
    return {
        "schema": SCHEMA,
        "job": info.job,
        "state": info.state.value,
        "argv": list(info.argv),
        "shell": info.shell,
        "label": info.label,
        "user": info.principal,
        "pid": info.pid,
        "attempt": info.attempt,
        "retry_of": info.retry_of,
        "cwd": info.cwd,
        "accepted": rfc3339(info.accepted_unix_s),
        "started": rfc3339(info.started_unix_s),
        "ended": rfc3339(info.ended_unix_s),
        "on_disconnect": policy_text(info.on_disconnect),
        "lease_left_s": info.lease_left_s,
        "clients": info.clients,
        "stdout_bytes": info.stdout_bytes,
        "stderr_bytes": info.stderr_bytes,
        "receipt": None if info.receipt is None else receipt_document(info.receipt),
    }


def leftover_document(process: Leftover) -> dict[str, Any]:
    """One process that outlived its job."""
    return {
        "schema": SCHEMA,
        "pid": process.pid,
        "job": process.job,
        "name": process.name,
        "command": list(process.command),
        "owner": process.owner,
        "started": rfc3339(process.started_unix_s),
        "user_s": process.user_s,
        "rss_bytes": process.rss_bytes,
        "ended": process.ended,
    }


def bytes_fields(data: bytes) -> dict[str, str]:
    """``data`` as text, or as base64 with ``encoding`` where it is not UTF-8."""
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"data": base64.b64encode(data).decode(), "encoding": "base64"}


def policy_text(policy: OnDisconnect) -> str:
    """``keep``, ``kill`` or ``kill-after=60s``, as ``--on-disconnect`` takes it."""
    return policy if isinstance(policy, str) else f"kill-after={policy:g}s"


def _channel(record: ChannelRecord) -> dict[str, Any]:
    return {"bytes": record.bytes, "first": record.first, "xxh3": record.xxh3, "sha256": record.sha256}
