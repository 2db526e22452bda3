"""The thread for callbacks and prints: order, ends, and an interpreter that starts no more threads."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from holdfast.client.functions.aside import Aside, Outlet


def test_acts_are_done_in_order_by_a_thread_of_their_own() -> None:
    aside = Aside("acts")
    done: list[tuple[int, str]] = []
    for n in range(100):
        aside.do(lambda n=n: done.append((n, threading.current_thread().name)))  # type: ignore[misc]
    aside.close()
    aside.join()
    assert done == [(n, "acts") for n in range(100)]
    aside.do(lambda: done.append((0, threading.current_thread().name)))
    assert done[-1] == (0, threading.current_thread().name), "after the end by whoever asks"


def test_without_acts_there_is_no_thread() -> None:
    aside = Aside("none")
    before = threading.active_count()
    aside.close()
    aside.close()
    aside.join()
    assert threading.active_count() == before


def test_it_may_end_itself() -> None:
    aside = Aside("self")
    over = threading.Event()

    def end() -> None:
        aside.close()
        aside.join()
        over.set()

    aside.do(end)
    assert over.wait(10)
    aside.join()


def test_where_no_thread_can_be_started_whoever_waits_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    aside = Aside("late")
    done: list[int] = []
    aside.do(lambda: done.append(1))
    assert done == []
    aside.stand_in()
    assert done == [1]
    aside.do(lambda: done.append(2))
    aside.close()
    aside.join()
    assert done == [1, 2]


def test_standing_in_leaves_the_end_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    aside = Aside("late")
    aside.do(lambda: None)
    aside.close()
    aside.stand_in()
    aside.join()


def test_prints_go_where_the_program_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    outlet = Outlet()
    outlet.write(1, b"out \xc3\xa9\n")
    outlet.write(2, b"err\n")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("out é\n", "err\n")


def test_prints_are_text_where_bytes_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    outlet = Outlet()
    for byte in "é".encode():
        outlet.write(1, bytes([byte]))
    assert stream.getvalue() == "é"


def test_a_closed_or_missing_stream_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    outlet = Outlet()
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stdout", stream)
        outlet.write(1, b"lost")
