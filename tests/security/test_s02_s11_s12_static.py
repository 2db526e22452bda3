"""S2: names from the wire meet closed tables alone. S11: an agent opens no pickle, and a client none that it was not
told to trust. S12: nor does it import anything for a result, or look up what is not there already.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from types import ModuleType

import msgspec
import pytest

from holdfast.functions.errors import RemoteError
from holdfast.functions.raised import Raised, open_error
from holdfast.wire.messages import AnyRequest
from holdfast.wire.requests import REQUEST_NAMES
from tests.security.sources import ROOT, calls, modules

LOOKS_UP = {
    *("getattr", "setattr", "delattr", "eval", "exec", "globals", "vars"),
    *("__import__", "import_module", "importlib.import_module"),
}
BY_NAME = {
    "__init__.py": "the module's own names, from a table",
    "agent/plan.py": "names of resource limits, from the module `resource` itself, once at import",
    "cli/app.py": "the verb, looked up in a table first",
    "cli/config.py": "fields of the settings, from their own list",
    "client/host_entries.py": "fields of an entry, from a constant",
    "functions/calls.py": "in a worker, the function that its client may run there; in a client, one of its own",
    "jobs/recovery.py": "columns of a decision table in that module",
    "lab/case.py": "parts of an experiment, whose name is in the lab's own table",
    "lab/cases/__init__.py": "an experiment, looked up in the lab's own table first",
    "lab/cases/coroutines/stopping.py": "modules of the standard library, from a constant: what was replaced in them",
    "lab/cases/coroutines/switching.py": "greenlet, which gevent brings along, by a constant",
    "lab/cases/gil/contest.py": "the interpreter's own module for sub-interpreters, by constants",
    "lab/cases/remote_exec/at_the_server.py": "one of two methods of a socket, from constants of that experiment",
    "lab/serving.py": "a server of the lab, by a name from its own table",
    "local.py": "the module's own names, from a table",
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


MAY_OPEN = {
    "functions/pickles.py": "in workers, and in clients for pools and queues that they have said to trust",
}
"""The only module that can open a pickle."""
ASK_TO_OPEN = {"functions/calls.py", "functions/raised.py", "client/coordination/values.py"}
"""The only modules that use it: in functions that are told whether pickles are to be opened."""
NEVER = ("agent/", "keeper/", "jobs/", "store/", "wire/", "transport/", "coordination/", "cli/")
"""Rooms that have nothing to do with functions as such; an agent consists of them."""


def test_s11_s12_nothing_else_opens_a_pickle() -> None:
    found = {path for path, tree in modules() if imports(tree) & OPENS_OBJECTS}
    assert found == set(MAY_OPEN)
    assert not any(path.startswith(NEVER) for path in MAY_OPEN)


def users(module: str) -> set[str]:
    """Who imports a module of ours, anywhere in its text."""
    parent, _, name = module.rpartition(".")
    found = set()
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (
                node.module == module or (node.module == parent and any(each.name == name for each in node.names))
            ):
                found.add(path)
    return found


def test_s11_s12_what_opens_pickles_is_used_where_it_is_asked_for() -> None:
    assert users("holdfast.functions.pickles") == ASK_TO_OPEN


def test_s11_an_agent_never_meets_what_opens_them() -> None:
    for module in ("calls", "raised", "perform", "outcome", "pickles", "single", "worker"):
        assert not any(path.startswith(NEVER) for path in users(f"holdfast.functions.{module}"))


@pytest.mark.parametrize(
    "code",
    [
        "import holdfast.agent.app",
        "import holdfast, holdfast.aio; holdfast.connect, holdfast.progress",
        "import holdfast.client.functions.executor, holdfast.client.functions.aio_executor",
        "import holdfast.functions.worker, holdfast.functions.in_order, holdfast.functions.threaded",
        "import holdfast.functions.single, holdfast.functions.looped",
    ],
)
def test_s11_nothing_loads_pickle_before_it_is_needed(code: str) -> None:
    told = f"{code}\nimport sys; print([name for name in sys.modules if 'pickle' in name])"
    assert subprocess.run([sys.executable, "-c", told], stdout=subprocess.PIPE, check=True).stdout == b"[]\n"


@pytest.mark.parametrize("module", ["this", "antigravity", "holdfast.not_there"])
def test_s12_an_exception_imports_nothing(module: str) -> None:
    """What a worker says of an exception's type is only compared with what is loaded here."""
    body = msgspec.msgpack.encode(Raised(module, "Error", "text"))
    before = set(sys.modules)
    error = open_error(body, pickles=True)
    assert type(error) is RemoteError
    assert module not in set(sys.modules) - before


def test_s12_an_exception_runs_no_code_of_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even of a class that is loaded, nor of a module that makes its names when they are asked for."""
    ran: list[str] = []

    class Trap(Exception):
        def __new__(cls, *args: object) -> Trap:
            ran.append("new")
            return super().__new__(cls)

        def __init__(self, *args: object) -> None:
            ran.append("init")

    lazy = ModuleType("lazy_module")
    lazy.__getattr__ = lambda name: ran.append(name)  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "lazy_module", lazy)
    Trap.__module__, Trap.__qualname__ = "trap_module", "Trap"
    trap = ModuleType("trap_module")
    trap.Trap = Trap  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trap_module", trap)
    assert isinstance(open_error(msgspec.msgpack.encode(Raised("trap_module", "Trap", "text")), pickles=False), Trap)
    assert type(open_error(msgspec.msgpack.encode(Raised("lazy_module", "Trap", "text")), pickles=False)) is RemoteError
    assert ran == []


def test_s11_s12_the_check_sees_an_import() -> None:
    assert imports(ast.parse("def f():\n    import pickle\n    from marshal import loads")) & OPENS_OBJECTS
