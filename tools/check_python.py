"""Says in one line when the chosen Python is too old for Holdfast; runs on any Python 3, so its syntax is old."""

import sys

OLDEST = (3, 11)

if sys.version_info < OLDEST:
    sys.exit(
        "Holdfast needs Python %d.%d or newer, and %s is %d.%d; try: make PYTHON=python3.12 ..."  # noqa: UP031
        % (OLDEST + (sys.executable,) + tuple(sys.version_info[:2]))  # noqa: RUF005
    )
