"""The neighbour's server: an AsyncSSH server on loopback that runs each session's command as a local process.

``python -m bench.asyncssh_server FOLDER`` makes the keys of both sides in the folder (0700), listens on a free port of
127.0.0.1, prints the port, and ends with its standard input. Only the key of this run is let in.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Final

import asyncssh

KEY: Final = "client"
"""Name of the client's private key in the folder; the file of known hosts is beside it."""


async def serve_command(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """One session: the command in a shell, as an SSH server has it, its output passed on, its status told."""
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec {process.command}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as command:  # fmt: skip
        await process.redirect(stdout=command.stdout, stderr=command.stderr)
        await _ended(command.pid)
        await process.stdout.drain()
        process.exit(command.wait())


async def _ended(pid: int) -> None:
    """Wait for a child without a thread: a pidfd is readable once its process has ended (pidfd_open(2))."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    pidfd = os.pidfd_open(pid)
    try:
        loop.add_reader(pidfd, ended.set)
        await ended.wait()
        loop.remove_reader(pidfd)
    finally:
        os.close(pidfd)


async def main(folder: str) -> None:
    """Serve until the end of the input."""
    host_key, client_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    path = os.path.join(folder, KEY)
    client_key.write_private_key(path)
    client_key.write_public_key(f"{path}.pub")
    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=f"{path}.pub", config=None,
        process_factory=serve_command, encoding=None,
    )  # fmt: skip
    port = listener.get_port()
    public = host_key.export_public_key().decode().strip()
    with open(f"{path}.hosts", "w", encoding="ascii") as file:
        file.write(f"[127.0.0.1]:{port} {public}\n")
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    listener.close()
    await listener.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
