"""``python -m holdfast`` and the ``holdfast`` command."""

from __future__ import annotations


def main() -> int:
    """Run the command line; returns the exit code (see docs/reference/cli.md)."""
    from holdfast.cli.app import main as run

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
