"""What is written on a command line means what it says, and nothing else is accepted."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.arguments import (
    parse_env,
    parse_env_file,
    parse_filter,
    parse_retention,
    parse_rlimit,
    parse_signal,
    parse_umask,
    split_command,
)
from holdfast.types import Retention


def test_the_first_dashes_end_our_flags() -> None:
    assert split_command(["-d", "--", "ls", "-l", "--", "x"]) == (["-d"], ["ls", "-l", "--", "x"])
    assert split_command(["-d"]) == (["-d"], None)
    assert split_command(["--"]) == ([], [])
    assert split_command([]) == ([], None)


@given(st.lists(st.text()), st.lists(st.text()))
def test_nothing_after_the_dashes_is_touched(own: list[str], command: list[str]) -> None:
    own = [word for word in own if word != "--"]
    assert split_command([*own, "--", *command]) == (own, command)


def test_variables_are_given_or_taken_from_ours() -> None:
    ours = {"LANG": "C", "HOME": "/h"}
    assert parse_env(["A=1", "LANG", "NOT_THERE", "E=", "X=a=b"], ours) == {"A": "1", "LANG": "C", "E": "", "X": "a=b"}
    for bad in ("=1", "", "A=\0"):
        with pytest.raises(ValueError, match="is not NAME=VALUE"):
            parse_env([bad], ours)


def test_an_env_file_is_taken_literally() -> None:
    text = "# a comment\n\nA=1\n  B='quoted stays'\nLANG\nC=x # not a comment\n"
    assert parse_env_file(text, {"LANG": "C"}) == {
        "A": "1",
        "B": "'quoted stays'",
        "LANG": "C",
        "C": "x # not a comment",
    }
    with pytest.raises(ValueError, match="line 2"):
        parse_env_file("A=1\n=2\n", {})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15), ("SIGTERM", 15), ("sigterm", 15), ("15", 15), ("KILL", 9), ("9", 9), ("hup", 1), ("64", 64),
        ("RTMIN", 34), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("CHLD", 17),
    ],
)  # fmt: skip
def test_signals_by_any_of_their_names(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "FOO", "SIG", "RTMIN+99", "RTMIN+x", "15.0", "SIG_DFL"])
def test_what_is_no_signal(text: str) -> None:
    with pytest.raises(ValueError, match="is not a signal"):
        parse_signal(text)


def test_every_signal_of_this_system_has_a_name() -> None:
    for known in signal.Signals:
        assert parse_signal(known.name) == int(known)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("nofile=1024", ("nofile", (1024, 1024))),
        ("NOFILE=64:128", ("nofile", (64, 128))),
        ("RLIMIT_AS=1G", ("as", (1 << 30, 1 << 30))),
        ("core=0:unlimited", ("core", (0, -1))),
        ("core=unlimited", ("core", (-1, -1))),
    ],
)
def test_resource_limits(text: str, limit: tuple[str, tuple[int, int]]) -> None:
    assert parse_rlimit(text) == limit


@pytest.mark.parametrize("text", ["nofile", "files=1", "nofile=x", "nofile=2:1", "nofile=unlimited:1", "nofile=", "=1"])
def test_what_is_no_resource_limit(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rlimit(text)


def test_retention_rules() -> None:
    assert parse_retention("block") == Retention()
    assert parse_retention("block=1M") == Retention(rule="block", limit_bytes=1 << 20)
    assert parse_retention("keep-tail=64K") == Retention(rule="keep-tail", limit_bytes=1 << 16)
    assert parse_retention("kill=2G") == Retention(rule="kill", limit_bytes=2 << 30)
    for bad in ("keep-tail", "kill", "kill=0", "drop=1", "", "keep-tail=x"):
        with pytest.raises(ValueError):
            parse_retention(bad)


def test_masks_are_octal() -> None:
    assert parse_umask("022") == 0o022
    assert parse_umask("777") == 0o777
    for bad in ("8", "1000", "-1", "", "x"):
        with pytest.raises(ValueError, match="octal"):
            parse_umask(bad)


def test_filters_name_a_known_key() -> None:
    assert parse_filter("state=running", ("state",)) == ("state", "running")
    assert parse_filter("state=a=b", ("state",)) == ("state", "a=b")
    for bad in ("state", "colour=red"):
        with pytest.raises(ValueError, match="KEY of state"):
            parse_filter(bad, ("state",))
