"""What a keeper loads: every module is memory in every shim, and a way to break."""

from __future__ import annotations

import subprocess
import sys

from holdfast.keeper import __main__ as entry

HEAVY = {"typing", "re", "json", "dataclasses", "socket", "selectors", "subprocess", "asyncio", "logging", "threading",
         "traceback", "inspect", "contextlib", "tempfile", "msgspec", "site"}  # fmt: skip


ENTER = f"""
names = {{"__file__": {entry.__file__!r}, "__name__": "entry"}}
exec(open(names["__file__"]).read(), names)
try:
    names["_main"]()
except ValueError:
    print("entered")
"""


def test_a_keeper_loads_little() -> None:
    """Without its arguments the entry fails after its imports, of which the interpreter keeps a list.

    It is caught: to print a traceback, 3.13 imports much more.
    """
    command = [sys.executable, "-I", "-S", "-X", "importtime", "-c", ENTER]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout == "entered\n"
    loaded = {line.rsplit("|")[-1].strip() for line in ended.stderr.splitlines() if line.startswith("import time:")}
    assert "holdfast.keeper.keeper" in loaded
    assert not loaded & HEAVY
    ours = {module for module in loaded if module.startswith("holdfast.")}
    assert {module for module in ours if not module.startswith("holdfast.keeper")} == {
        "holdfast.store",
        "holdfast.store.control",
    }
