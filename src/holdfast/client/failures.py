"""The agent's error codes as exceptions; pure. The codes are in docs/spec/protocol.md, "Error codes"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.errors import (
    Conflict,
    HoldfastError,
    LeaseLost,
    LimitExceeded,
    NotFound,
    NotHeld,
    OffsetGone,
    Refused,
    Unauthorized,
    VersionMismatch,
)
from holdfast.wire.messages import ErrorCode, Failure

_KINDS: Final[Mapping[int, type[Refused]]] = {
    ErrorCode.VERSION: VersionMismatch,
    ErrorCode.NOT_FOUND: NotFound,
    ErrorCode.KEY_REUSED: Conflict,
    ErrorCode.STATE: Conflict,
}
_BY_HUNDRED: Final[Mapping[int, type[Refused]]] = {2: Unauthorized, 3: Refused, 4: LimitExceeded}

TRANSIENT: Final = frozenset(
    {ErrorCode.DEADLINE, ErrorCode.RATE_LIMITED, ErrorCode.IDLE, ErrorCode.SHUTTING_DOWN, ErrorCode.BUSY}
)
"""Codes of CLOSE after which connecting again is expected to help."""


def failure_error(failure: Failure) -> HoldfastError:
    """The exception for an ERR answer, with ``ran`` as the agent told it."""
    code = failure.code
    if code == ErrorCode.OFFSET_GONE and failure.first is not None:
        return OffsetGone(failure.text, first=failure.first)
    if code == ErrorCode.NOT_HOLDER:
        return NotHeld(failure.text)
    if code == ErrorCode.LEASE_LOST:
        return LeaseLost(failure.text)
    kind = _KINDS.get(code) or _BY_HUNDRED.get(code // 100, Refused)
    return kind(failure.text, code=code, retry_after_s=failure.retry_after_s, ran=failure.ran)
