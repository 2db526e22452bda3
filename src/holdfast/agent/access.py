"""Who may do what: principals and their roles."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec


class Role(StrEnum):
    """What a principal may do in general, from least to most."""

    VIEWER = "viewer"
    RUNNER = "runner"
    OPERATOR = "operator"
    ADMIN = "admin"


class Principal(msgspec.Struct, frozen=True):
    """Somebody who is authenticated.

    Attributes:
        name: Enrolled ones have an ``@`` in it, local ones have their login.
        role: What they may do in general.
        kind: By whose word they are who they are: the kernel's, or that of a key.
        fingerprint: Of the key; empty for local ones.
        source: Where they come from, for people.
    """

    name: str
    role: Role
    kind: Literal["unix", "tls"]
    fingerprint: str = ""
    source: str = ""
