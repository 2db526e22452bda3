"""Slots, queue, refusals and when to come back."""

from __future__ import annotations

import pytest

from holdfast.jobs.admission import START, Admission, Queued, Refused
from holdfast.types import JobId


def ids(*numbers: int) -> list[JobId]:
    return [JobId(f"job{number}") for number in numbers]


def test_slots_first_then_the_queue_then_a_refusal() -> None:
    admission = Admission(slots=2, queue=2)
    a, b, c, d, e = ids(1, 2, 3, 4, 5)
    assert [admission.offer(job, 0.0) for job in (a, b, c, d)] == [START, START, Queued(1), Queued(2)]
    refused = admission.offer(e, 0.0)
    assert isinstance(refused, Refused)
    assert refused.reason == "queue_full"
    assert refused.retry_after_s is not None
    assert (admission.running, admission.waiting) == (2, 2)
    assert admission.finished(b, 1.0) == [c]
    assert admission.offer(e, 1.0) == Queued(2)
    admission.validate()


def test_the_queue_is_in_order_of_arrival_also_past_withdrawals() -> None:
    admission = Admission(slots=1)
    a, b, c, d = ids(1, 2, 3, 4)
    for job in (a, b, c, d):
        admission.offer(job, 0.0)
    admission.withdraw(b)
    admission.withdraw(b)
    assert admission.finished(a, 1.0) == [c]
    assert admission.finished(c, 1.0) == [d]
    assert admission.finished(d, 1.0) == []
    admission.validate()


def test_a_job_that_never_began_goes_to_the_head() -> None:
    admission = Admission(slots=1)
    a, b, c = ids(1, 2, 3)
    for job in (a, b, c):
        admission.offer(job, 0.0)
    assert admission.requeue(a) == [a]
    assert admission.finished(a, 1.0) == [b]


def test_recovered_jobs_keep_their_places_above_all_limits() -> None:
    admission = Admission(slots=1, queue=1)
    for job in ids(1, 2):
        admission.restore(job, running=True)
    for job in ids(3, 4, 5):
        admission.restore(job, running=False)
    assert (admission.running, admission.waiting) == (2, 3)
    assert admission.startable() == []
    assert admission.finished(JobId("job1"), 0.0) == []
    assert admission.finished(JobId("job2"), 0.0) == [JobId("job3")]
    admission.validate()


def test_nothing_new_while_the_disk_is_low_or_the_agent_leaves() -> None:
    admission = Admission(slots=1)
    admission.disk_low = True
    refused = admission.offer(JobId("a"), 0.0)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.retry_after_s) == ("disk_low", 10.0)
    admission.disk_low = False
    admission.draining = True
    assert admission.offer(JobId("a"), 0.0) == Refused("draining", None)


def test_when_to_come_back_follows_the_drain_rate() -> None:
    admission = Admission(slots=1, queue=0)
    admission.offer(JobId("x"), 0.0)
    assert admission.retry_after_s(0.0) == 10.0, "nothing is known yet"
    now = 0.0
    for number in range(600):  # two minutes at five a second
        now += 0.2
        admission.finished(JobId("x") if number == 0 else JobId(f"j{number - 1}"), now)
        admission.offer(JobId(f"j{number}"), now)
    assert admission.retry_after_s(now) == pytest.approx(2 / 5, rel=0.05)
    assert admission.retry_after_s(now + 60) == pytest.approx(2 / 5 * 7.39, rel=0.05), "it has become slow"
    assert admission.retry_after_s(now + 9999) == 60.0


def test_a_clock_that_stands_still_is_harmless() -> None:
    admission = Admission(slots=1000)
    for job in ids(*range(500)):
        admission.offer(job, 5.0)
    for job in ids(*range(500)):
        admission.finished(job, 5.0)
    assert 0.05 <= admission.retry_after_s(5.0) <= 60


def test_a_job_is_admitted_once() -> None:
    admission = Admission(slots=1)
    for job in ids(1, 2):
        admission.offer(job, 0.0)
        with pytest.raises(ValueError, match="already"):
            admission.offer(job, 0.0)
        with pytest.raises(ValueError, match="already"):
            admission.restore(job, running=True)


@pytest.mark.parametrize(("slots", "queue"), [(0, 1), (1, -1)])
def test_senseless_limits(slots: int, queue: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        Admission(slots=slots, queue=queue)
