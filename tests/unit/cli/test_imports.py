"""What ``holdfast run`` loads: nothing that costs and is not used."""

from __future__ import annotations

import json
import subprocess
import sys

from holdfast.cli.app import VERBS

FORBIDDEN = {
    "asyncio", "concurrent.futures", "cryptography", "dataclasses", "email", "http", "importlib.metadata", "json",
    "logging", "multiprocessing", "pathlib", "platformdirs", "rich", "shutil", "sqlite3", "ssl", "tempfile", "tomllib",
    "traceback", "unittest", "uvloop",
}  # fmt: skip


def loaded(code: str) -> set[str]:
    """Names of all modules that a fresh interpreter has after this code."""
    script = f"{code}\nimport sys\nnames = sorted(sys.modules)\nimport json\nprint(json.dumps(names))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return set(json.loads(done.stdout))


def test_the_road_of_run() -> None:
    found = loaded("import holdfast.__main__, holdfast.cli.app, holdfast.cli.run, holdfast\nholdfast.connect")
    assert "holdfast.client.sync" in found
    bare = loaded("")
    assert not FORBIDDEN & (found - bare)
    assert not {f"holdfast.cli.{verb}" for verb in VERBS if verb != "run"} & found
    assert not {name for name in found if name.startswith(("holdfast.agent", "holdfast.store", "holdfast.keeper"))}


HELP = """
import contextlib, io
from holdfast.cli.app import main
with contextlib.redirect_stdout(io.StringIO()) as shown:
    main(["--help"])
assert "Verbs:" in shown.getvalue()
"""


def test_help_imports_no_verb() -> None:
    assert not {f"holdfast.cli.{verb}" for verb in VERBS} & loaded(HELP)
