"""Which frame may come when: a table and nothing else.

A receiver in role R and phase P accepts exactly the types of ``ALLOWED[R, P]``; the values are the bounds of header and
body in bytes. Everything else closes the connection before a single byte of it is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from holdfast.wire.frames import Bounds, FrameType
from holdfast.wire.limits import CHUNK_BYTES, CONTROL_BYTES, CONTROL_BYTES_BEFORE_WELCOME, REQUEST_BODY_BYTES


class Role(StrEnum):
    """Who we are; the table says what we accept from the other."""

    CLIENT = "client"
    AGENT = "agent"


class Phase(StrEnum):
    """``ENROL``: all of a connection that enrols. Of any other, ``PRE``: before WELCOME. ``OPEN``. ``DRAIN``: after
    GOAWAY, no new streams. ``CLOSED``."""

    ENROL = "enrol"
    PRE = "pre"
    OPEN = "open"
    DRAIN = "drain"
    CLOSED = "closed"


_F = FrameType
_PRE: Final = CONTROL_BYTES_BEFORE_WELCOME
_CTL: Final = CONTROL_BYTES
_CHANNEL_FROM_CLIENT: Final[Bounds] = {
    _F.DATA: (0, CHUNK_BYTES),
    _F.CREDIT: (0, 0),
    _F.END: (_PRE, 0),
    _F.CANCEL: (0, 0),
}
_LIVENESS: Final[Bounds] = {_F.PING: (0, 0), _F.PONG: (0, 0), _F.CLOSE: (_PRE, 0), _F.GOAWAY: (_PRE, 0)}
_ANSWERS: Final[Bounds] = {
    _F.RES: (_CTL, _CTL),
    _F.ERR: (_CTL, 0),
    _F.EVT: (_CTL, 0),
    _F.DATA: (0, CHUNK_BYTES),
    _F.CREDIT: (0, 0),
    _F.END: (_PRE, 0),
    _F.ACK: (0, 0),
    _F.GAP: (0, 0),
}

ALLOWED: Final[Mapping[tuple[Role, Phase], Bounds]] = {
    (Role.AGENT, Phase.ENROL): {_F.ENROL: (_PRE, 0)},
    (Role.AGENT, Phase.PRE): {_F.HELLO: (_PRE, 0)},
    (Role.AGENT, Phase.OPEN): {_F.REQ: (_CTL, REQUEST_BODY_BYTES), **_CHANNEL_FROM_CLIENT, **_LIVENESS},
    (Role.AGENT, Phase.DRAIN): {_F.REQ: (_CTL, REQUEST_BODY_BYTES), **_CHANNEL_FROM_CLIENT, **_LIVENESS},
    (Role.AGENT, Phase.CLOSED): {},
    (Role.CLIENT, Phase.ENROL): {_F.ENROL: (_PRE, 0)},
    (Role.CLIENT, Phase.PRE): {_F.WELCOME: (_PRE, 0), _F.CLOSE: (_PRE, 0)},
    (Role.CLIENT, Phase.OPEN): {**_ANSWERS, **_LIVENESS},
    (Role.CLIENT, Phase.DRAIN): {**_ANSWERS, **_LIVENESS},
    (Role.CLIENT, Phase.CLOSED): {},
}
"""In DRAIN an agent still reads REQ, since one may have crossed its GOAWAY; it is answered SHUTTING_DOWN."""
