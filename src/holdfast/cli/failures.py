"""An error nobody expected: one line for the user, the details into a file."""

from __future__ import annotations

import os
import sys
import time

from holdfast.cli.voice import write_quietly


def report_crash(exc: Exception) -> str:
    """The line to print about an unexpected error; its traceback goes to a file, or out with HOLDFAST_LOG=debug."""
    import traceback

    details = "".join(traceback.format_exception(exc))
    summary = f"internal error: {type(exc).__name__}: {exc}".splitlines()[0]
    unknown = "whether the command ran is unknown, see `holdfast ps -a`"
    if os.environ.get("HOLDFAST_LOG") == "debug":
        write_quietly(2, details.encode("utf-8", "backslashreplace"))
        return f"{summary}; {unknown}"
    path = _write_details(details)
    if path is None:
        return f"{summary}; {unknown}; HOLDFAST_LOG=debug shows the details"
    return f"{summary}; {unknown}; the details are in {path}"


def _write_details(details: str) -> str | None:
    from holdfast.config import load

    try:
        state_dir = load().state_dir
        folder = os.path.join(state_dir, "crashes")
        os.makedirs(state_dir, mode=0o700, exist_ok=True)  # by itself: makedirs gives parents the usual mode
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, time.strftime(f"%Y%m%dT%H%M%SZ-{os.getpid()}.txt", time.gmtime()))
        with open(path, "x", encoding="utf-8", errors="backslashreplace", opener=_private) as file:
            file.write(f"{sys.version}\n{sys.argv!r}\n\n{details}")
    except Exception:  # reporting a failure must not fail: whatever is wrong here, the first error is what counts
        return None
    return path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
