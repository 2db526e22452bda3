"""Which layer an error blames, what is said of the others, and what the doctor makes of an agent's words."""

from __future__ import annotations

import pytest

from holdfast.cli import doctor_remote
from holdfast.cli.layers import ADVICE, ON_THE_WAY, SSH_LAYERS, TLS_LAYERS, broken, layer_of
from holdfast.errors import (
    ConnectFailed,
    HoldfastError,
    IdentityError,
    KeyChanged,
    LinkLost,
    Refused,
    RemoteProtocolError,
    SettingsError,
    Unauthorized,
    VersionMismatch,
)
from holdfast.wire.messages import StatusAnswer

BLAMES = [
    (ConnectFailed("x", layer="name"), "name"),
    (ConnectFailed("x", layer="route"), "route"),
    (ConnectFailed("x", layer="port"), "port"),
    (ConnectFailed("x", layer="tls"), "tls"),
    (KeyChanged("x"), "key"),
    (Unauthorized("not enrolled", code=200), "key"),
    (Unauthorized("revoked", code=202), "key"),
    (VersionMismatch("x"), "version"),
    (RemoteProtocolError("x"), "version"),
    (Refused("too many connections", code=402), "policy"),
    (ConnectFailed("closed before its welcome"), "version"),
    (LinkLost("x"), "version"),
    (SettingsError("hosts.toml: line 1"), "name"),
    (IdentityError("others can read it: chmod it"), "key"),
]


@pytest.mark.parametrize(("error", "layer"), BLAMES)
def test_the_layer_that_an_error_blames(error: HoldfastError, layer: str) -> None:
    assert layer_of(error, TLS_LAYERS) == layer


@pytest.mark.parametrize("layer", ["ssh", "holdfast"])
def test_the_layers_of_ssh(layer: str) -> None:
    assert layer_of(ConnectFailed("x", layer=layer), SSH_LAYERS) == layer
    assert layer_of(VersionMismatch("x"), SSH_LAYERS) == "version"


@pytest.mark.parametrize("layer", ["name", "route", "port", "tls", "key", "version", "policy"])
def test_before_the_broken_layer_all_is_well_and_behind_it_nothing_is_known(layer: str) -> None:
    at = TLS_LAYERS.index(layer)
    (error, *_) = [error for error, blamed in BLAMES if blamed == layer]
    checks = list(broken(error, TLS_LAYERS, {"name": "web1 is tls://a:1"}))
    assert [check.name for check in checks] == list(TLS_LAYERS)
    assert [check.state for check in checks] == ["ok"] * at + ["fail"] + ["skip"] * (len(TLS_LAYERS) - at - 1)
    assert checks[at].advice == ADVICE[layer]
    if at:
        assert checks[0].text == "web1 is tls://a:1"


@pytest.mark.parametrize("error", [SettingsError("hosts.toml: line 1"), IdentityError("chmod it to 0700")])
def test_what_says_itself_what_to_do_gets_no_other_advice(error: HoldfastError) -> None:
    (check,) = [check for check in broken(error, TLS_LAYERS, {}) if check.state == "fail"]
    assert (check.text, check.advice) == (str(error), "")


def test_every_layer_has_advice() -> None:
    assert set(ADVICE) == {*TLS_LAYERS, *SSH_LAYERS}
    assert set(ADVICE) > ON_THE_WAY


@pytest.mark.parametrize(
    ("theirs", "before", "after", "state"),
    [
        (1000.0, 1000.0, 1000.0, "ok"),
        (1005.0, 1000.0, 1000.0, "ok"),
        (1005.1, 1000.0, 1000.0, "fail"),
        (994.9, 1000.0, 1000.0, "fail"),
        (1012.0, 1000.0, 1010.0, "ok"),  # five off the middle of ten, of which either half may be the way
        (1015.0, 1000.0, 1010.0, "ok"),
        (1015.1, 1000.0, 1010.0, "fail"),
        (0.0, 1000.0, 1000.0, "skip"),
    ],
)
def test_the_clock_is_judged_with_half_the_way_as_tolerance(
    theirs: float, before: float, after: float, state: str
) -> None:
    assert doctor_remote.check_clock(theirs, before, after).state == state


@pytest.mark.parametrize(
    ("disk", "state"),
    [
        ({"free_bytes": 100 << 30, "total_bytes": 200 << 30}, "ok"),
        ({"free_bytes": 4 << 30, "total_bytes": 200 << 30}, "fail"),
        ({"free_bytes": 400 << 20, "total_bytes": 1 << 30}, "fail"),
        ({}, "skip"),
    ],
)
def test_the_disk(disk: dict[str, int], state: str) -> None:
    assert doctor_remote.check_disk(disk).state == state


def test_an_error_that_says_what_to_type_needs_no_advice() -> None:
    error = KeyChanged("another key: `holdfast host rm web1` first")
    (check,) = [check for check in broken(error, TLS_LAYERS, {}) if check.state == "fail"]
    assert (check.text, check.advice) == (str(error), "")


@pytest.mark.parametrize(("policy", "state"), [("", "ok"), ("1a2b3c", "ok"), ("invalid: line 3: unknown key", "fail")])
def test_the_policy(policy: str, state: str) -> None:
    answer = StatusAnswer({}, {}, "/s", "/d", {}, {}, policy=policy)
    assert doctor_remote.check_policy(answer).state == state
    assert "not told" in doctor_remote.check_policy(StatusAnswer({}, {}, "", "", {}, {})).text
