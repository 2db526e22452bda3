"""CPython's ``test.lock_tests``, run against the locks, semaphores, conditions, events and barriers of Holdfast."""

from __future__ import annotations

from tests.conformance.cpython import Suite
from tests.conformance.subject import subject

SUITE = Suite("lock_tests", __name__)

if not SUITE.missing:
    LockTests = SUITE.adapt("LockTests", SUITE.get("LockTests"), locktype=staticmethod(subject.Lock))
    RLockTests = SUITE.adapt("RLockTests", SUITE.get("RLockTests"), locktype=staticmethod(subject.RLock))
    EventTests = SUITE.adapt("EventTests", SUITE.get("EventTests"), eventtype=staticmethod(subject.Event))
    ConditionTests = SUITE.adapt(
        "ConditionTests", SUITE.get("ConditionTests"), condtype=staticmethod(subject.Condition)
    )
    ConditionAsRLockTests = SUITE.adapt(
        "ConditionAsRLockTests", SUITE.get("RLockTests"), locktype=staticmethod(subject.Condition)
    )
    SemaphoreTests = SUITE.adapt("SemaphoreTests", SUITE.get("SemaphoreTests"), semtype=staticmethod(subject.Semaphore))
    BoundedSemaphoreTests = SUITE.adapt(
        "BoundedSemaphoreTests", SUITE.get("BoundedSemaphoreTests"), semtype=staticmethod(subject.BoundedSemaphore)
    )
    BarrierTests = SUITE.adapt("BarrierTests", SUITE.get("BarrierTests"), barriertype=staticmethod(subject.Barrier))
