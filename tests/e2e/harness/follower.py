"""A client as a program: follows a command on a host, and writes down when bytes come and when the link changes.

One JSON document a line: ``{"at": seconds, "bytes": so many so far}``, ``{"at": ..., "link": "lost", "pause_s": until
the next attempt}``, and at the end ``{"at": ..., "digest": SHA-256 of all output, "code": exit code}``. Times are those
of CLOCK_MONOTONIC, which all processes of a machine share, whatever network they live in.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from typing import Any

import holdfast
from holdfast import aio


def say(**fields: Any) -> None:
    """One line."""
    print(json.dumps({"at": time.monotonic(), **fields}), flush=True)


def changed(change: holdfast.LinkChange) -> None:
    """The link was lost, or is there again."""
    say(link=change.kind, pause_s=change.delay_s)


class Taken:
    """What has come."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._bytes = 0

    def take(self, chunk: bytes) -> None:
        """The next bytes."""
        self._digest.update(chunk)
        self._bytes += len(chunk)
        say(bytes=self._bytes)

    def finish(self, code: int) -> None:
        """The end."""
        say(digest=self._digest.hexdigest(), code=code)


def blocking(name: str, argv: list[str]) -> None:
    """With the blocking face."""
    taken = Taken()
    with holdfast.connect(name, timeout=20.0, on_link_event=changed) as host:
        job = host.start(argv)
        for _, chunk in job.output():
            taken.take(chunk)
        taken.finish(job.wait())


async def awaited(name: str, argv: list[str]) -> None:
    """With asyncio."""
    taken = Taken()
    async with aio.connect(name, timeout=20.0, on_link_event=changed) as host:
        job = await host.start(argv)
        async for _, chunk in job.output():
            taken.take(chunk)
        taken.finish(await job.wait())


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        blocking(sys.argv[2], sys.argv[3:])
    else:
        asyncio.run(awaited(sys.argv[2], sys.argv[3:]))
