"""The asyncio API: ``async with holdfast.aio.connect() as host: done = await host.run(["uname", "-a"])``."""

from holdfast.client.aio import Connecting, Host, Job, Stdin, connect
from holdfast.client.coordination.awaiting import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore
from holdfast.client.coordination.queues_async import Item, Queue

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Connecting",
    "Event",
    "Host",
    "Item",
    "Job",
    "Lock",
    "Queue",
    "RLock",
    "Semaphore",
    "Stdin",
    "connect",
]
