"""One command on several hosts at once: answers as they come, and one that cannot be reached costs only its own line.

With names of ``holdfast hosts`` as arguments it asks those. Without, it makes two agents on this machine, enrols with
them, adds a host that is not there, and puts everything away at the end.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import holdfast
from holdfast import aio

QUESTION = ["sh", "-c", "echo $(uname -s), $(nproc) processors"]


async def ask(name: str) -> tuple[str, bool, str]:
    """Ask one host; returns its name, whether it answered, and its answer or what was in the way."""
    try:
        async with aio.connect(name, timeout=5.0) as host:
            done = await host.run(QUESTION, text=True, timeout=10.0, check=True)
    except holdfast.Unauthorized as error:
        return name, False, f"our key is not taken: {error}"
    except holdfast.ConnectFailed as error:
        return name, False, f"not reached{f' ({error.layer})' if error.layer else ''}; did it run? {error.ran}"
    except holdfast.HoldfastError as error:
        return name, False, f"{error}; did it run? {error.ran}"
    return name, True, done.stdout.strip()


async def ask_all(names: list[str]) -> int:
    """Ask all of them at once; returns how many have answered."""
    answered = 0
    for finished in asyncio.as_completed([ask(name) for name in names]):
        name, well, line = await finished
        answered += well
        print(f"{name:8} {'ok ' if well else 'BAD'} {line}")
    print(f"{answered} of {len(names)} hosts have answered")
    return answered


@contextmanager
def trial_hosts(folder: Path) -> Iterator[list[str]]:
    """Names of two agents on this machine that this user is enrolled with, and of one that nobody can reach."""
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")  # names and keys of this trial alone
    states = [folder / name for name in ("web1", "web2")]
    try:
        for state in states:
            there = {**os.environ, "HOLDFAST_STATE_DIR": str(state)}
            subprocess.run(["holdfast", "agent", "start", "--listen", "tls://127.0.0.1:0"], env=there, check=True)
            invite = ["holdfast", "agent", "invite", "--role", "operator"]
            invitation = subprocess.run(invite, env=there, check=True, stdout=subprocess.PIPE).stdout
            subprocess.run(["holdfast", "host", "add", state.name, "-"], input=invitation, check=True)
        nowhere = f"unix://{folder}/nobody.sock"
        subprocess.run(["holdfast", "host", "add", "web3", "--address", nowhere], check=True)
        yield ["web1", "web2", "web3"]
    finally:
        for state in states:
            there = {**os.environ, "HOLDFAST_STATE_DIR": str(state)}
            subprocess.run(["holdfast", "agent", "stop", "--jobs"], env=there, check=False)


def main(names: list[str]) -> int:
    if names:
        return 0 if asyncio.run(ask_all(names)) == len(names) else 1
    with tempfile.TemporaryDirectory() as folder, trial_hosts(Path(folder)) as names:
        return 0 if asyncio.run(ask_all(names)) == 2 else 1  # the third is not there on purpose


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
