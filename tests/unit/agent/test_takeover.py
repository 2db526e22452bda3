"""Taking over what a shim leaves: short outputs into memory, long ones by rename, whatever a dead agent had begun."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from holdfast.agent import takeover
from holdfast.agent.live import LiveJob
from holdfast.errors import StorageError
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Job
from holdfast.jobs.output import EMPTY_DIGEST
from holdfast.jobs.spec import JobSpec
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.store.files import OutputFiles
from holdfast.store.writes import INLINE_OUTPUT_BYTES
from holdfast.types import STDERR, STDOUT, Cause, JobId

JOB = JobId("0123456789ab")


class Place:
    """A shim's directory and the job that it ran."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "shims" / "s"
        self.directory.mkdir(parents=True)
        for name in ("out", "err"):
            (self.directory / name).touch()
        self.files = OutputFiles(str(root))
        self.kept = root / "jobs" / JOB
        self.live = LiveJob(Job(JOB, JobSpec(), accepted_unix_s=0.0), "eve", Lease("keep"))

    def take(self, out: tuple[int | None, int] = (0, 0), err: tuple[int | None, int] = (0, 0)) -> int:
        ends = {STDOUT: out, STDERR: err}
        return takeover.take_output(self.files, None, str(self.directory), self.live, ends)[2]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.live.close()


def test_nothing_leaves_no_file_and_the_digest_of_nothing(place: Place) -> None:
    assert place.take() == 0
    assert place.live.out[STDOUT].digest == EMPTY_DIGEST
    assert place.live.out[STDOUT].final
    assert not place.kept.exists()


def test_short_output_is_read_and_its_file_stays_the_shims(place: Place) -> None:
    (place.directory / "out").write_bytes(b"x" * INLINE_OUTPUT_BYTES)
    assert place.take(out=(INLINE_OUTPUT_BYTES, 0)) == 0
    taken = place.live.out[STDOUT].as_taken()
    assert taken.inline == b"x" * INLINE_OUTPUT_BYTES
    assert taken.xxh3 == xxhash.xxh3_128_hexdigest(taken.inline)
    assert (place.directory / "out").exists()


def test_long_output_is_renamed_and_the_shim_is_told(place: Place) -> None:
    data = b"y" * (INLINE_OUTPUT_BYTES + 1)
    (place.directory / "err").write_bytes(data)
    assert place.take(err=(len(data), 0)) == messages.TAKEN_ERR
    assert (place.kept / "err").read_bytes() == data
    assert not (place.directory / "err").exists()
    assert place.live.out[STDERR].as_taken().inline is None


def test_very_long_output_is_left_to_a_thread_to_digest(place: Place) -> None:
    (place.directory / "out").write_bytes(b"z" * 1_100_000)
    place.take(out=(1_100_000, 0))
    channel = place.live.out[STDOUT]
    assert channel.digest is None
    assert channel.rest_of_digest()() == xxhash.xxh3_128_hexdigest(b"z" * 1_100_000)


def test_what_a_dead_agent_had_renamed_is_found_again(place: Place) -> None:
    data = b"k" * 100_000
    place.kept.mkdir(parents=True)
    (place.kept / "out").write_bytes(data)
    (place.directory / "out").unlink()
    assert place.take(out=(100_000, 0)) == messages.TAKEN_OUT
    assert place.live.out[STDOUT].bytes_from(0, 10) == b"k" * 10


def test_dropped_output_counts_from_what_is_kept(place: Place) -> None:
    with (place.directory / "out").open("wb") as file:
        file.seek(200_000)
        file.write(b"tail")
    assert place.take(out=(200_004, 200_000)) == 0
    taken = place.live.out[STDOUT].as_taken()
    assert (taken.length, taken.first, taken.inline) == (200_004, 200_000, b"tail")


def test_a_missing_spool_is_recorded_as_gone_and_not_as_empty(place: Place) -> None:
    (place.directory / "out").unlink()
    place.take(out=(500, 0))
    channel = place.live.out[STDOUT]
    assert (channel.length, channel.first, channel.digest) == (500, 500, None)


def test_of_a_lost_job_the_file_knows_the_length(place: Place) -> None:
    (place.directory / "out").write_bytes(b"so far")
    slots = control.Slots(note=control.Note(JOB, 1, err_first=3))
    ends = takeover.found_ends(slots)
    assert ends == {STDOUT: (None, 0), STDERR: (None, 3)}
    place.take(out=ends[STDOUT])
    assert place.live.out[STDOUT].as_taken().inline == b"so far"


def test_output_that_cannot_be_moved_is_an_error_and_stays_where_it_is(place: Place, tmp_path: Path) -> None:
    (place.directory / "out").write_bytes(b"w" * 100_000)
    (tmp_path / "jobs").write_text("in the way")
    with pytest.raises(StorageError):
        place.take(out=(100_000, 0))
    assert (place.directory / "out").stat().st_size == 100_000


def test_the_exit_slot_in_the_words_of_the_machine() -> None:
    record = control.Exit(
        JOB, 2, 9, control.TIMEOUT, by="", out_bytes=5, err_bytes=6, out_first=1, err_first=2, stdin_bytes=7,
        utime_us=1_500_000, stime_us=250_000, maxrss_kib=4, started_wall_ns=10**9, ended_wall_ns=3 * 10**9,
        tree=control.TREE_STUCK, left_count=2, supervisor=control.BY_KEEPER,
    )  # fmt: skip
    slots = control.Slots(note=control.Note(JOB, 2, pid_count=2, pids=(8, 9)))
    found = takeover.exit_record(record, slots)
    assert found.cause is Cause.TIMEOUT
    assert found.status is not None
    assert found.status.signal == 9
    assert (found.started_unix_s, found.ended_unix_s, found.stdin_bytes) == (1.0, 3.0, 7)
    assert found.usage is not None
    assert (found.usage.user_s, found.usage.system_s, found.usage.max_rss_bytes) == (1.5, 0.25, 4096)
    assert (found.tree, found.left, found.supervisor) == ("stuck", (8, 9), "keeper")
    assert takeover.recorded_ends(record) == {STDOUT: (5, 1), STDERR: (6, 2)}
    stranger = control.Slots(note=control.Note("ba9876543210", 1, pids=(1,)))
    assert takeover.exit_record(record, stranger).left == ()
    never = takeover.exit_record(control.Exit(JOB, 1, None, control.START_FAILED, errno=2, stage=2), control.Slots())
    assert (never.status, never.errno, never.stage, never.started_unix_s) == (None, 2, "executable", None)
