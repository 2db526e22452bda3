"""Fixtures of the tests that hold Holdfast to its promises."""

from __future__ import annotations

from tests.e2e.harness.fixtures import seed, time_limit, world

__all__ = ["seed", "time_limit", "world"]
