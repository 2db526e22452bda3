"""Runs one of these programs on Holdfast: the same text, in which only the import is another, as its comment says.

python examples/notes/on_holdfast.py examples/notes/tickets.py
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORT = re.compile(r"^from \S+ (import .*\S) +# or: (holdfast\.local)$", re.MULTILINE)


def main() -> int:
    program = Path(sys.argv[1])
    text, changed = IMPORT.subn(r"from \2 \1", program.read_text())
    if not changed:
        sys.exit(f"{program}: no import in it says '# or: holdfast.local'")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / program.name
        copy.write_text(text)
        return subprocess.run([sys.executable, str(copy)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
