"""What the chaos proxy does to each connection: a plan drawn from a seed; pure.

Rules of this module:

* The plan of a connection follows from the seed and its number alone, so a run can be had again whatever the clock or
  the order of events was. Draws are hashes, not ``random``: they are the same on every version of Python.
* Bytes are counted as they are passed on, in each direction by itself.
"""

from __future__ import annotations

import hashlib
import math
from enum import StrEnum
from typing import Final, Protocol

import msgspec

NEVER: Final = 1 << 62
"""A count that no connection reaches."""
DEFAULT_MEAN_BYTES: Final = 1 << 20
EARLY_BYTES: Final = 4096
"""Cuts that count the client's bytes come this early: handshake and first requests are where little has been proved."""
EARLY_SHARE: Final = 0.1
_EXACT: Final = 1 << 53
"""Floats tell so many values from 0 to 1 apart."""


class Kind(StrEnum):
    """How a connection ends."""

    RST = "rst"
    FIN = "fin"
    TORN = "mid-frame"
    SILENCE = "silence"


class Cut(msgspec.Struct, frozen=True):
    """When a connection is cut, and how.

    Attributes:
        kind: RST and FIN come after everything that was received has been passed on, which mostly is the end of a
            frame; TORN passes on a part and ends with FIN; SILENCE passes nothing on for a while and ends with RST.
        to_agent: Bytes from the client after which it is due.
        to_client: Bytes from the agent after which it is due; whichever comes first.
        exact: Pass on just so many bytes, whatever the kind.
        silence_s: How long SILENCE lasts; None: for ever, until each end has found out by itself.
    """

    kind: Kind
    to_agent: int = NEVER
    to_client: int = NEVER
    exact: bool = False
    silence_s: float | None = 0.0


class ConnectionPlan(msgspec.Struct, frozen=True):
    """What happens to one connection.

    Attributes:
        cut: None: it is left alone.
        delay_s: Every chunk is held back so long.
        rate_bytes_s: Bytes that pass in a second, in each direction; 0: as fast as they can.
    """

    cut: Cut | None = None
    delay_s: float = 0.0
    rate_bytes_s: float = 0.0


CLEAN: Final = ConnectionPlan()
"""Nothing happens."""


class Plan(Protocol):
    """Decides for every connection of a proxy."""

    def connection(self, number: int) -> ConnectionPlan:
        """What happens to connection ``number``, counted from 0."""
        ...


class Options(msgspec.Struct, frozen=True):
    """What may happen, and how often.

    Attributes:
        seed: Of all that is random.
        mean_bytes: Mean number of the agent's bytes that pass before a cut (exponentially distributed).
        kinds: The kinds of cuts, each as likely as the others; one may be named twice. Empty: no cuts.
        early_share: Part of the connections, 0 to 1, that are cut within the client's first ``EARLY_BYTES``.
        silence_s: Longest silence of those that end.
        endless_share: Part of the silences, 0 to 1, that never end.
        delay_s: Longest delay; each connection has one of its own.
        rate_bytes_s: Lowest rate of a throttled connection; each has one of its own, up to ten times as high. 0: none.
        throttled_share: Part of the connections, 0 to 1, that are throttled, if there is a rate.
    """

    seed: int = 0
    mean_bytes: int = DEFAULT_MEAN_BYTES
    kinds: tuple[Kind, ...] = tuple(Kind)
    early_share: float = EARLY_SHARE
    silence_s: float = 0.3
    endless_share: float = 0.0
    delay_s: float = 0.0
    rate_bytes_s: float = 0.0
    throttled_share: float = 0.2


class SeededPlan:
    """Plans drawn by ``Options``."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def connection(self, number: int) -> ConnectionPlan:
        """The plan of this connection, the same each time it is asked for."""
        options = self._options
        rate = 0.0
        if options.rate_bytes_s and self._draw(number, "throttled") < options.throttled_share:
            rate = options.rate_bytes_s * 10 ** self._draw(number, "rate")
        return ConnectionPlan(self._cut(number), options.delay_s * self._draw(number, "delay"), rate)

    def _cut(self, number: int) -> Cut | None:
        options = self._options
        if not options.kinds:
            return None
        kind = options.kinds[int(self._draw(number, "kind") * len(options.kinds))]
        to_agent = NEVER
        if self._draw(number, "early") < options.early_share:
            to_agent = 1 + int(self._draw(number, "to agent") * EARLY_BYTES)
        to_client = 1 + int(-math.log(1.0 - self._draw(number, "to client")) * options.mean_bytes)
        silence_s: float | None = options.silence_s * self._draw(number, "silence")
        if self._draw(number, "endless") < options.endless_share:
            silence_s = None
        return Cut(kind, to_agent, to_client, exact=kind is Kind.TORN, silence_s=silence_s)

    def _draw(self, number: int, what: str) -> float:
        """A number from 0 (included) to 1 (excluded) that belongs to this question about this connection."""
        digest = hashlib.sha256(f"{self._options.seed} {number} {what}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % _EXACT / _EXACT
