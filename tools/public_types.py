"""Checks the typing of the public face with ``basedpyright --verifytypes``: what users' type checkers will see.

The report covers every module of the package, since none is named with an underscore. Only the public face is judged:
the places that hold the public names. There, each annotation has to be written down and each function documented. What
is "partially unknown" through a class of the inner rooms is not judged: its name is known, which is all a user needs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FACE = (
    "holdfast.__init__",
    "holdfast.aio",
    "holdfast.client.aio",
    "holdfast.client.handles.HostBase",
    "holdfast.client.handles.JobBase",
    "holdfast.client.results",
    "holdfast.client.sync",
    "holdfast.errors",
    "holdfast.types",
)
FAULT = re.compile(r"missing type annotation|annotation is missing|is unknown|No docstring found for function")


def report() -> dict[str, Any]:
    """The type checker's report on the installed package.

    Raises:
        RuntimeError: the package was not found, or is not marked as typed.
    """
    folder = Path(sys.executable).parent  # the checker finds the package through the `python` it finds on PATH
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(folder / "basedpyright"), "--verifytypes", "holdfast", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    except (ValueError, KeyError):
        raise RuntimeError(f"no report: {done.stdout}{done.stderr}") from None
    if not found.get("pyTypedPath"):
        raise RuntimeError("the package was not found, or has no py.typed")
    return found


def faults(found: dict[str, Any]) -> Iterator[str]:
    """One line for each name of the public face whose type or documentation is incomplete."""
    for symbol in found["symbols"]:
        if not _is_public(symbol["name"]):
            continue
        for diagnostic in symbol["diagnostics"]:
            message = diagnostic["message"].replace("\n", " ")
            if FAULT.search(message):
                yield f"{symbol['name']}: {message}"


def _is_public(name: str) -> bool:
    parts = name.split(".")
    inside = any(name.startswith(f"{module}.") for module in FACE) or (len(parts) == 2 and parts[1] != "__main__")
    return inside and not any(part.startswith("_") and part != "__init__" for part in parts[1:])


def main() -> int:
    found = report()
    lines = sorted(set(faults(found)))
    judged = [symbol for symbol in found["symbols"] if _is_public(symbol["name"])]
    for line in lines:
        print(line, file=sys.stderr)
    print(f"{len(judged)} public names, {len(lines)} faults")
    return int(bool(lines) or not judged)


if __name__ == "__main__":
    sys.exit(main())
