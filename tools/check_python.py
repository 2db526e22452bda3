"""Says in one line when the chosen Python is too old for Holdfast; any Python 3 can run this file."""

import sys

OLDEST = (3, 11)

if sys.version_info < OLDEST:
    sys.exit(
        "Holdfast needs Python {}.{} or newer, and {} is {}.{}; try: make install PYTHON=python3.12".format(
            *OLDEST, sys.executable, *sys.version_info[:2]
        )
    )
