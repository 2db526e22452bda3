"""CPython's ``test.test_queue``, run against the queues of Holdfast."""

from __future__ import annotations

import queue

from tests.conformance.cpython import Suite, overlaid
from tests.conformance.subject import subject

SUITE = Suite("test_queue", __name__)
ORDERS = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")

if not SUITE.missing:
    OURS = overlaid(queue, {name: getattr(subject, name) for name in ORDERS})
    QueueTest = SUITE.adapt("QueueTest", SUITE.get("QueueTest"), queue=OURS)
    LifoQueueTest = SUITE.adapt("LifoQueueTest", SUITE.get("LifoQueueTest"), queue=OURS)
    PriorityQueueTest = SUITE.adapt("PriorityQueueTest", SUITE.get("PriorityQueueTest"), queue=OURS)
    FailingQueueTest = SUITE.adapt("FailingQueueTest", SUITE.get("FailingQueueTest"), queue=OURS)
    SimpleQueueTest = SUITE.adapt("SimpleQueueTest", SUITE.get("CSimpleQueueTest"), queue=OURS)
