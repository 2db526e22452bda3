"""Start keys: what is remembered of them, and which of them are too old to be believed.

A key that a person chose is remembered until it is forgotten by name. A generated key is a UUIDv7 (RFC 9562, section
5.7): it carries its birth in its first 48 bits, so one that is past the horizon is refused by looking at it, and may be
forgotten: refused is not the same as new.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal

import msgspec

from holdfast.store.writes import KeyKind

HORIZON_S: Final = 7 * 86400.0
"""How long a generated key is remembered, in seconds."""

CLOCK_SLACK_S: Final = 600.0
"""How far the clocks of client and agent may differ, in seconds."""

MAX_KEY_BYTES: Final = 255

_UUID7: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

Verdict = Literal["ok", "expired", "ahead", "invalid"]


class Key(msgspec.Struct, frozen=True):
    """A start key as the journal holds it.

    ``hash`` is the SHA-256 of a user's key (32 bytes) or a generated key itself (16 bytes: they lie in the order of
    their birth, which spares the journal a scattered page a job).
    """

    hash: bytes
    kind: KeyKind
    born_unix_s: float


def born_unix_s(key: str) -> float | None:
    """Birth of a UUIDv7 in Unix seconds (milliseconds exact), or None: not one."""
    if not _UUID7.fullmatch(key):
        return None
    return int(key[:8] + key[9:13], 16) / 1000


def check(key: str, *, generated: bool, now_unix_s: float) -> Verdict:
    """Whether a start may be asked for under this key now.

    Args:
        key: As the client sent it.
        generated: The client says that it made it up (it is then held to the form and the horizon).
        now_unix_s: The agent's clock.

    Returns:
        ``ok``; ``expired``: born before the horizon (less the clock slack), KEY_EXPIRED; ``ahead``: born further in
        the future than clocks may differ (it would be remembered too short); ``invalid``: not a key.
    """
    if not generated:
        return "ok" if 1 <= len(key.encode("utf-8", "surrogateescape")) <= MAX_KEY_BYTES else "invalid"
    born = born_unix_s(key)
    if born is None:
        return "invalid"
    if born < now_unix_s - HORIZON_S + CLOCK_SLACK_S:
        return "expired"
    if born > now_unix_s + CLOCK_SLACK_S:
        return "ahead"
    return "ok"


def remembered(key: str, *, generated: bool, now_unix_s: float) -> Key:
    """What the journal keeps of a key that :func:`check` found ``ok``."""
    if generated:
        return Key(bytes.fromhex(key.replace("-", "")), "generated", born_unix_s(key) or now_unix_s)
    return Key(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest(), "user", now_unix_s)


def droppable_before(now_unix_s: float) -> float:
    """Generated keys born before this may be forgotten: :func:`check` refuses them from now on.

    Two clock slacks later than the refusal begins, so that a clock set back a little finds them still there.
    """
    return now_unix_s - HORIZON_S - CLOCK_SLACK_S
