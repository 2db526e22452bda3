"""What CPython's tests need around them: an agent of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.subject import STDLIB, serving


@pytest.fixture(scope="module", autouse=True)
def agent_of_the_suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An agent with a state directory of its own for all tests of a module, connected before the first of them."""
    if STDLIB or not hasattr(request.module, "SUITE"):
        yield
        return
    with serving(tmp_path_factory.mktemp("state")):
        yield
