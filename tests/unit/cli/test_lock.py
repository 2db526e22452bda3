"""``holdfast lock``, ``sem`` and ``leases`` over a host in memory: waiting, refusing, handing over, exit codes."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.cli import holding
from holdfast.errors import Conflict, ConnectFailed, LinkLost, Refused
from holdfast.wire.messages import LeaseInfo, ObjectAsked
from tests.unit.cli.conftest import Call
from tests.unit.cli.fake_host import FakeHost, FakeJob, ended


class FakeHolding:
    """Stands in for ``client.holding.Holding``; the tests say what comes of it."""

    made: list[FakeHolding]
    on_take: Callable[[], bool]
    on_start: Callable[[], FakeJob]
    held_by: tuple[LeaseInfo, ...]

    def __init__(self, host: FakeHost, name: str, what: ObjectAsked) -> None:
        self.name, self.what = name, what
        self.taken: dict[str, Any] = {}
        self.started: list[tuple[Any, dict[str, Any]]] = []
        self.made.append(self)

    def take(self, **how: Any) -> bool:
        self.taken = how
        return type(self).on_take()

    def others(self) -> tuple[LeaseInfo, ...]:
        return self.held_by

    def start(self, args: Any, **options: Any) -> FakeJob:
        self.started.append((args, options))
        return type(self).on_start()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, host: FakeHost) -> type[FakeHolding]:
    """What the verbs take from their host; by default it is to be had."""
    FakeHolding.made = []
    FakeHolding.on_take = staticmethod(lambda: True)
    FakeHolding.on_start = staticmethod(lambda: FakeJob([(1, b"out"), (2, b"err")], ended(code=3)))
    FakeHolding.held_by = (
        LeaseInfo("db", "lock", "job abc", "eve", token=7),
        LeaseInfo("db", "lock", "./late of eve (0011aa)", "eve", waiting=True),
    )
    monkeypatch.setattr("holdfast.client.holding.Holding", FakeHolding)
    return FakeHolding


def test_a_command_runs_with_the_lock_as_with_run(call: Call, held: type[FakeHolding]) -> None:
    outcome = call("lock", "db", "-e", "A=1", "-w", "/srv", "--timeout", "5m", "--", "migrate", "--all")
    assert (outcome.code, outcome.out, outcome.err) == (3, b"out", "err")
    (made,) = held.made
    assert (made.name, made.what) == ("db", ObjectAsked("lock"))
    assert made.taken == {"wait": True, "timeout": None, "label": "migrate --all"}
    ((args, options),) = made.started
    assert args == ["migrate", "--all"]
    assert (options["env"], options["cwd"], options["timeout"], options["shell"]) == ({"A": "1"}, "/srv", 300.0, False)
    assert (options["stdin"], options["on_disconnect"]) == (False, None)


def test_one_unit_of_a_semaphore(call: Call, held: type[FakeHolding]) -> None:
    assert call("sem", "deploy=3", "--on-disconnect", "keep", "--sh", "a &&\nb").code == 3
    (made,) = held.made
    assert (made.name, made.what) == ("deploy", ObjectAsked("semaphore", units=3))
    assert made.taken["label"] == "a && b"
    assert made.started[0][1]["on_disconnect"] == "keep"
    call("sem", "a=b=1", "--", "x")
    assert held.made[1].name == "a=b"


@pytest.mark.parametrize(
    ("flags", "wait", "timeout", "code", "said"),
    [
        (["-n"], False, None, 1, "lock 'db' is held by job abc; nothing was run"),
        (["--no-wait", "-E", "9"], False, None, 9, "lock 'db' is held by job abc; nothing was run"),
        (["--wait", "90s"], True, 90.0, 1, "lock 'db' was not to be had within 1m30s; nothing was run"),
        (["--wait", "1s", "--busy-exit", "0"], True, 1.0, 0, "lock 'db' was not to be had within 1s; nothing was run"),
    ],
)
def test_what_is_not_to_be_had(
    call: Call, held: type[FakeHolding], flags: list[str], wait: bool, timeout: float | None, code: int, said: str
) -> None:
    held.on_take = staticmethod(lambda: False)
    outcome = call("lock", *flags, "db", "--", "x")
    assert (outcome.code, outcome.out, outcome.err) == (code, b"", f"holdfast: {said}\n")
    assert (held.made[0].taken["wait"], held.made[0].taken["timeout"]) == (wait, timeout)
    assert held.made[0].started == []


def test_who_waits_for_long_is_told_for_whom(
    call: Call, held: type[FakeHolding], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    monkeypatch.setattr(holding, "PATIENCE_S", 0.0)
    real = holding._tell_holders

    def tell(*args: Any) -> None:
        real(*args)
        told.set()

    monkeypatch.setattr(holding, "_tell_holders", tell)
    held.on_take = staticmethod(lambda: told.wait(20))
    held.held_by = tuple(LeaseInfo("s", "semaphore", f"job {letter}") for letter in "abcde")
    assert (
        call("sem", "s=5", "--", "x").err
        == "holdfast: waiting for semaphore 's' of 5, held by job a, job b, job c and 2 more\nerr"
    )
    told.clear()
    held.held_by = ()
    assert call("lock", "db", "--", "x").err == "holdfast: waiting for lock 'db'\nerr"
    told.clear()
    assert call("lock", "-q", "db", "--", "x").err == "err"


@pytest.mark.parametrize(
    ("signum", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted while waiting for lock 'db'; nothing was run"),
        (signal.SIGTERM, 143, "ended by SIGTERM while waiting for lock 'db'; nothing was run"),
        (signal.SIGHUP, 129, "ended by SIGHUP while waiting for lock 'db'; nothing was run"),
    ],
)
def test_a_signal_ends_the_wait(
    call: Call, held: type[FakeHolding], signum: signal.Signals, code: int, said: str
) -> None:
    def interrupted() -> bool:
        signal.raise_signal(signum)
        return True

    held.on_take = staticmethod(interrupted)
    outcome = call("lock", "db", "--", "x")
    assert (outcome.code, outcome.err) == (code, f"holdfast: {said}\n")
    assert held.made[0].started == []


def test_refusals(call: Call, held: type[FakeHolding], host: FakeHost) -> None:
    def conflict() -> bool:
        raise Conflict("'db' is a lock, not a semaphore of 3", code=303)

    held.on_take = staticmethod(conflict)
    outcome = call("sem", "db=3", "--", "x")
    assert outcome.code == 125
    assert outcome.err == "holdfast: 'db' is a lock, not a semaphore of 3; nothing was run\n"

    def refused() -> FakeJob:
        raise Refused("no profile allows this command", code=201)

    held.on_take, held.on_start = staticmethod(lambda: True), staticmethod(refused)
    assert call("lock", "db", "--", "x").code == 125

    def cut() -> bool:
        raise LinkLost("gave up after 1h")

    held.on_take = staticmethod(cut)
    assert call("lock", "db", "--transport-exit", "77", "--", "x").code == 77
    host.connect_error = ConnectFailed("nobody listens", layer="port")
    assert call("lock", "-H", "web1", "db", "--", "x").code == 255


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["lock", "db"], "the command comes after `--`, as in: holdfast lock db -- ./migrate"),
        (["lock", "--", "x"], "missing argument"),
        (["lock", "", "--", "x"], "is not a name of 1 to 200 printable characters"),
        (["lock", "a\nb", "--", "x"], "is not a name of 1 to 200 printable characters"),
        (["lock", "x" * 201, "--", "x"], "is not a name"),
        (["lock", "-n", "--wait", "1s", "db", "--", "x"], "either --no-wait or --wait"),
        (["lock", "db", "--wait", "soon", "--", "x"], "is not a duration"),
        (["lock", "db", "-E", "256", "--", "x"], "is not in the range"),
        (["sem", "db", "--", "x"], "is not NAME=N with an N from 1 to 2147483647, as in deploy=3"),
        (["sem", "db=0", "--", "x"], "is not NAME=N"),
        (["sem", "=3", "--", "x"], "is not a name"),
        (["sem", "db=3"], "as in: holdfast sem deploy=3 -- ./deploy"),
    ],
)
def test_what_makes_no_sense(call: Call, held: type[FakeHolding], args: list[str], said: str) -> None:
    outcome = call(*args)
    assert outcome.code == 2
    assert said.lower() in outcome.err.lower()
    assert held.made == []


def test_the_receipt_goes_to_a_descriptor(call: Call, held: type[FakeHolding]) -> None:
    read, write = os.pipe()
    try:
        held.on_take = staticmethod(lambda: False)
        call("lock", "-n", "db", "--status-fd", str(write), "--", "x")
        status = json.loads(os.read(read, 65536))
        assert (status["holdfast_exit"], status["receipt"]) == (1, None)
        assert "is held by job abc" in status["error"]
    finally:
        os.close(read)
        os.close(write)


def test_leases(call: Call, host: FakeHost) -> None:
    host.held = [
        LeaseInfo("db", "lock", "job abc", "eve", token=7),
        LeaseInfo("db", "lock", "./late of eve (0011aa)", "eve", waiting=True, left_s=14.8),
        LeaseInfo("s", "semaphore", "", units=2, token=8, left_s=3.0),
    ]
    assert call("leases").out.decode().splitlines() == [
        "NAME  KIND       STATE  UNITS  FENCE  LEASE  USER  OWNER",
        "db    lock       holds  1      7      -      eve   job abc",
        "db    lock       waits  1      -      14.8s  eve   ./late of eve (0011aa)",
        "s     semaphore  holds  2      8      3s     -     -",
    ]
    assert call("leases", "-o", "name").out == b"db\ns\n"
    documents = json.loads(call("leases", "s", "--json").out)
    assert documents == [
        {
            "schema": 1, "name": "s", "kind": "semaphore", "state": "holds", "units": 2, "fence": 8,
            "lease_left_s": 3.0, "user": None, "owner": None,
        }
    ]  # fmt: skip
