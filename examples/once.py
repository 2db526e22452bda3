"""An effect that must not happen twice: the key names it, so running this program again starts nothing."""

import subprocess
import sys
import tempfile
from pathlib import Path

import holdfast


def send_invoice(number: int, ledger: Path) -> str:
    """Append one line to the ledger, once for each invoice number, however often this is called."""
    with holdfast.connect() as host:
        done = host.run(
            ["sh", "-c", 'echo "invoice $1" >> "$2" && echo sent "$1"', "sh", str(number), str(ledger)],
            key=f"invoice-{number}",
            text=True,
            check=True,
        )
    return str(done.stdout).strip()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.txt"
        for _ in range(3):
            print(send_invoice(117, ledger))
        print(send_invoice(118, ledger))
        print("lines in the ledger:", len(ledger.read_text().splitlines()))
        try:
            with holdfast.connect() as host:
                host.run(["echo", "something else"], key="invoice-117")
        except holdfast.Conflict as error:
            print("another command under that key is refused; did it run?", error.ran)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:  # holdfast.CommandFailed is one of these
        sys.exit(f"the command failed: {error}")
