"""Admission against a list: first come, first served, whatever happens."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.jobs.admission import Admission, Queued, Refused, Start
from holdfast.types import JobId


class AdmissionAgainstLists(RuleBasedStateMachine):
    @initialize(slots=st.integers(1, 3), queue=st.integers(0, 4))
    def begin(self, slots: int, queue: int) -> None:
        self.admission = Admission(slots=slots, queue=queue)
        self.running: list[JobId] = []
        self.waiting: list[JobId] = []
        self.count = 0
        self.now = 0.0

    def _started(self, jobs: list[JobId]) -> None:
        expected = self.waiting[: self.admission.slots - len(self.running)]
        assert jobs == expected
        del self.waiting[: len(expected)]
        self.running += expected

    @rule(low=st.booleans())
    def offer(self, low: bool) -> None:
        self.count += 1
        job = JobId(str(self.count))
        self.admission.disk_low = low
        match self.admission.offer(job, self.now):
            case Start():
                assert not self.waiting
                assert not low
                self.running.append(job)
            case Queued(position):
                self.waiting.append(job)
                assert position == len(self.waiting) <= self.admission.queue
                assert not low
            case Refused(reason, retry_after_s):
                assert low or len(self.waiting) >= self.admission.queue
                assert reason == ("disk_low" if low else "queue_full")
                assert retry_after_s is not None
                assert 0 < retry_after_s <= 60

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.running))
        self.running.remove(job)
        self._started(self.admission.finished(job, self.now))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), by_finish=st.booleans())
    def leave_the_queue(self, data: st.DataObject, by_finish: bool) -> None:
        job = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(job)
        if by_finish:
            self._started(self.admission.finished(job, self.now))
        else:
            self.admission.withdraw(job)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.running))
        self.running.remove(job)
        self.waiting.insert(0, job)
        self._started(self.admission.requeue(job))

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "admission"):
            self.admission.validate()
            assert (self.admission.running, self.admission.waiting) == (len(self.running), len(self.waiting))


AdmissionAgainstLists.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAdmission = AdmissionAgainstLists.TestCase
