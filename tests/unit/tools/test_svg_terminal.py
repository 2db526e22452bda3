"""The picture shows what was written, when it was written."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from tools import svg_terminal
from tools.svg_terminal import Line

ROOT = Path(__file__).resolve().parents[3]
SVG = "{http://www.w3.org/2000/svg}"


def test_lines_are_put_together_from_pieces_with_the_time_of_their_first_byte() -> None:
    pieces = [(0.1, b"one\r\ntw"), (0.2, b"o\r\nthree"), (0.3, b"\r\nrest")]
    assert svg_terminal.screen_lines(pieces) == [
        Line(0.1, "one"),
        Line(0.1, "two"),
        Line(0.2, "three"),
        Line(0.3, "rest"),
    ]


def test_colours_become_classes_and_text_is_escaped_and_cut() -> None:
    lines = [Line(0.0, "\x1b[1;31ma<b\x1b[0m & \x1b[32mgreen and long\x1b[m")]
    tree = ElementTree.fromstring(svg_terminal.render(lines, columns=11, title="<title>"))
    (text,) = [node for node in tree.iter(f"{SVG}text") if node.get("class") == "t"]
    assert "".join(text.itertext()) == "a<b & green"
    assert [(span.get("class"), span.text) for span in text] == [("b r", "a<b"), ("g", "green")]


def test_pauses_are_kept_but_shortened() -> None:
    lines = [Line(5.0, "a"), Line(5.2, "b"), Line(60.0, "c")]
    picture = svg_terminal.render(lines, columns=10, title="t")
    assert re.findall(r"animation-delay:([\d.]+)s", picture) == ["0.00", "0.20", "0.90"]


def test_the_picture_of_the_readme_is_whole() -> None:
    tree = ElementTree.parse(ROOT / "docs" / "images" / "demo.svg")
    text = "\n".join("".join(node.itertext()) for node in tree.iter(f"{SVG}text"))
    assert "Every promise held." in text
    assert text.count("ok  ") == 9
    assert "/tmp/" not in text
