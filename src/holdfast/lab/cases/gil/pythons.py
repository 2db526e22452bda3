"""Finds the interpreters of this machine that can show more than the one that runs the lab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from holdfast.lab.cases.gil.data import Python

NAMES: Final = tuple(f"python3.{minor}{kind}" for minor in (14, 13, 12) for kind in ("t", ""))
_ASK: Final = """
import json, sys, sysconfig
try:
    try:
        import _interpreters as found
    except ImportError:
        import _xxsubinterpreters as found
except ImportError:
    found = None
print(json.dumps({
    "version": sys.version.split()[0].rstrip("+"),
    "gil": not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "subinterpreters": found is not None,
}))
"""


def asked(executable: str) -> Python | None:
    """What an interpreter says of itself; None: it does not run."""
    try:
        ran = subprocess.run([executable, "-c", _ASK], capture_output=True, timeout=10, check=True)
        return msgspec.json.decode(ran.stdout, type=Python)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return None


def others() -> list[tuple[str, Python]]:
    """Interpreters of 3.12 and later, newest first: on the PATH, then those that pyenv has built."""
    found: dict[str, tuple[str, Python]] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    folders += sorted(pyenv.glob("*/bin"), reverse=True)
    for name in NAMES:
        for folder in folders:
            file = folder / name
            real = os.path.realpath(file)
            if os.access(file, os.X_OK) and real not in found and (python := asked(str(file))) is not None:
                found[real] = (str(file), python)
    return list(found.values())


def best() -> tuple[tuple[str, Python] | None, tuple[str, Python] | None]:
    """One whose sub-interpreters have a GIL each, and one that has none at all; None where there is no such one.

    The interpreter that runs the lab comes first.
    """
    own = asked(sys.executable)
    every = ([(sys.executable, own)] if own else []) + others()
    several = next((each for each in every if each[1].own_gil and each[1].gil), None)
    none = next((each for each in every if not each[1].gil), None)
    return several, none
