"""The first Ctrl-C is for the job, the second within two seconds is for us; signals ignored before stay ignored."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from holdfast.cli.interrupts import CtrlC, Detached, Interrupts


def test_the_second_within_two_seconds_counts() -> None:
    count = CtrlC()
    assert [count.pressed(now) for now in (0.0, 1.9, 2.0, 5.0, 7.1, 9.0)] == [False, True, False, False, False, True]


def test_before_there_is_a_job_ctrl_c_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        signal.raise_signal(signal.SIGINT)


def test_the_first_is_forwarded_by_another_thread_and_the_second_detaches() -> None:
    forwarded = threading.Event()
    senders: list[str] = []

    def send() -> None:
        senders.append(threading.current_thread().name)
        forwarded.set()

    with Interrupts() as interrupts:
        interrupts.forward_to(send)
        signal.raise_signal(signal.SIGINT)
        assert forwarded.wait(5)
        assert interrupts.forwarded
        with pytest.raises(Detached):
            signal.raise_signal(signal.SIGINT)
    assert senders == ["holdfast-interrupts"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_lost_client_just_ends(signum: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with Interrupts() as interrupts:
        interrupts.last_words = lambda number: ended.append(-number)
        signal.raise_signal(signum)
    assert ended == [-signum, 128 + signum]


def test_handlers_are_put_back_and_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGHUP, before)
