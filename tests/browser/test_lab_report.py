"""The report in Chromium: nothing sticks out on a phone, both themes, search, filter, and no need of scripts.

The page is loaded in a frame as wide as a screen would be. A probe at its end measures and acts, and tells the page
around it what came out, which Chromium prints.
"""

from __future__ import annotations

import html as entities
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from holdfast.lab.report import html
from holdfast.lab.text import LANGUAGES, Language
from tests.unit.lab.report_specimens import BLOCKS, Specimen, run, specimen

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE, DESK = 390, 1280
LIMIT_S: Final = 90

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
pytest.importorskip("matplotlib", reason="plots need the extra holdfast[lab]")

FRAME = """<!DOCTYPE html><body style="margin:0"><script>
addEventListener("message", function (event) { document.body.dataset.found = event.data; });
</script><iframe src="page.html" style="border:0;width:WIDTHpx;height:900px"></iframe>"""
PROBE = """<script>
var faults = [];
addEventListener("error", function (event) { faults.push(event.message); });
addEventListener("load", function () {
  var found = {};
  function seen(element) { return element.getClientRects().length > 0; }
  function all(selector) { return Array.prototype.slice.call(document.querySelectorAll(selector)); }
  try { (function () { PROBED })(); } catch (error) { faults.push(String(error)); }
  found.faults = faults;
  parent.postMessage(JSON.stringify(found), "*");
});
</script>"""


@pytest.fixture(scope="module")
def case() -> Specimen:
    """A case with blocks of all kinds; fonts are opened here and stay open."""
    whole = specimen(BLOCKS)
    html.page([(whole, run(whole))], "zh")
    return whole


def probed(folder: Path, page: str, script: str, *, width: int, dark: bool = False) -> dict[str, Any]:
    """What ``script`` has put into ``found`` in the page on a screen so wide."""
    assert CHROMIUM is not None
    (folder / "page.html").write_text(page.replace("</body>", PROBE.replace("PROBED", script) + "</body>"))
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    command = [
        CHROMIUM, "--headless", "--disable-gpu", "--no-first-run", "--virtual-time-budget=5000", "--dump-dom",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={max(width, 500)},900",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []), (folder / "frame.html").as_uri(),
    ]  # fmt: skip
    browser = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = browser.communicate(timeout=LIMIT_S)
    finally:
        if browser.poll() is None:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.communicate()
    told = re.search(r'data-found="([^"]*)"', printed)
    assert told is not None, printed[-500:]
    found: dict[str, Any] = json.loads(entities.unescape(told[1]))
    assert found.pop("faults") == []
    return found


def page_of(case: Specimen, language: Language = "en") -> str:
    return html.page([(case, run(case))], language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_sticks_out(tmp_path: Path, case: Specimen, width: int, language: Language) -> None:
    script = """
      all("details").forEach(function (each) { each.open = true; });
      found.page = document.documentElement.scrollWidth;
      found.out = all("main *, header *, nav *").filter(function (each) {
        return seen(each) && !each.closest(".scroll, pre") && each.getBoundingClientRect().right > innerWidth + 1;
      }).map(function (each) { return each.outerHTML.slice(0, 200); });
      found.cramped = all("svg.drawing text").filter(seen).filter(function (each) {
        return each.getBoundingClientRect().height < 9 && each.textContent.trim();
      }).map(function (each) { return each.textContent; });
      found.narrow = all(".narrow").filter(seen).length; found.wide = all(".wide").filter(seen).length;
    """
    found = probed(tmp_path, page_of(case, language), script, width=width)
    assert found["page"] <= width
    assert found["out"] == []
    assert found["cramped"] == []
    assert bool(found["narrow"]) == (width == PHONE)
    assert bool(found["wide"]) == (width == DESK)


@pytest.mark.parametrize("dark", [False, True])
def test_both_themes_as_the_reader_has_it_and_by_the_switch(tmp_path: Path, case: Specimen, dark: bool) -> None:
    script = """
      function back() { return getComputedStyle(document.body).backgroundColor; }
      function bar() { return getComputedStyle(document.querySelector("rect.hold")).fill; }
      found.first = [back(), bar()];
      document.getElementById("theme").click(); found.second = [back(), bar()];
      document.getElementById("theme").click(); found.third = [back(), bar()];
    """
    found = probed(tmp_path, page_of(case), script, width=DESK, dark=dark)
    light, night = (found["second"], found["first"]) if dark else (found["first"], found["second"])
    assert light == ["rgb(246, 247, 249)", "rgb(10, 95, 194)"]
    assert night == ["rgb(13, 16, 20)", "rgb(108, 176, 255)"]
    assert found["third"] == found["first"]


def test_search_and_filter(tmp_path: Path, case: Specimen) -> None:
    script = """
      var search = document.getElementById("search");
      function rows() { return all("tr[data-verdicts]").filter(seen).length; }
      function type(words) { search.value = words; search.dispatchEvent(new Event("input")); }
      found.all = rows();
      document.querySelector("#tools button[value=refuted]").click(); found.refuted = rows();
      found.pressed = all("#tools button[aria-pressed=true]").map(function (each) { return each.value; });
      type("no such word"); found.none = rows(); found.cases = all("article").filter(seen).length;
      document.querySelector("#tools button[value='']").click(); type("半连接池"); found.word = rows();
      found.shown = document.getElementById("shown").textContent; found.found = all("article").filter(seen).length;
    """
    found = probed(tmp_path, page_of(case), script, width=DESK)
    assert found == {
        "all": 135, "refuted": 1, "pressed": ["refuted"], "none": 0, "cases": 0, "word": 4, "shown": "4", "found": 1,
    }  # fmt: skip


def test_is_read_without_scripts(tmp_path: Path, case: Specimen) -> None:
    page = re.sub(r"<script>.*?</script>", "", page_of(case), flags=re.DOTALL)
    script = """
      found.controls = all("button, input").filter(seen).length; found.cases = all("article").filter(seen).length;
      found.drawings = all("svg.drawing").filter(seen).length;
    """
    found = probed(tmp_path, page, script, width=DESK)
    assert found == {"controls": 0, "cases": 1, "drawings": 5}
