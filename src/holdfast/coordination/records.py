"""What happens to the shared objects of an agent, and what follows: the records that are kept, and their effects.

A record is all that a machine of shared objects (``space``) ever hears; it is written down before it takes effect, so
the same records give the same state again.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from holdfast.wire.coordination import (
    Acquire,
    Await,
    Drop,
    Flag,
    Join,
    Meet,
    Notify,
    Numbered,
    Open,
    Put,
    Release,
    Settle,
    ShutQueue,
    Take,
    Withdraw,
)

Instance = str
"""A client process, by the random id of its HELLO."""
AnyNumbered = (
    Open | Drop | Acquire | Release | Await | Notify | Flag | Meet | Put | Take | Settle | Join | ShutQueue | Withdraw
)


class Record(msgspec.Struct, frozen=True, tag_field="record"):
    """Base of what is kept."""


class Asked(Record, frozen=True, tag="asked"):
    """A client asks for something; ``body`` is the value of a PUT."""

    instance: Instance
    principal: str
    request: AnyNumbered
    body: bytes = b""


class Renewed(Record, frozen=True, tag="renewed"):
    """A client is there; its lease lasts ``ttl_s`` from now on, None: as long as before."""

    instance: Instance
    principal: str
    ttl_s: float | None = None


class Tick(Record, frozen=True, tag="tick"):
    """Time has passed."""


class Handed(Record, frozen=True, tag="handed"):
    """What this owner of a client holds of these names is the job's from now on."""

    instance: Instance
    owner: int
    names: tuple[str, ...]
    job: str


class Ended(Record, frozen=True, tag="ended"):
    """A job's last process has ended: it gives everything back."""

    job: str


class Restored(Record, frozen=True, tag="restored"):
    """The host was away: every lease counts as renewed now."""


class Reserved(Record, frozen=True, tag="reserved"):
    """Tokens up to this one are flushed to the disk as used: after a power failure others are given."""

    upto: int


AnyRecord = Asked | Renewed | Tick | Handed | Ended | Restored | Reserved

_decoder: Final = msgspec.msgpack.Decoder(AnyRecord)
encode: Final = msgspec.msgpack.Encoder().encode
"""A record as the bytes that are kept."""


def decode(record: bytes) -> AnyRecord:
    """A record from the bytes that were kept.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _decoder.decode(record)  # type: ignore[no-any-return]


class Effect(msgspec.Struct, frozen=True):
    """Base of what follows from a record."""


class Answer(Effect, frozen=True):
    """A request is decided: with an answer (``header``), or (``code``) refused.

    ``ran``: of a refusal, whether it has been carried out; ``unknown`` where that is not remembered.
    """

    instance: Instance
    number: int
    header: msgspec.Struct | None = None
    body: bytes = b""
    code: int = 0
    text: str = ""
    ran: Literal["no", "unknown"] = "no"


class LeaseOver(Effect, frozen=True):
    """A client was not heard of for too long; these objects it had held."""

    instance: Instance
    principal: str
    names: tuple[str, ...]


__all__ = [
    "Answer",
    "AnyNumbered",
    "AnyRecord",
    "Asked",
    "Effect",
    "Ended",
    "Handed",
    "Instance",
    "LeaseOver",
    "Numbered",
    "Record",
    "Renewed",
    "Reserved",
    "Restored",
    "Tick",
    "decode",
    "encode",
]
