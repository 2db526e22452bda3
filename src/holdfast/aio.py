"""The asyncio API: ``async with holdfast.aio.connect() as host: done = await host.run(["uname", "-a"])``."""

from holdfast.client.aio import Connecting, Host, Job, Stdin, connect

__all__ = ["Connecting", "Host", "Job", "Stdin", "connect"]
