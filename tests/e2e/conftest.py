"""Fixtures of the tests that hold Holdfast to its promises."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.e2e.harness")

from tests.e2e.harness.fixtures import seed, time_limit, world  # noqa: E402

__all__ = ["seed", "time_limit", "world"]
