"""The shape of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

Outcomes = Mapping[str, Sequence[tuple[msgspec.Struct, str]]]
"""By claim: data of its case and the verdict on them."""
