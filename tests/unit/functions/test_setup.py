"""How a worker is told what it is, and what it notes about itself, and how often it tells how far it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.functions import progress, record, setup
from holdfast.functions.errors import CallTooLarge
from holdfast.functions.messages import CALL_BYTES, Progress, open_progress
from holdfast.functions.setup import FirstCall, WorkerSetup, environment, take_orders


@pytest.mark.parametrize("size", [0, 1, 70_000, 76_800, CALL_BYTES - 40])
def test_orders_pass_through_the_environment_and_are_gone_then(size: int) -> None:
    told = WorkerSetup(kind="threads", at_once=7, pickles=True, sys_path=("/a", "/ü"), argv=("p", "-x"), name="n")
    call = FirstCall(b"function", 1, os.urandom(size))
    variables = environment(told, call)
    assert all(len(value) <= setup.PIECE_CHARS for value in variables.values())
    variables["OTHER"] = "stays"
    assert take_orders(variables) == (told, call)
    assert variables == {"OTHER": "stays"}


def test_without_a_call_there_is_none() -> None:
    assert take_orders(environment(WorkerSetup())) == (WorkerSetup(), None)
    assert take_orders({}) == (WorkerSetup(), None)


def test_a_call_that_is_too_long_is_refused_here() -> None:
    with pytest.raises(CallTooLarge, match="the limit CALL_BYTES is 1048576"):
        environment(WorkerSetup(), FirstCall(b"f", 0, bytes(CALL_BYTES)))


@pytest.mark.parametrize(
    "variables",
    [
        {"HOLDFAST_WORKER": "{"},
        {"HOLDFAST_WORKER": '{"kind": "other"}'},
        {"HOLDFAST_CALL_0": "?"},
        {"HOLDFAST_CALL_0": "kA=="},
    ],
    ids=["no-json", "no-kind", "no-base64", "no-call"],
)
def test_orders_that_are_none(variables: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        take_orders(variables)


# --- the record ------------------------------------------------------------------------------------------------------


def test_what_is_noted_is_read_by_another_process_at_once(tmp_path: Path) -> None:
    path = record.path_of(str(tmp_path / "worker.sock"), "job")
    made = record.Record(path, "boot")
    try:
        assert record.read(path, "boot") == (0, 0, False, "")
        made.begun(2**40)
        assert record.read(path, "boot") == (2**40, 0, False, "")
        made.ended(2**40)
        assert record.read(path, "boot") == (2**40, 2**40, False, "")
        assert record.read(path, "next boot") is None
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
        made.timeout()
        assert record.read(path, "boot") == (2**40, 2**40, True, "")
        made.remove()
        assert record.read(path, "boot") is None
    finally:
        made.close()


def test_a_record_is_never_made_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "job").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError):
        record.Record(str(tmp_path / "workers" / "job"), "boot")
    assert (tmp_path / "victim").read_text() == "kept"


def test_of_all_stacks_the_call_s_own_part_is_told(tmp_path: Path) -> None:
    """As ``faulthandler`` writes them: the main thread last, the innermost frame first."""
    path = record.path_of(str(tmp_path / "worker.sock"), "job")
    made = record.Record(path, "boot")
    ours = os.path.join(os.path.dirname(record.__file__), "perform.py")
    text = (
        'Timeout (0:00:01)!\nThread 0x1 (most recent call first):\n  File "/other.py", line 1 in other\n\n'
        f'Thread 0x2 (most recent call first):\n  File "/user.py", line 3 in f\n  File "{ours}", line 5 in perform\n'
    )
    os.pwrite(made.fd, text.encode(), record.TEXT_AT)
    made.close()
    where = 'Thread 0x2 (most recent call first):\n  File "/user.py", line 3 in f\n'
    assert record.read(path, "boot") == (0, 0, True, where)


# --- progress --------------------------------------------------------------------------------------------------------


class Told:
    """What a sink has sent, and a clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.sent: list[tuple[int, Progress]] = []
        self.sink = progress.Sink(lambda number, body: self.sent.append((number, open_progress(body))), 7)
        monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: self.now))


def test_ten_a_second_are_sent_and_the_last_one_always(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch)
    for step in range(1000):
        told.now += 0.001
        told.sink.tell(Progress(step))
    assert 9 <= len(told.sent) <= 11
    told.sink.flush()
    assert told.sent[-1] == (7, Progress(999))
    told.sink.flush()
    assert [each.done for _, each in told.sent].count(999) == 1


def test_what_was_kept_is_sent_when_its_time_has_come_and_is_of_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch)
    told.sink.tell(Progress(1))
    told.sink.tell(Progress(2))
    told.sink.send_if_due()
    assert told.sent == [(7, Progress(1))]
    told.sink.number = 8
    told.now += 2 * progress.EVERY_S
    told.sink.send_if_due()
    assert told.sent == [(7, Progress(1)), (7, Progress(2))]


def test_outside_of_a_call_progress_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    progress.progress(1, 2, "nobody")
    told = Told(monkeypatch)
    progress.bind_process(told.sink)
    progress.progress(1, 2, "text")
    other = Told(monkeypatch)
    progress.bind_call(other.sink)
    progress.progress(3)
    progress.bind_call(None)
    progress.bind_process(None)
    progress.progress(4)
    assert told.sent == [(7, Progress(1, 2, "text"))]
    assert other.sent == [(7, Progress(3))]
