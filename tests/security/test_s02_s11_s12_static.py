"""S2: names from the wire meet closed tables alone. S11, S12: nothing here opens a pickle.

There are no functions yet, so there is no worker that may open one either; when there is, it is the one exception.
"""

from __future__ import annotations

import ast
import re

import pytest

from holdfast.wire.messages import AnyRequest
from holdfast.wire.requests import REQUEST_NAMES
from tests.security.sources import ROOT, calls, modules

LOOKS_UP = {"getattr", "setattr", "delattr", "__import__", "importlib.import_module", "eval", "exec", "globals", "vars"}
BY_NAME = {
    "__init__.py": "the module's own names, from a table",
    "agent/plan.py": "names of resource limits, from the module `resource` itself, once at import",
    "cli/app.py": "the verb, looked up in a table first",
    "cli/config.py": "fields of the settings, from their own list",
    "client/host_entries.py": "fields of an entry, from a constant",
    "jobs/recovery.py": "columns of a decision table in that module",
    "store/memory.py": "tables of the journal's model for tests",
    "transport/tcp.py": "names of socket options, from a table in that place",
}
"""Rooms that turn a text into a name, and why that is no text of the wire."""
OPENS_OBJECTS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "copyreg", "joblib"}


def lookups(path: str, tree: ast.Module) -> list[str]:
    """Look-ups of a name that is no constant."""
    found = []
    for name, call in calls(tree):
        if name in LOOKS_UP:
            constant = len(call.args) > 1 and isinstance(call.args[1], ast.Constant)
            if name not in {"getattr", "setattr", "delattr"} or not constant:
                found.append(f"{path}:{call.lineno}: {name}")
    return found


def test_s02_the_dispatcher_serves_the_published_list() -> None:
    """Oracle: the specification, and the table as it stands in the source."""
    text = (ROOT / "src/holdfast/agent/service.py").read_text()
    table = re.search(r"self\._operations: dict\[type, Operation\] = \{(.*?)\n        \}", text, re.DOTALL)
    assert table is not None
    served = sorted(re.findall(r"^ +(?:\w+\.)?(\w+): ", table[1], re.MULTILINE))
    assert served == sorted(kind.__name__ for kind in AnyRequest.__args__)
    specification = (ROOT / "docs/spec/protocol.md").read_text()
    for name in REQUEST_NAMES:
        assert f"`{name}`" in specification, f"the request {name} is not in the specification"


def test_s02_no_name_of_the_wire_is_looked_up() -> None:
    found = [each for path, tree in modules() if path not in BY_NAME for each in lookups(path, tree)]
    assert found == []


def test_s02_the_exceptions_still_stand() -> None:
    there = dict(modules())
    assert all(lookups(path, there[path]) for path in BY_NAME)


@pytest.mark.parametrize("code", ["getattr(service, request.op)()", "globals()[name]()", "eval(text)"])
def test_s02_the_check_sees_a_look_up(code: str) -> None:
    assert lookups("agent/x.py", ast.parse(code))


def imports(tree: ast.Module) -> set[str]:
    """Top names of everything that a module imports, at any depth."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_s11_s12_nothing_opens_a_pickle() -> None:
    assert {path: bad for path, tree in modules() if (bad := imports(tree) & OPENS_OBJECTS)} == {}


def test_s11_s12_the_check_sees_an_import() -> None:
    assert imports(ast.parse("def f():\n    import pickle\n    from marshal import loads")) & OPENS_OBJECTS
