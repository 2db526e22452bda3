"""Runs ``make test`` once for each supported Python that is installed, each in an environment of its own.

A Python is looked for as ``pythonX.Y`` on PATH and in pyenv's versions folder. What is missing is said and is no
failure; a red suite is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")


def interpreter(version: str) -> str | None:
    """Path of a working interpreter of exactly this version ("3.12"), or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    return next((path for path in candidates if path and reported_version(path) == version), None)


def reported_version(path: str) -> str | None:
    """What the interpreter says it is; None if it does not run (a pyenv shim of an inactive version does not)."""
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def main() -> int:
    make = os.environ.get("MAKE", "make")
    outcome: dict[str, str] = {}
    for version in VERSIONS:
        path = interpreter(version)
        if path is None:
            outcome[version] = "not installed, not tested"
            continue
        print(f"== Python {version}: {path}", flush=True)
        code = subprocess.run([make, "test", f"PYTHON={path}", f"VENV=.venv-{version}"], check=False).returncode
        outcome[version] = "passed" if code == 0 else f"FAILED (exit {code})"
    for version, text in outcome.items():
        print(f"Python {version}: {text}")
    if not any(text == "passed" for text in outcome.values()):
        return 1
    return int(any(text.startswith("FAILED") for text in outcome.values()))


if __name__ == "__main__":
    sys.exit(main())
