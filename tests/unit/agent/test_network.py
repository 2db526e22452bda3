"""Which sockets the settings ask for, and what an invitation says about where the agent is."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from holdfast.agent.network import Bound, host_and_port, reachable_at
from holdfast.config import FLAG, Settings
from holdfast.errors import ConnectFailed, Refused, SettingsError


def bound(*, embedded: bool = False, restarted: bool = False, log: Any = None, **given: Any) -> Bound:
    origins = given.pop("origins", {})
    settings = Settings(state_dir="", config_dir="", cache_dir="", origins=origins, **given)
    return Bound(settings, embedded=embedded, log=log or (lambda line: None), restarted=restarted)


def test_a_port_0_becomes_a_real_one_and_the_next_agent_is_told() -> None:
    made = bound(listen=("tls://127.0.0.1:0",), metrics="127.0.0.1:0", origins={"listen": FLAG, "metrics": FLAG})
    try:
        port, other = made.tls[0].getsockname()[1], made.metrics.getsockname()[1]  # type: ignore[union-attr]
        assert made.argv() == ["--listen", f"tls://127.0.0.1:{port}", "--metrics", f"127.0.0.1:{other}"]
        assert made.metrics_url == f"http://127.0.0.1:{other}/metrics"
    finally:
        made.close()


def test_what_a_file_says_is_read_again_from_the_file() -> None:
    made = bound(listen=("tls://127.0.0.1:0",), any_address=True, origins={"listen": "/etc/holdfast/config.toml"})
    made.close()
    assert len(made.tls) == 1
    assert made.argv() == ["--any-address"]


def test_a_private_agent_opens_only_what_its_command_line_asks_for() -> None:
    made = bound(embedded=True, listen=("tls://127.0.0.1:0",), metrics="127.0.0.1:0", origins={"listen": "file"})
    assert made.tls == []
    assert made.metrics is None
    made = bound(embedded=True, listen=("tls://127.0.0.1:0",), origins={"listen": FLAG})
    made.close()
    assert len(made.tls) == 1


def test_after_a_crash_a_taken_port_for_metrics_keeps_nobody_from_the_jobs() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"cannot listen on {address}"):
            bound(metrics=address)
        made = bound(metrics=address, restarted=True, log=said.append, origins={"metrics": FLAG})
    assert made.argv() == ["--metrics", address], "the next one may have it"
    assert (made.metrics, made.metrics_url) == (None, "")
    assert said == [f"cannot listen on {address}: Address already in use; no metrics are served"]


@pytest.mark.parametrize("everywhere", ["tls://0.0.0.0:0", "tls://[::]:0", "tls://0:0"])
def test_every_address_is_for_those_who_say_so_and_is_warned_of(everywhere: str) -> None:
    """S4."""
    said: list[str] = []
    with pytest.raises(SettingsError, match="--any-address"):
        bound(listen=(everywhere,))
    made = bound(listen=(everywhere,), any_address=True, log=said.append)
    made.close()
    assert said == [f"warning: {everywhere} is every address of this host (--any-address)"]


def test_a_second_address_that_is_taken_leaves_nothing_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on tls://127.0.0.1:{port}"):
            bound(listen=("tls://127.0.0.1:0", f"tls://127.0.0.1:{port}"))


def test_an_agent_that_its_keeper_restarted_serves_without_an_address_that_it_cannot_have_yet() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"tls://127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(state_dir="", config_dir="", cache_dir="", listen=(text,), origins={"listen": FLAG})
        made = Bound(settings, embedded=False, log=said.append, restarted=True)
        assert made.tls == []
        assert "tried again" in said[0]
        assert made.again() == []
        assert made.argv() == ["--listen", text]
    (listener,) = made.again()
    try:
        assert f"tls://127.0.0.1:{listener.getsockname()[1]}" == text
        assert made.missing == []
        assert made.argv() == ["--listen", text]
    finally:
        made.close()


@pytest.mark.parametrize("text", ["unix:///x", "local", "ssh://box", "name", "tls://", "tls://127.0.0.1:x"])
def test_what_is_no_address_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="cannot listen"):
        bound(listen=(text,))


@pytest.mark.parametrize("text", ["9100", "x:", "x:-1", "x:65536", "x:1.5", ""])
def test_metrics_want_address_and_port(text: str) -> None:
    with pytest.raises(SettingsError, match="ADDR:PORT"):
        host_and_port(text)


def test_address_and_port_are_split() -> None:
    assert host_and_port("127.0.0.1:9100") == ("127.0.0.1", 9100)
    assert host_and_port("[::1]:9100") == ("::1", 9100)
    assert host_and_port(":9100") == ("", 9100)


def test_an_invitation_names_where_the_agent_listens_or_what_its_admin_says() -> None:
    here = ["tls://0.0.0.0:99", "tls://10.0.0.5:7421"]
    assert reachable_at(here, "") == "tls://10.0.0.5:7421"
    assert reachable_at(here, "box.example") == "tls://box.example:99"
    assert reachable_at(here, "tls://box.example:1") == "tls://box.example:1"
    assert reachable_at(here, "[2001:db8::1]") == "tls://[2001:db8::1]:99"


def test_an_invitation_to_nowhere_is_refused_with_what_to_do() -> None:
    with pytest.raises(Refused, match="--listen"):
        reachable_at([], "tls://box.example")
    with pytest.raises(Refused, match="--address"):
        reachable_at(["tls://[::]:7420"], "")
    with pytest.raises(Refused, match="tls://"):
        reachable_at(["tls://10.0.0.5:7420"], "ssh://box")
    with pytest.raises(ConnectFailed):
        reachable_at(["tls://10.0.0.5:7420"], "tls://-x")
