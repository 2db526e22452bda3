"""The protocol's error codes (docs/spec/protocol.md, "Error codes")."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Codes by hundreds: 1 connection, 2 identity, 3 request, 4 capacity, 5 agent, 6 coordination."""

    PROTOCOL = 100
    TOO_LARGE = 101
    VERSION = 102
    DEADLINE = 103
    FLOW_CONTROL = 104
    TOO_MANY_STREAMS = 105
    RATE_LIMITED = 106
    IDLE = 107
    SHUTTING_DOWN = 108
    SUPERSEDED = 109
    UNAUTHENTICATED = 200
    FORBIDDEN = 201
    REVOKED = 202
    INVALID = 300
    UNSUPPORTED_FIELD = 301
    NOT_FOUND = 302
    KEY_REUSED = 303
    KEY_EXPIRED = 304
    EXPIRED = 305
    INCARNATION = 306
    OFFSET_GONE = 307
    OFFSET_AHEAD = 308
    DIGEST = 309
    STATE = 310
    QUEUE_FULL = 400
    QUOTA = 401
    DISK_FULL = 402
    BUSY = 403
    INTERNAL = 500
    JOURNAL_FAILED = 501
    LOCK_TIMEOUT = 600
    DEADLOCK = 601
    LEASE_LOST = 602
    STALE_TOKEN = 603
    NOT_HOLDER = 604
