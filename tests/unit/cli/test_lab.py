"""The bad network from the command line: what its flags mean, and what is said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.lab import chaos
from holdfast.lab.chaos_plan import Kind, SeededPlan
from holdfast.lab.proxy import Event, Summary
from tests.unit.cli.conftest import Call


class Proxy:
    """Stands in for ``run_proxy``: one connection, cut."""

    def __init__(self) -> None:
        self.listen = self.to = ""
        self.plan: Any = None
        self.most_cuts: int | None = None

    def __call__(
        self, listen: str, to: str, plan: Any, *, most_cuts: int | None, on_listen: Any, on_event: Any
    ) -> Summary:
        self.listen, self.to, self.plan, self.most_cuts = listen, to, plan, most_cuts
        on_listen("tls://127.0.0.1:4711")
        on_event(Event(0.5, 0, "open"))
        on_event(Event(0.75, 0, "rst", 10, 20))
        summary = Summary(connections=1, seconds=1.0)
        summary.cuts["rst"] = 1
        return summary


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Proxy:
    fake = Proxy()
    monkeypatch.setattr(chaos, "run_proxy", fake)
    return fake


def test_the_address_comes_first_and_a_table_last(call: Call, proxy: Proxy) -> None:
    outcome = call("lab", "chaos", "--to", "tls://10.0.0.5:7420", "--seed", "7", "--cuts", "3", "-v")
    lines = outcome.out.decode().splitlines()
    assert (outcome.code, lines[0], lines[1].split()) == (0, "tls://127.0.0.1:4711", ["WHAT", "NUMBER"])
    assert "--seed 7" in outcome.err
    assert "0.750 s: connection 0: rst (10 bytes to the agent, 20 to the client)" in outcome.err
    assert (proxy.listen, proxy.to, proxy.most_cuts) == ("tls://127.0.0.1:0", "tls://10.0.0.5:7420", 3)
    assert "connection 0" not in call("lab", "chaos", "--to", "tls://10.0.0.5:7420").err


def test_json_lines(call: Call, proxy: Proxy) -> None:
    outcome = call("lab", "chaos", "--to", "tls://10.0.0.5:7420", "--seed", "7", "--json")
    documents = [json.loads(line) for line in outcome.out.splitlines()]
    assert [document["event"] for document in documents] == ["listening", "connection", "connection", "summary"]
    assert documents[0]["seed"] == 7
    assert documents[-1]["cuts"]["rst"] == 1
    assert outcome.err == ""


def test_flags_and_seed_make_the_plan(call: Call, proxy: Proxy) -> None:
    flags = [
        "--seed",
        "5",
        "--kind",
        "fin",
        "--kind",
        "silence",
        "--mean-bytes",
        "64K",
        "--early",
        "0",
        "--delay",
        "1s",
    ]
    call("lab", "chaos", "--to", "tls://h:1", *flags)
    plans = [proxy.plan.connection(number) for number in range(50)]
    assert isinstance(proxy.plan, SeededPlan)
    assert {plan.cut.kind for plan in plans} == {Kind.FIN, Kind.SILENCE}
    assert max(plan.delay_s for plan in plans) > 0.5
    call("lab", "chaos", "--to", "tls://h:1", *flags)
    assert [proxy.plan.connection(number) for number in range(50)] == plans
    call("lab", "chaos", "--to", "tls://h:1")
    first = [proxy.plan.connection(number) for number in range(50)]
    call("lab", "chaos", "--to", "tls://h:1")
    assert [proxy.plan.connection(number) for number in range(50)] != first


def test_a_name_stands_for_its_address(call: Call, proxy: Proxy) -> None:
    call("host", "add", "box", "--address", "unix:///run/agent.sock")
    assert call("lab", "chaos", "--to", "box", "--listen", "unix:///tmp/x.sock").code == 0
    assert (proxy.listen, proxy.to) == ("unix:///tmp/x.sock", "unix:///run/agent.sock")
    call("lab", "chaos", "--to", "local", "--listen", "unix:///tmp/x.sock")
    assert proxy.to.endswith("/state/agent.sock")


@pytest.mark.parametrize(
    "args",
    [
        ["chaos"],
        ["chaos", "--to", "ssh://far"],
        ["chaos", "--to", "local"],
        ["chaos", "--to", "unix:///run/agent.sock", "--listen", "tls://127.0.0.1:0"],
        ["chaos", "--to", "tls://h:1", "--kind", "fire"],
        ["chaos", "--to", "tls://h:1", "--early", "2"],
        ["chaos", "--to", "tls://h:1", "--mean-bytes", "lots"],
        ["dance"],
    ],
)
def test_wrong_words(call: Call, proxy: Proxy, args: list[str]) -> None:
    """Among them: no port in front of a Unix socket, which would let everybody in with its owner's rights."""
    outcome = call("lab", *args)
    assert (outcome.code, outcome.out, proxy.to) == (2, b"", "")
    assert outcome.err.count("\n") == 1


def test_an_unknown_name(call: Call, proxy: Proxy) -> None:
    assert call("lab", "chaos", "--to", "web9").code == 255
