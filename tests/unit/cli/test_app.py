"""Verbs, wrong verbs, help, and every error as one line with its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import holdfast
from holdfast.cli.app import ALIASES, VERBS, cli
from holdfast.errors import ConnectFailed, SettingsError
from tests.unit.cli.conftest import Call
from tests.unit.cli.fake_host import FakeHost


def test_alone_it_shows_three_examples(call: Call) -> None:
    outcome = call()
    assert outcome.code == 0
    assert outcome.out.count(b"\n  holdfast ") == 3
    assert outcome.err == ""


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_verb(call: Call, flag: str) -> None:
    outcome = call(flag)
    assert outcome.code == 0
    for verb in VERBS:
        assert f"\n  {verb} ".encode() in outcome.out


@pytest.mark.parametrize("verb", [*VERBS, *ALIASES])
def test_every_verb_has_help_and_its_line_is_the_one_in_the_table(call: Call, verb: str) -> None:
    assert call(verb, "--help").code == 0
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    assert command.get_short_help_str(200) == VERBS[ALIASES.get(verb, verb)]
    assert command.name == ALIASES.get(verb, verb)


def test_every_option_is_explained() -> None:
    for verb in VERBS:
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None
        for each in [command, *getattr(command, "commands", {}).values()]:
            for option in each.params:
                assert not isinstance(option, click.Option) or option.help, (verb, option.opts)


def test_version(call: Call) -> None:
    assert call("-V") == call("--version")
    assert call("-V").out.startswith(b"holdfast ")


@pytest.mark.parametrize(("wrong", "meant"), [("rnu", "run"), ("log", "logs"), ("stauts", "status"), ("RUN", "run")])
def test_a_wrong_verb_is_met_with_the_right_one(call: Call, wrong: str, meant: str) -> None:
    outcome = call(wrong)
    assert outcome.code == 2
    assert meant in outcome.err
    assert outcome.err.count("\n") == 1


def test_verbs_are_not_abbreviated(call: Call) -> None:
    assert call("ver").code == 2


@pytest.mark.parametrize(
    "args",
    [
        ["--foo"],
        ["run", "--foo", "--", "ls"],
        ["run", "ls", "-l"],
        ["run", "--"],
        ["run"],
        ["run", "a", "b", "--", "ls"],
        ["run", "--sh", "x", "--", "ls"],
        ["run", "--timeout", "soon", "--", "ls"],
        ["run", "--on-disconnect", "never", "--", "ls"],
        ["run", "-e", "=1", "--", "ls"],
        ["run", "--env-file", "/not/there", "--", "ls"],
        ["run", "--rlimit", "files=1", "--", "ls"],
        ["run", "--umask", "9", "--", "ls"],
        ["run", "--retain", "some", "--", "ls"],
        ["run", "--status-fd", "987", "--", "ls"],
        ["run", "--transport-exit", "300", "--", "ls"],
        ["logs"],
        ["logs", "j", "-n", "-1"],
        ["kill", "-s", "FOO", "j"],
        ["stop"],
        ["ps", "-o", "yaml"],
        ["ps", "--filter", "colour=red"],
        ["shell"],
        ["completion", "tcsh"],
        ["tap"],
        ["agent", "dance"],
    ],
)
def test_bad_usage_is_one_line_and_2_and_nothing_is_run(call: Call, host: FakeHost, args: list[str]) -> None:
    outcome = call(*args)
    assert (outcome.code, outcome.out) == (2, b"")
    assert outcome.err.startswith("holdfast: ")
    assert outcome.err.count("\n") == 1
    assert "nothing was run" in outcome.err
    assert "--help" in outcome.err
    assert host.connected == {}


def test_the_error_without_dashes_shows_how(call: Call) -> None:
    assert "holdfast run -- ls -l" in call("run", "ls").err


def test_expected_errors_are_one_line(call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectFailed("unknown host 'web9': it is in no file")

    monkeypatch.setitem(vars(holdfast), "connect", refuse)
    for args in (["run", "web9", "--", "true"], ["ps", "-H", "web9"], ["logs", "-H", "web9", "x"]):
        outcome = call(*args)
        assert outcome.code == 255
        assert outcome.err == "holdfast: unknown host 'web9': it is in no file; nothing was run\n"


def test_a_local_agent_that_does_not_come_up_is_our_own_failure(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectFailed("the agent ended at its start: not a journal")

    monkeypatch.setitem(vars(holdfast), "connect", refuse)
    for args in (["run", "--", "true"], ["ps"], ["agent", "start"]):
        outcome = call(*args)
        assert outcome.code == 125
        assert outcome.err == "holdfast: the agent ended at its start: not a journal; nothing was run\n"
    assert call("agent", "status").code == 3


def test_wrong_settings_are_one_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "config" / "holdfast").mkdir(parents=True)
    (tmp_path / "config" / "holdfast" / "config.toml").write_text("colour = 1\n")
    outcome = call("ps")
    assert outcome.code == 125
    assert "config.toml: unknown key 'colour'" in outcome.err


def test_an_unexpected_error_is_one_line_and_the_details_are_in_a_file(
    call: Call, host: FakeHost, tmp_path: Path
) -> None:
    host.start_error = RuntimeError("a bug")
    outcome = call("run", "--", "true")
    assert outcome.code == 125
    assert outcome.err.startswith("holdfast: internal error: RuntimeError: a bug; whether the command ran is unknown")
    assert outcome.err.count("\n") == 1
    (details,) = (tmp_path / "state" / "crashes").iterdir()
    assert os.stat(tmp_path / "state").st_mode & 0o077 == 0  # or no agent would start there any more
    assert str(details) in outcome.err
    assert details.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in details.read_text()


def test_the_details_are_shown_to_those_who_debug(
    call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOLDFAST_LOG", "debug")
    host.start_error = RuntimeError("a bug")
    assert "Traceback" in call("run", "--", "true").err
    assert not (tmp_path / "state").exists()


def test_a_crash_is_reported_even_where_nothing_can_be_written(
    call: Call, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_DIR", "/proc/none")
    host.start_error = RuntimeError("a bug")
    outcome = call("run", "--", "true")
    assert outcome.code == 125
    assert "HOLDFAST_LOG=debug" in outcome.err


def test_settings_errors_say_that_nothing_ran() -> None:
    assert SettingsError("x").ran == "no"
    assert os.environ["HOLDFAST_STATE_DIR"]


@pytest.mark.parametrize("module", ["holdfast.cli.app", "click", "holdfast.cli.run"])
def test_ctrl_c_while_modules_are_loaded_ends_without_a_word(module: str, tmp_path: Path) -> None:
    script = f"""
import signal, sys
from holdfast.__main__ import main

class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Presses())
sys.argv[1:] = ["run", "--", "true"]
main()
"""
    environment = {**os.environ, "HOLDFAST_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, timeout=30)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, b"", b"")  # click ends the line with the ^C
