"""The worker's program, as a real process; this test is its agent and its client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.functions import messages, outcome, setup
from holdfast.functions.errors import CallRefused, CallTimeout, CallTooLarge, RemoteError
from holdfast.functions.messages import CANCELLED, NO_MODULE, PROGRESS, RECALLED, MessageParser
from tests.e2e.harness import worker_functions as work
from tests.e2e.harness.worker_end import LIMIT_S, WorkerEnd, eventually, first_call, worker

KINDS = ["processes", "threads", "coroutines"]

pytestmark = pytest.mark.usefixtures("time_limit")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the worker finds its agent."""
    return tmp_path


@pytest.fixture
def end(place: Path) -> Iterator[WorkerEnd]:
    """A worker of kind processes."""
    with worker(place) as made:
        yield made


# --- calls, in every kind --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_calls_are_made_and_answered(place: Path, kind: str) -> None:
    with worker(place, kind=kind, at_once=4) as end:
        assert end.pipe.worker is not None
        assert end.pipe.worker.pid == end.process.pid
        assert end.pipe.worker.python == ".".join(map(str, sys.version_info[:3]))
        assert end.pipe.worker.cpus == len(os.sched_getaffinity(0))
        numbers = [end.call(work.add, n, right=n) for n in range(300)]
        assert [end.result(number) for number in numbers] == [2 * n for n in range(300)]
        with pytest.raises(ValueError, match="no") as caught:
            end.result(end.call(work.fail, "no"))
        assert isinstance(caught.value, RemoteError)
        assert "raise ValueError(text)" in caught.value.remote_traceback
        assert "holdfast/functions" not in caught.value.remote_traceback
        assert end.leave() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_says_what_was_begun_and_ended_and_goes_with_an_orderly_end(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        assert end.noted == (0, 0, False, "")
        end.result(end.call(work.add, 1))
        wait = end.call(work.await_file if kind == "coroutines" else work.wait_for, str(place / "go"))
        eventually(lambda: end.noted == (wait, wait - 1, False, ""))
        (place / "go").touch()
        end.result(wait)
        assert end.noted == (wait, wait, False, "")
        assert end.leave() == 0
        assert end.noted is None


def test_the_record_outlives_a_kill(place: Path) -> None:
    with worker(place) as end:
        end.result(end.call(work.add, 1))
        end.call(work.die, signal.SIGKILL)
        assert end.process.wait(LIMIT_S) == -signal.SIGKILL
        assert end.noted == (2, 1, False, "")


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_imported_comes_back(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        number = end.add(b"nno_such_module:f", 0, b"\x92\x90\x80")
        end.flush()
        assert end.returned(number) == NO_MODULE + b"no_such_module"
        number = end.add(b"nsys:maxsize", 0, b"\x92\x90\x80")
        end.flush()
        with pytest.raises(CallRefused, match="not callable") as caught:
            end.result(number)
        assert caught.value.ran == "no"
        assert end.result(end.call(work.add, 1)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_results_that_are_not_plain_need_the_client_s_consent(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        with pytest.raises(CallRefused, match=r"^the result is a .*\.Unplain$") as caught:
            end.result(end.call(work.unplain, 3))
        assert caught.value.ran == "yes"
        assert end.result(end.call(work.echo, {1: (2,)})) == {1: (2,)}
        assert end.result(end.call(lambda x: x + 1, 3)) == 4
        assert end.leave() == 0
    with worker(place, kind=kind, pickles=True) as end:
        assert end.result(end.call(work.unplain, 3)) == work.Unplain(3)
        with pytest.raises(ValueError, match="no") as raised:
            end.result(end.call(work.fail, "no"))
        assert type(raised.value) is ValueError


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_value_goes_there_and_back(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        assert end.result(end.call(work.echo, bytes(5_000_000))) == bytes(5_000_000)


def test_a_worker_holds_back_when_nobody_takes_its_results(place: Path) -> None:
    """Sixteen results of 16 MiB, none of them acknowledged: it must stop beginning calls in time."""
    size = 16 << 20
    with worker(place) as end:
        numbers = [
            end.add(b"n" + work.__name__.encode() + b":fill", 0, b"\x92\x91\xce\x01\0\0\0\x80") for _ in range(16)
        ]
        end.flush()
        assert end.conn is not None
        parser, kept = MessageParser(), 0
        end.conn.settimeout(1.0)
        try:
            while True:
                kept += sum(len(body) for _, _, body in parser.feed(end.conn.recv(1 << 20)))
        except TimeoutError:
            pass
        assert kept <= 6 * size
        end.conn.settimeout(LIMIT_S)
        end.cut()
        end.attach()
        assert [len(end.result(number)) for number in numbers] == [size] * 16


# --- one at a time ---------------------------------------------------------------------------------------------------


def test_a_long_call_makes_the_worker_give_back_what_it_has_not_begun(place: Path, end: WorkerEnd) -> None:
    long = end.call(work.wait_for, str(place / "go"))
    others = [end.call(work.mark, str(place / "marks")) for _ in range(5)]
    assert [end.returned(number) for number in others] == [RECALLED] * 5
    late = end.call(work.mark, str(place / "marks"))
    assert end.returned(late) == RECALLED
    assert not (place / "marks").exists()
    (place / "go").touch()
    assert end.result(long) == "go"
    assert end.result(end.call(work.add, 1)) == 2


def test_what_has_ended_is_sent_before_a_long_call_is_over(place: Path, end: WorkerEnd) -> None:
    end.result(end.call(work.add, 0))  # from now on the module is there
    short = end.add(b"n" + work.__name__.encode() + b":add", 0, b"\x92\x91\x01\x80")
    long = end.call(work.wait_for, str(place / "go"))
    assert end.result(short) == 2
    assert long not in end.outcomes
    (place / "go").touch()
    assert end.result(long) == "go"


def test_a_worker_tells_how_long_its_calls_take(end: WorkerEnd) -> None:
    for _ in range(3):
        end.result(end.call(work.sleep, 0.05))
    end.until(lambda: end.paces)
    assert end.paces[-1] >= 50_000
    for _ in range(20):
        end.result(end.call(work.add, 1))
    end.until(lambda: len(end.paces) >= 20)
    assert min(end.paces) < 50_000


def test_a_limit_ends_the_process_and_the_record_tells_where_it_was(place: Path, end: WorkerEnd) -> None:
    end.result(end.call(work.add, 1))  # from now on the module is there
    end.call(work.sleep, 3600, limit_s=0.3)
    assert end.process.wait(LIMIT_S) == 1
    assert end.noted is not None
    assert end.noted[:2] == (2, 1)
    assert end.noted.timeout
    assert end.noted.where.count("\n") == 2
    assert end.noted.where.endswith("in sleep\n")


def test_a_limit_ends_a_call_that_never_lets_go_of_the_interpreter(end: WorkerEnd) -> None:
    end.call(work.hold_the_interpreter, limit_s=0.2)
    assert end.process.wait(LIMIT_S) == 1
    assert end.noted is not None
    assert end.noted.timeout
    assert "in hold_the_interpreter" in end.noted.where


def test_a_limit_holds_for_its_own_call_alone(end: WorkerEnd) -> None:
    assert end.result(end.call(work.add, 1)) == 2
    assert end.result(end.call(work.add, 1, limit_s=1.0)) == 2
    assert end.result(end.call(work.sleep, 1.3)) == 1.3
    assert end.noted == (3, 3, False, "")


def test_a_call_that_was_asked_back_in_time_is_not_made(place: Path, end: WorkerEnd) -> None:
    """The first call keeps the worker busy, for a shorter time than after which it would give the others back."""
    marks = str(place / "marks")
    kept: list[int] = []
    for attempt in range(50):
        first = [end.add(b"n" + work.__name__.encode() + b":add", 0, b"\x92\x91\x01\x80") for _ in range(200)]
        flags, arguments = 0, b"\x92\x91" + bytes([0xD9, len(marks)]) + marks.encode() + b"\x80"
        number = end.add(b"n" + work.__name__.encode() + b":mark", flags, arguments)
        end.pipe.cancel(number)
        end.flush()
        for each in first:
            end.result(each)
        kind, body = end.outcome(number)
        if kind == messages.RETURNED:
            assert body == CANCELLED
            kept.append(attempt)
    assert kept
    begun = len(Path(marks).read_text().splitlines()) if os.path.exists(marks) else 0
    assert begun == 50 - len(kept)


def test_a_forked_child_does_not_go_on_as_a_worker(place: Path, end: WorkerEnd) -> None:
    assert end.result(end.call(work.fork_and_return)) == end.process.pid
    assert end.result(end.call(work.add, 1)) == 2
    child = end.result(end.call(work.leave_a_child, str(place / "go")))
    end.call(work.die, signal.SIGKILL)
    assert end.conn is not None
    try:
        while end.conn.recv(1 << 16):  # ends although the child lives: it has no part of the connection
            pass
        assert os.path.exists(f"/proc/{child}")
    finally:
        (place / "go").touch()


def test_an_interrupt_is_an_exception_of_the_call_and_without_one_the_end(end: WorkerEnd) -> None:
    assert end.result(end.call(work.interrupt)) == "interrupted"
    assert end.result(end.call(work.add, 1)) == 2
    end.process.send_signal(signal.SIGINT)
    assert end.process.wait(LIMIT_S) == -signal.SIGINT


@pytest.mark.parametrize("kind", KINDS)
def test_term_ends_it_at_once(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        end.call(work.wait_for, str(place / "never"))
        eventually(lambda: end.noted is not None and end.noted.started == 1)
        end.process.terminate()
        assert end.process.wait(LIMIT_S) == -signal.SIGTERM


def test_exits_of_a_function_are_exceptions_of_the_call(end: WorkerEnd) -> None:
    for code in (3, None, "words"):
        with pytest.raises(SystemExit) as caught:
            end.result(end.call(work.leave, code))
        assert caught.value.code == code


# --- threads and coroutines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["threads", "coroutines"])
def test_many_calls_wait_at_a_time_and_no_more_than_allowed(place: Path, kind: str) -> None:
    wait, marks = (work.await_file if kind == "coroutines" else work.wait_for), str(place / "marks")
    with worker(place, kind=kind, at_once=8) as end:
        waiting = [end.call(wait, str(place / "go")) for _ in range(8)]
        ninth = end.call(work.mark, marks)
        eventually(lambda: end.noted is not None and end.noted.started == 8)
        (place / "go").touch()
        assert [end.result(number) for number in waiting] == ["go"] * 8
        assert end.result(ninth) == end.process.pid
        assert Path(marks).read_text() == "begun\n"
        assert end.leave() == 0


@pytest.mark.parametrize("kind", ["threads", "coroutines"])
def test_at_its_limit_a_call_is_answered_and_the_others_go_on(place: Path, kind: str) -> None:
    wait = work.await_file if kind == "coroutines" else work.wait_for
    with worker(place, kind=kind, at_once=2) as end:
        end.result(end.call(work.add, 1))
        other = end.call(wait, str(place / "go"))
        late = end.call(wait, str(place / "never"), limit_s=0.2)
        with pytest.raises(CallTimeout, match=r"longer than 0\.2 s") as caught:
            end.result(late)
        assert "sleep" in str(caught.value.__cause__)
        eventually(lambda: end.noted == (3, 1, False, ""))
        assert end.result(end.call(work.add, 1)) == 2
        (place / "go").touch()
        assert end.result(other) == "go"
        assert end.noted == (4, 4, False, "")
        assert end.leave() == 0


def test_a_thread_that_is_over_its_limit_gets_an_exception_and_is_replaced(place: Path) -> None:
    with worker(place, kind="threads", at_once=1) as end:
        told = place / "told"
        end.result(end.call(work.add, 1))
        with pytest.raises(CallTimeout):
            end.result(end.call(work.swallow_and_sleep, str(told), limit_s=0.2))
        assert end.result(end.call(work.add, 1)) == 2
        eventually(lambda: told.exists() and told.read_text() == "CallTimeout")
        assert end.leave() == 0


def test_a_call_that_runs_can_be_called_off(place: Path) -> None:
    with worker(place, kind="threads", at_once=1) as end:
        running = end.call(work.wait_for, str(place / "never"))
        eventually(lambda: end.noted is not None and end.noted.started == 1)
        waiting = end.call(work.mark, str(place / "marks"))
        end.pipe.cancel(waiting)
        end.pipe.cancel(running)
        end.flush()
        assert end.returned(waiting) == CANCELLED
        assert end.returned(running) == CANCELLED
        assert end.result(end.call(work.add, 1)) == 2
        assert not (place / "marks").exists()


def test_a_task_that_is_called_off_is_cancelled(place: Path) -> None:
    with worker(place, kind="coroutines", at_once=1) as end:
        running = end.call(work.await_cancelled, str(place / "cancelled"))
        waiting = end.call(work.mark, str(place / "marks"))
        eventually(lambda: end.noted is not None and end.noted.started == 1)
        end.pipe.cancel(waiting)
        end.pipe.cancel(running)
        end.flush()
        assert end.returned(waiting) == CANCELLED
        assert end.returned(running) == CANCELLED
        eventually((place / "cancelled").exists)
        assert end.result(end.call(work.add, 1)) == 2
        assert not (place / "marks").exists()


def test_threads_are_started_as_they_are_needed(place: Path) -> None:
    with worker(place, kind="threads", at_once=50) as end:
        names = {end.result(end.call(work.thread_name)) for _ in range(20)}
        assert names == {"call-1"}


# --- the connection --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_goes_on_after_any_number_of_cuts(place: Path, kind: str) -> None:
    with worker(place, kind=kind, at_once=4) as end:
        numbers = []
        for n in range(10):
            numbers += [end.call(work.add, n), end.call(work.mark, str(place / "marks"))]
            end.cut()
            end.attach()
        for number in numbers:
            end.result(number)
        assert (place / "marks").read_text() == "begun\n" * 10
        assert end.leave() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_waits_for_an_agent_that_is_away(place: Path, kind: str) -> None:
    with WorkerEndThatComesLate(place, kind) as end:
        assert end.result(end.call(work.add, 1)) == 2
        end.stop_listening()
        end.cut()
        end.listen()
        end.attach()
        assert end.result(end.call(work.add, 2)) == 3


class WorkerEndThatComesLate:
    """A worker that is there before anybody listens."""

    def __init__(self, place: Path, kind: str) -> None:
        self._end = WorkerEnd(place, listens=False, kind=kind)

    def __enter__(self) -> WorkerEnd:
        eventually(lambda: self._end.noted is not None)
        self._end.listen()
        return self._end.attach()

    def __exit__(self, *_: object) -> None:
        self._end.close()


def test_a_long_call_does_not_keep_a_worker_from_coming_back(place: Path, end: WorkerEnd) -> None:
    long = end.call(work.wait_for, str(place / "go"))
    eventually(lambda: end.noted is not None and end.noted.started == 1)
    end.cut()
    end.attach()
    assert end.returned(end.call(work.mark, str(place / "marks"))) == RECALLED
    (place / "go").touch()
    assert end.result(long) == "go"


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_makes_no_sense_is_hung_up_on(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        assert end.conn is not None
        end.conn.sendall(messages.encode(messages.RESULT, 1))
        assert end.conn.recv(100) == b""
        end.cut()
        end.attach()
        assert end.result(end.call(work.add, 1)) == 2


def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 120)
    place.mkdir()
    with worker(place) as end:
        assert end.result(end.call(work.add, 1)) == 2


# --- progress and prints ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_of_many_words_some_are_sent_and_the_last_one_always(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        number = end.call(work.report, 400, 0.001)
        assert end.result(number) == 400
        told = end.progress[number]
        assert told[0].done == 0
        assert told[-1] == messages.Progress(400, 400, "step 400")
        assert [each.done for each in told] == sorted({each.done for each in told})
        assert len(told) < 100


def test_coroutines_tell_how_far_they_are_each_for_itself(place: Path) -> None:
    with worker(place, kind="coroutines", at_once=3) as end:
        numbers = [end.call(work.report_from_a_coroutine, steps) for steps in (5, 6, 7)]
        for number, steps in zip(numbers, (5, 6, 7), strict=True):
            assert end.result(number) == steps
            assert end.progress[number][-1] == messages.Progress(steps, steps)


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_the_last_word_before_a_long_silence_is_heard(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        number = end.call(work.report_once_and_wait, str(place / "go"))
        end.until(lambda: end.progress.get(number, [])[-1:] == [messages.Progress(2, 9, "second")])
        (place / "go").touch()
        assert end.result(number) == "go"


def test_threads_of_a_function_tell_its_progress(end: WorkerEnd) -> None:
    number = end.call(work.report_from_a_thread)
    end.result(number)
    assert end.progress[number] == [messages.Progress(1, 2, "thread")]


@pytest.mark.parametrize("kind", KINDS)
def test_prints_are_the_job_s_output(place: Path, kind: str) -> None:
    with worker(place, kind=kind) as end:
        end.result(end.call(work.speak, "one"))
        assert end.process.stdout is not None
        assert end.process.stdout.readline() == b"one\n"
        end.result(end.call(work.speak, "half", end=""))
        assert os.read(end.process.stdout.fileno(), 100) == b"half"
        assert end.leave() == 0
        assert end.printed()[1] == "one\nhalf\n"


# --- surroundings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_finds_a_clean_place(place: Path, kind: str) -> None:
    with worker(place, kind=kind, argv=("program", "-x")) as end:
        found = end.result(end.call(work.surroundings))
        assert found["environment"] == ["HOLDFAST_JOB_ID"]
        assert found["argv"] == ["program", "-x"]
        assert found["main"] == []
        assert found["pickle"] == []
        assert found["first"] not in ("", os.getcwd())


def test_an_initializer_comes_first_and_once(place: Path) -> None:
    with worker(place, first=first_call(work.set_up, str(place / "marks"))) as end:
        assert end.result(end.call(work.is_set_up)) == "yes"
        assert end.result(end.call(work.is_set_up)) == "yes"
        assert (place / "marks").read_text() == "begun\n"


def test_a_failing_initializer_is_the_end_and_says_why(place: Path) -> None:
    end = WorkerEnd(place, first=first_call(work.fail, "not today"))
    try:
        assert end.process.wait(LIMIT_S) == 1
        assert "ValueError: not today" in end.printed()[1]
        assert end.noted is None
    finally:
        end.close()


def test_without_a_place_for_its_record_a_worker_does_not_begin(place: Path) -> None:
    (place / "workers").write_text("in the way")
    end = WorkerEnd(place)
    try:
        assert end.process.wait(LIMIT_S) == 1
        assert "cannot keep its record" in end.printed()[1]
    finally:
        end.close()


@pytest.mark.parametrize("words", [[], ["pool"], ["call"], ["pool", "more"]])
def test_started_by_hand_it_says_what_it_is(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "holdfast.functions.worker", *words], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"started as a job" in done.stderr


def test_orders_that_it_does_not_understand() -> None:
    environment = {**os.environ, "HOLDFAST_JOB_ID": "x", setup.SOCKET_VARIABLE: "/x", setup.SETUP_VARIABLE: "{"}
    command = [sys.executable, "-P", "-m", "holdfast.functions.worker", "pool"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 2
    assert b"does not understand its orders" in done.stderr


# --- one call alone --------------------------------------------------------------------------------------------------


def single(place: Path, call: setup.FirstCall, **options: Any) -> tuple[int, str, str]:
    """Exit status and both outputs of a worker that makes one call."""
    end = WorkerEnd(place, mode=setup.CALL, first=call, **options)
    try:
        out, err = end.printed()
        return end.process.returncode, out, err
    finally:
        end.close()


def test_a_durable_call_leaves_one_line_and_prints_elsewhere(place: Path) -> None:
    code, out, err = single(place, first_call(work.add, 3, 4))
    assert (code, out, err) == (0, '{"value":7}\n', "")
    code, out, err = single(place, first_call(work.speak, "hello"))
    assert (code, out, err) == (0, '{"value":null}\n', "hello\nhello\n")


def test_a_durable_call_that_raises(place: Path) -> None:
    code, out, err = single(place, first_call(work.fail, "not today"))
    assert code == 1
    assert "ValueError: not today" in err
    assert "holdfast/functions" not in err
    with pytest.raises(ValueError, match="not today") as caught:
        outcome.open_line(out.encode(), pickles=False)
    assert isinstance(caught.value, RemoteError)
    assert json.loads(out)["error"]["traceback"] == err
    code, out, err = single(place, first_call(work.leave, 3))
    assert code == 1
    with pytest.raises(SystemExit):
        outcome.open_line(out.encode(), pickles=False)


def test_a_durable_call_that_cannot_be_begun(place: Path) -> None:
    code, out, _ = single(place, setup.FirstCall(b"nno_such_module:f", 0, b"\x92\x90\x80"))
    assert code == 1
    with pytest.raises(CallRefused, match="no module 'no_such_module'") as caught:
        outcome.open_line(out.encode(), pickles=False)
    assert caught.value.ran == "no"


def test_a_durable_call_with_pickles(place: Path) -> None:
    _, out, _ = single(place, first_call(work.unplain, 3))
    with pytest.raises(CallRefused, match="Unplain"):
        outcome.open_line(out.encode(), pickles=True)
    _, out, _ = single(place, first_call(work.unplain, 3), pickles=True)
    assert outcome.open_line(out.encode(), pickles=True) == work.Unplain(3)


@pytest.mark.parametrize(
    ("call", "code", "out", "err"),
    [
        (first_call(work.add, 1), 0, "", ""),
        (first_call(work.speak, "hello"), 0, "hello\n", "hello\n"),
        (first_call(work.leave, None), 0, "", ""),
        (first_call(work.leave, 7), 7, "", ""),
        (first_call(work.leave, "words"), 1, "", "words\n"),
        (first_call(work.die, signal.SIGKILL), -9, "", ""),
        (first_call(work.fail, "no"), 1, "", "ValueError: no\n"),
        (setup.FirstCall(b"nno_such_module:f", 0, b"\x92\x90\x80"), 1, "", "no module 'no_such_module'\n"),
    ],
    ids=["returns", "prints", "exit-none", "exit-7", "exit-words", "killed", "raises", "no-module"],
)
def test_a_process_ends_as_one_of_multiprocessing(
    place: Path, call: setup.FirstCall, code: int, out: str, err: str
) -> None:
    found = single(place, call, result="none", name="Process-5")
    assert found[:2] == (code, out)
    assert found[2].endswith(err)
    if "ValueError" in err:
        assert found[2].startswith("Process Process-5:\nTraceback")


def test_a_single_call_tells_its_job_s_progress(place: Path) -> None:
    end = WorkerEnd(place, mode=setup.CALL, first=first_call(work.report_once_and_wait, str(place / "go")))
    try:
        end.accept()
        assert end.conn is not None
        told = _told(end.conn, 2)
        assert told == [messages.Progress(1, 9, "first"), messages.Progress(2, 9, "second")]
        (place / "go").touch()
        assert end.printed() == ('{"value":"go"}\n', "")
    finally:
        end.close()


def test_a_single_call_does_not_mind_an_agent_that_is_away(place: Path) -> None:
    end = WorkerEnd(place, mode=setup.CALL, first=first_call(work.report, 3, 0.0), listens=False)
    try:
        assert end.printed() == ('{"value":3}\n', "")
    finally:
        end.close()


def test_a_call_that_is_too_long_to_travel_with_the_start() -> None:
    with pytest.raises(CallTooLarge, match="CALL_BYTES is 1048576"):
        setup.environment(setup.WorkerSetup(), first_call(work.echo, bytes(messages.CALL_BYTES)))


def test_a_call_of_the_longest_kind_that_travels_with_the_start(place: Path) -> None:
    size = messages.CALL_BYTES - 200
    code, out, _ = single(place, first_call(work.echo, bytes(size)))
    assert code == 0
    assert outcome.open_line(out.encode(), pickles=False) == bytes(size)


def _told(conn: socket.socket, count: int) -> list[messages.Progress]:
    parser = MessageParser()
    told: list[messages.Progress] = []
    while len(told) < count:
        for kind, number, body in parser.feed(conn.recv(1 << 16)):
            assert (kind, number) == (PROGRESS, 0)
            told.append(messages.open_progress(body))
    return told
