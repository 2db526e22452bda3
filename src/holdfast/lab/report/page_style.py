"""How the page looks, and its small script. Nothing is loaded from anywhere. Pure."""

from __future__ import annotations

from typing import Final

from holdfast.lab.report import svg

_THEMES: Final = {
    "back": ("#f6f7f9", "#0d1014"),
    "paper": ("#ffffff", "#14181d"),
    "raised": ("#f0f2f5", "#1d2229"),
    "link": ("#0a55b0", "#7ab7ff"),
    "confirmed": ("#12693b", "#5fd39b"),
    "refined": ("#7a5200", "#f0b94a"),
    "refuted": ("#b01c26", "#ff9089"),
    "definition": ("#4c5763", "#b3bcc6"),
}


def _theme(place: int) -> str:
    own = " ".join(f"--{name}: {pair[place]};" for name, pair in _THEMES.items())
    return f"color-scheme: {('light', 'dark')[place]}; {svg.variables(place)} {own}"


CSS: Final = f"""
:root {{ {_theme(0)} }}
@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {_theme(1)} }} }}
:root[data-theme="dark"] {{ {_theme(1)} }}
""" + """
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 4rem; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--back); color: var(--ink); line-height: 1.6; font-family: FONTS; font-size: 1rem; overflow-wrap: break-word; }
main, header.top > div, footer { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
a { color: var(--link); text-underline-offset: .15em; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px; }
h1, h2, h3, h4 { line-height: 1.25; text-wrap: balance; }
h1 { font-size: clamp(1.7rem, 5vw, 2.6rem); margin: 0 0 .6rem; letter-spacing: -.01em; }
h2 { font-size: 1.6rem; margin: 3.5rem 0 1rem; }
h3 { font-size: 1.35rem; margin: 0; }
h4 { font-size: .82rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); margin: 2rem 0 .6rem; }
:lang(zh) > h4, html:lang(zh) h4 { letter-spacing: .1em; font-size: .9rem; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .875em; }
:not(pre) > code { background: var(--raised); padding: .1em .3em; border-radius: 4px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: .5rem; top: .5rem; background: var(--paper); padding: .5rem; z-index: 9; }
.bar { position: sticky; top: 0; z-index: 5; background: var(--paper); border-bottom: 1px solid var(--line); }
.bar > div { max-width: 62rem; margin: 0 auto; padding: .45rem 1.25rem; display: flex; gap: 1.1rem; align-items: center; }
.bar a { color: var(--ink); text-decoration: none; font-weight: 600; }
.bar a + a { font-weight: 400; color: var(--link); }
.bar a { white-space: nowrap; } .bar button { margin-left: auto; white-space: nowrap; } .tools p { margin: 0; }
button { font: inherit; font-size: .9rem; color: var(--ink); background: var(--raised); border: 1px solid var(--line); border-radius: 999px; padding: .3rem .85rem; min-height: 2.2rem; cursor: pointer; }
button[aria-pressed="true"] { background: var(--ink); color: var(--paper); border-color: var(--ink); }
header.top { background: var(--paper); border-bottom: 1px solid var(--line); padding: 2.5rem 0 1.75rem; }
.lead { font-size: 1.15rem; max-width: 46rem; margin: 0 0 1.5rem; color: var(--ink); }
dl.run { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1rem; margin: 0; font-size: .92rem; }
dl.run dt { color: var(--soft); } dl.run dd { margin: 0; }
.tally { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; list-style: none; padding: 0; margin: 0 0 1rem; }
.tally li { background: var(--paper); border: 1px solid var(--line); border-top: 4px solid var(--of); border-radius: 10px; padding: .7rem 1rem; }
.tally b { display: block; font-size: 2rem; line-height: 1.1; color: var(--of); font-variant-numeric: tabular-nums; }
.share { display: flex; height: 1rem; border-radius: 999px; overflow: hidden; gap: 2px; margin: 0 0 2rem; }
.share span { background: var(--of); min-width: 3px; }
.confirmed { --of: var(--confirmed); } .refined { --of: var(--refined); } .refuted { --of: var(--refuted); }
.definition, .missing { --of: var(--definition); } .failed { --of: var(--refuted); }
.verdict { display: inline-block; white-space: nowrap; font-size: .85rem; font-weight: 600; color: var(--of); border: 1.5px solid var(--of); border-radius: 999px; padding: .02rem .6rem; text-decoration: none; }
a.plain { text-decoration: none; }
.verdict.missing { border-style: dashed; font-weight: 400; }
.term { color: var(--soft); font-size: .92em; border-left: 3px solid var(--line); padding-left: .45em; margin-left: .35em; display: inline-block; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: .9rem; padding: 0; list-style: none; }
.cards > li { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: .9rem 1.1rem; }
.cards h3 { font-size: 1.02rem; margin: 0 0 .4rem; } .cards ol { margin: 0; padding-left: 0; list-style: none; font-size: .95rem; }
.cards li li { padding: .22rem 0; } .dots { white-space: nowrap; margin-left: .35rem; font-size: .8rem; } .dots span { color: var(--of); }
.tools { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: 1rem 0; }
.tools input { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--soft); border-radius: 8px; padding: .4rem .7rem; min-width: min(100%, 18rem); flex: 1; }
.tools output { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .42rem .8rem .42rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; } td.n { white-space: nowrap; } .scroll:not(.tall) :is(td, th):not(.n) { min-width: 4.2em; }
table.claims { width: 100%; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; border-spacing: 0; border-collapse: separate; }
table.claims td, table.claims th { padding: .5rem .7rem; } table.claims tbody tr:last-child > * { border-bottom: 0; }
table.claims thead th { position: sticky; top: 0; background: var(--paper); z-index: 1; }
.scroll.tall { max-height: min(42rem, 78vh); overflow: auto; border: 1px solid var(--line); border-radius: 12px; } .tall table.claims { border: 0; }
table.claims tbody { border-bottom: 1px solid var(--line); }
table.claims th[colspan] { background: var(--raised); color: var(--ink); border-top: 1px solid var(--line); font-size: 1rem; }
table.claims th[colspan] small { color: var(--soft); font-weight: 400; margin-left: .6em; font-size: .88rem; }
.id { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .85rem; white-space: nowrap; }
article { background: var(--paper); border: 1px solid var(--line); border-radius: 16px; padding: 1.6rem clamp(1rem, 4vw, 2.2rem) 1.8rem; margin: 0 0 2rem; }
.name { font-size: .85rem; color: var(--soft); margin: 0 0 .25rem; }
.question { font-size: 1.12rem; margin: .6rem 0 0; color: var(--soft); max-width: 46rem; }
.answer { border-left: 4px solid var(--hold); background: var(--raised); border-radius: 0 10px 10px 0; padding: .8rem 1.1rem; margin: 0; font-size: 1.05rem; }
.answer p { margin: 0; }
.note { border-left: 4px solid var(--refined); padding: .3rem 0 .3rem 1rem; color: var(--soft); margin: 1rem 0; }
ul.says { list-style: none; padding: 0; margin: 0; } ul.says li { display: grid; grid-template-columns: 3.2rem minmax(0, 1fr) auto; gap: .7rem; padding: .4rem 0; border-bottom: 1px solid var(--line); align-items: baseline; }
ul.says li:last-child { border: 0; }
figure { margin: 1.8rem 0; } figcaption { font-weight: 600; margin-bottom: .6rem; }
svg.drawing { display: block; width: 100%; height: auto; }
.wide { display: block; } .narrow { display: none; }
pre { margin: 0; padding: .8rem 1rem; background: var(--raised); border-radius: 10px; overflow: auto; max-height: 26rem; line-height: 1.45; tab-size: 4; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--link); padding: .2rem 0; } figure details { font-size: .92rem; } figure details .scroll { max-height: 22rem; overflow: auto; }
.rulings { list-style: none; padding: 0; margin: 0; display: grid; grid-template-columns: minmax(0, 1fr); gap: .8rem; }
.rulings li { border-left: 5px solid var(--of); padding: .25rem 0 .25rem 1rem; }
.rulings p { margin: .3rem 0 0; } .rulings .claim { color: var(--soft); font-size: .93rem; } .rulings .hangs { font-size: .9rem; color: var(--soft); }
:target { box-shadow: 0 0 0 3px var(--link); border-radius: 8px; } h2:target, #top:target, #main:target { box-shadow: none; }
ul.files { padding-left: 1.1rem; margin: .3rem 0; } footer { padding-top: 1rem; padding-bottom: 3rem; color: var(--soft); font-size: .9rem; }
[hidden] { display: none !important; }
@media (max-width: 46rem) {
  .wide { display: none; } .narrow { display: block; }
  h2 { margin-top: 2.5rem; } main, header.top > div, footer { padding: 0 .8rem; } .bar > div { padding: .4rem .8rem; gap: .8rem; }
  article { border-radius: 12px; padding: 1.1rem .9rem 1.2rem; }
  dl.run { grid-template-columns: 1fr; gap: 0; } dl.run dd { margin-bottom: .5rem; }
  ul.says li { grid-template-columns: minmax(0, 1fr) auto; } ul.says li > :nth-child(2) { grid-column: 1 / -1; grid-row: 2; }
  table.claims .of { display: none; } table.claims td, table.claims th { padding: .45rem .5rem; } table.claims { font-size: .9rem; }
  .bar button span { display: none; } .verdict { font-size: .78rem; padding: .02rem .45rem; }
}
@media print { .bar, .tools { display: none; } .scroll.tall, pre { max-height: none; } article { break-inside: avoid-page; border: 0; } body { background: none; } }
""".replace("FONTS", svg.FONTS) + svg.RULES  # fmt: skip

SCRIPT: Final = """
(function () {
  var root = document.documentElement, key = "holdfast-lab-theme";
  function keep(value) { try { localStorage.setItem(key, value); } catch (e) { /* a file may have no storage */ } }
  try { var kept = localStorage.getItem(key); if (kept) root.dataset.theme = kept; } catch (e) { /* as above */ }
  document.addEventListener("DOMContentLoaded", function () {
    var theme = document.getElementById("theme"), tools = document.getElementById("tools");
    theme.hidden = false; tools.hidden = false;
    theme.addEventListener("click", function () {
      var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark"; keep(root.dataset.theme);
    });
    var search = document.getElementById("search"), shown = document.getElementById("shown"), wanted = "";
    var buttons = Array.prototype.slice.call(tools.querySelectorAll("button"));
    var pieces = Array.prototype.slice.call(document.querySelectorAll("[data-verdicts]"));
    var texts = pieces.map(function (piece) { return (piece.dataset.words + " " + piece.textContent).toLowerCase(); });
    function apply() {
      var words = search.value.toLowerCase().split(/\\s+/).filter(Boolean), count = 0;
      pieces.forEach(function (piece, place) {
        var fits = (!wanted || piece.dataset.verdicts.split(" ").indexOf(wanted) >= 0) &&
          words.every(function (word) { return texts[place].indexOf(word) >= 0; });
        piece.hidden = !fits;
        if (fits && piece.tagName === "TR") count += 1;
      });
      document.querySelectorAll("table.claims tbody, section.chapter").forEach(function (group) {
        group.hidden = !group.querySelector("[data-verdicts]:not([hidden])");
      });
      shown.textContent = count;
    }
    buttons.forEach(function (button) {
      button.addEventListener("click", function () {
        wanted = button.value;
        buttons.forEach(function (other) { other.setAttribute("aria-pressed", String(other === button)); });
        apply();
      });
    });
    search.addEventListener("input", apply);
    document.addEventListener("click", function (event) {
      var link = event.target.closest && event.target.closest("a[href^='#']");
      var target = link && document.getElementById(link.getAttribute("href").slice(1));
      if (target && target.closest("[hidden]")) { search.value = ""; buttons[0].click(); }
    });
  });
})();
"""
