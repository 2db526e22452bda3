"""S2: the dispatcher knows exactly the published requests, and each of them asks the guard.

That no name from the wire is looked up on an object: ``test_s02_s11_s12_static.py``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from holdfast.agent.guard import Caller
from holdfast.agent.service import Service
from holdfast.wire.requests import REQUEST_NAMES, AnyRequest
from tests.security.sources import ROOT, calls, modules
from tests.unit.agent.world import World


def test_s2_the_table_is_the_published_list(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    world = World(tmp_path)
    try:
        table: Service = world.service
        assert len(table._operations) == len(REQUEST_NAMES)
        assert set(table._operations) == set(AnyRequest.__args__)
        with pytest.raises(AssertionError):
            table.offer({int: lambda *_: None})
    finally:
        world.close()


def test_s2_the_specification_lists_them_all() -> None:
    text = (ROOT / "docs" / "spec" / "protocol.md").read_text()
    assert [name for name in REQUEST_NAMES if not re.search(rf"\b{name}\b", text, re.IGNORECASE)] == []


def test_s2_each_operation_asks_the_guard() -> None:
    """Every method of the table makes a ``Caller``, or is one of those about keys, which the service asks about."""
    tree = dict(modules())
    asked = {
        function.name
        for path in (f"agent/{name}.py" for name in ("service", "jobs_desk", "starts", "reading", "coordination_desk"))
        for function in ast.walk(tree[path])
        if isinstance(function, ast.FunctionDef) and any(name.endswith("guard.caller") for name, _ in calls(function))
    }
    operations = {
        "run", "retry", "get", "list_jobs", "read", "_write", "wait", "signal", "stop", "forget", "prune", "verify",
        "leftovers", "status", "shutdown", "_ask_about_keys", "_open", "_drop", "_ask", "_withdraw", "_renew", "_look",
    }  # fmt: skip
    assert operations <= asked
    assert Caller.__slots__ == ("_guard", "action", "rights", "who")
