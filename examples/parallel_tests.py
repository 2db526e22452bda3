"""Many commands at once over one connection, results as they come; a slow one is ended by its own time limit."""

import asyncio
import sys

import holdfast
from holdfast import aio

SUITES = {
    "fast": ["sh", "-c", "sleep 0.1; echo 12 passed"],
    "red": ["sh", "-c", "echo 1 failed; exit 1"],
    "slow": ["sleep", "60"],
    "good": ["sh", "-c", "sleep 0.2; echo 7 passed"],
}


async def test(host: aio.Host, name: str, command: list[str]) -> tuple[str, bool, str]:
    """Run one suite; returns its name, whether it passed, and a line about it."""
    try:
        done = await host.run(command, text=True, timeout=1.0, grace=0.5)
    except holdfast.TimeoutExpired:
        return name, False, "took longer than a second and was ended"
    return name, done.returncode == 0, done.stdout.strip()


async def main() -> int:
    async with aio.connect() as host:
        red = 0
        for finished in asyncio.as_completed([test(host, name, command) for name, command in SUITES.items()]):
            name, passed, line = await finished
            red += not passed
            print(f"{name:5} {'ok ' if passed else 'RED'} {line}")
    print(f"{len(SUITES) - red} of {len(SUITES)} passed")
    return 0 if red == 2 else 1  # this example has two red suites on purpose


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
