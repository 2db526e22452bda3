"""One round of one contestant, as a number."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Final

from bench.contestant import Answer, Order
from bench.worker import Worker

MS: Final = 1e3


def median_ms(order: Order) -> Callable[[Worker], float]:
    """The median of the calls of the order, in milliseconds."""
    return lambda worker: statistics.median(worker.ask(order).each_s) * MS


def rate(order: Order) -> Callable[[Worker], float]:
    """Calls of the order in a second."""
    return lambda worker: order.count / worker.ask(order).wall_s


def seconds(order: Order) -> Callable[[Worker], float]:
    """All of the order."""
    return lambda worker: worker.ask(order).wall_s


def rate_of_all(workers: Sequence[Worker], count: int, *, durable: bool = False) -> float:
    """So many commands by each worker, all at the same time; by the wall clock of the slowest."""
    for worker in workers:
        worker.tell(Order("serial", count, durable=durable))
    answers: list[Answer] = [worker.answer() for worker in workers]
    return count * len(workers) / max(answer.wall_s for answer in answers)


def amount(count: int) -> str:
    """Bytes for people."""
    return f"{count >> 30} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
