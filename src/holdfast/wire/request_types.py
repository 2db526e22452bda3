"""What requests are made of: the base of all of them, and the bounded types of their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.types import Retention
from holdfast.wire import limits

Seconds = Annotated[float, Meta(ge=0, le=limits.SECONDS)]
JobName = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARS)]
Bytes = Annotated[int, Meta(ge=0, le=limits.OFFSET)]
Key = Annotated[str, Meta(min_length=1, max_length=limits.KEY_BYTES)]
"""Counted in characters here and in UTF-8 bytes by ``messages.decode_request``."""
Name = Annotated[str, Meta(max_length=limits.NAME_CHARS)]
PrincipalName = Annotated[str, Meta(min_length=1, max_length=limits.PRINCIPAL_CHARS)]
RoleName = Literal["viewer", "runner", "operator", "admin"]

if TYPE_CHECKING:
    RetentionAsked = Retention
else:

    class RetentionAsked(Retention, frozen=True, forbid_unknown_fields=True):
        """``Retention``, must-understand. A plain one encodes the same, so callers give that."""


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="op"):
    """Base of all requests."""
