"""``python -m holdfast`` and the ``holdfast`` command."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and end the process with its exit code (see docs/reference/cli.md).

    Start-up makes next to nothing but modules, so the collector is off until there is a connection; and the process
    ends without taking its modules apart again. Together this is a fifth of what ``holdfast run -- true`` costs.
    """
    gc.disable()
    try:
        from holdfast.cli.app import main as run

        code = run()
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream is not None:  # as it is where the descriptor was closed
                    stream.flush()
            except (OSError, ValueError):
                pass  # what could not be written was told when it was tried
    except KeyboardInterrupt:  # Ctrl-C while modules were loaded, when nothing was asked for yet; later run() sees it
        code = 128 + signal.SIGINT
    os._exit(code)


if __name__ == "__main__":
    main()
