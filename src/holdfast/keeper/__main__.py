"""Starts a keeper: ``python -I -S __main__.py STATE_DIR KEEPER_FD -- AGENT ARGV...`` (see ``launch``)."""

from __future__ import annotations

import os
import sys


def _main() -> None:
    """Puts the package in place without running its ``__init__``: its public face would cost every shim memory."""
    package = type(sys)("holdfast")
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    sys.modules["holdfast"] = package
    from holdfast.keeper import keeper

    state_dir, fd, _, *agent_argv = sys.argv[1:]
    keeper.main(state_dir, int(fd), agent_argv)


if __name__ == "__main__":
    _main()
