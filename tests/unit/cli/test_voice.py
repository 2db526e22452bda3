"""Our words: on standard error, marked as ours, without foreign control characters, and only when they are wanted."""

from __future__ import annotations

import pytest

from holdfast.cli.voice import Voice, visible, wants_color


def test_each_line_is_marked(capfd: pytest.CaptureFixture[str]) -> None:
    Voice().error("one\ntwo")
    assert capfd.readouterr() == ("", "holdfast: one\nholdfast: two\n")


def test_control_characters_are_visible(capfd: pytest.CaptureFixture[str]) -> None:
    Voice().error("a\x1b[2Jb\x9bc")
    assert capfd.readouterr().err == "holdfast: a\\x1b[2Jb\\x9bc\n"
    assert visible("ok \N{SNOWMAN}") == "ok \N{SNOWMAN}"


def test_who_hears_what(capfd: pytest.CaptureFixture[str]) -> None:
    def said(voice: Voice) -> str:
        voice.error("e")
        voice.say("s")
        voice.note("n")
        voice.detail("d")
        return "".join(line.removeprefix("holdfast: ") for line in capfd.readouterr().err.split("\n"))

    assert said(Voice()) == "es"
    assert said(Voice(terminal=True)) == "esn"
    assert said(Voice(verbose=1)) == "esnd"
    assert said(Voice(quiet=True)) == "e"


def test_bytes_that_are_no_text_can_be_said(capfd: pytest.CaptureFixture[str]) -> None:
    Voice().say("name \udcff")
    assert capfd.readouterr().err == "holdfast: name \\udcff\n"


@pytest.mark.parametrize(
    ("setting", "env", "terminal", "color"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"HOLDFAST_NO_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, True, False),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_who_decides_about_color(setting: str, env: dict[str, str], terminal: bool, color: bool) -> None:
    assert wants_color(setting, env, terminal=terminal) is color
