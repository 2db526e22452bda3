"""The report as one page of HTML that needs nothing else: no request, and no script to be read."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.lab.case import Case
from holdfast.lab.report import overview
from holdfast.lab.report.markup import Markup, element, join, prose
from holdfast.lab.report.overview import Standing, Told
from holdfast.lab.report.page_style import CSS, SCRIPT
from holdfast.lab.report.pieces import block_piece, figures_piece, named, program_pieces
from holdfast.lab.report.words import CHAPTERS, SIGNS, verdict_word, word
from holdfast.lab.results import Result
from holdfast.lab.sections import CLAIMS, Section
from holdfast.lab.text import Language
from holdfast.lab.verdicts import Claim, Ruling, Verdict

_LANGUAGE_TAGS = {"en": "en", "zh": "zh-CN"}


def page(results: Sequence[tuple[Case, Result]], language: Language) -> str:
    """The page of these runs; the same text for the same runs.

    Args:
        results: At least one case with its run, in the order of the report.
        language: Of everything but names and what programs print.

    Raises:
        NoMatplotlib: a case has plots, and matplotlib is not installed.
    """
    cases = overview.told(results)
    title = word("title", language)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(CSS)),
        element("script", Markup(SCRIPT)),
    )
    body = element(
        "body",
        element("a", word("skip", language), href="#summary", class_="skip"),
        _bar(language),
        element(
            "header",
            element(
                "div",
                element("h1", title),
                element("p", prose(word("what", language)), class_="lead"),
                _run(results, language),
            ),
            class_="top",
            id="top",
        ),
        element("main", _summary(cases, language), *_chapters(cases, language), id="main"),
        element("footer", element("p", prose(word("made", language)))),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang=_LANGUAGE_TAGS[language])}\n"


def _bar(language: Language) -> Markup:
    links = [
        element("a", "holdfast lab", href="#top"),
        element("a", word("summary", language), href="#summary"),
        element("a", word("contents", language), href="#contents"),
    ]
    label = word("theme", language)
    theme = element(
        "button", "◐", element("span", f" {label}"), id="theme", type="button", hidden=True, aria_label=label
    )
    return element("nav", element("div", *links, theme), class_="bar", aria_label=word("contents", language))


def _run(results: Sequence[tuple[Case, Result]], language: Language) -> Markup:
    pairs = overview.about_run(results, language)
    return element("dl", *(join(element("dt", name), element("dd", said)) for name, said in pairs), class_="run")


# --- summary ----------------------------------------------------------------------------------------------------------


def _summary(cases: Sequence[Told], language: Language) -> Markup:
    counts = overview.counts(cases)
    tally = [
        element(
            "li", element("b", str(count)), f"{SIGNS[verdict]} {verdict_word(verdict, language)}", class_=verdict.value
        )
        for verdict, count in counts.items()
    ]
    for count, key, class_ in zip(
        overview.without_verdict(cases), ("failed", "not-run"), ("failed", "missing"), strict=True
    ):
        if count:
            tally.append(element("li", element("b", str(count)), word(key, language), class_=class_))
    share = [
        element("span", class_=verdict.value, style=f"flex:{count}")
        for verdict, count in counts.items()
        if count
    ]  # fmt: skip
    return element(
        "section",
        element("h2", word("summary", language), id="summary"),
        element("ul", *tally, class_="tally"),
        element("div", *share, class_="share", aria_hidden="true"),
        element("h2", word("contents", language), id="contents"),
        _contents(cases, language),
        element("h2", word("all-claims", language), id="claims"),
        _tools(language),
        _claims(cases, language),
    )


def _contents(cases: Sequence[Told], language: Language) -> Markup:
    cards = []
    for chapter, found in overview.by_chapter(cases):
        entries = [
            element(
                "li",
                element("a", prose(each.case.title.of(language)), href=f"#{each.case.name}"),
                _dots(each, language),
            )
            for each in found
        ]
        cards.append(element("li", element("h3", CHAPTERS[chapter].of(language)), element("ol", *entries)))
    return element("ul", *cards, class_="cards")


def _dots(each: Told, language: Language) -> Markup:
    """A sign for each verdict of a case."""
    if each.data is None:
        return element("span", element("span", word("failed", language), class_="failed"), class_="dots")
    said = ", ".join(verdict_word(ruling.verdict, language) for ruling in each.rulings.values())
    signs = [element("span", SIGNS[ruling.verdict], class_=ruling.verdict.value) for ruling in each.rulings.values()]
    return element("span", *signs, class_="dots", role="img", aria_label=said)


def _tools(language: Language) -> Markup:
    buttons = [element("button", word("all", language), type="button", value="", aria_pressed="true")]
    buttons += [
        element("button", f"{SIGNS[verdict]} {verdict_word(verdict, language)}", type="button", value=verdict.value, aria_pressed="false")
        for verdict in Verdict
    ]  # fmt: skip
    label = word("search", language)
    field = element("input", id="search", type="search", placeholder=label, aria_label=label)
    shown = element("p", element("output", str(CLAIMS), id="shown"), f" {word('of-claims', language)}")
    return element("div", field, *buttons, shown, class_="tools", id="tools", hidden=True, role="search")


def _claims(cases: Sequence[Told], language: Language) -> Markup:
    heads = [
        element("th", word(key, language), scope="col", class_="of" if key == "case" else None)
        for key in ("claim", "says", "verdict-one", "case")
    ]
    groups = []
    for section, standings in overview.by_section(cases):
        heading = element("span", section.heading.zh, lang="zh")
        beside = element("small", section.heading.en) if language == "en" else ""
        row = element("tr", element("th", heading, beside, colspan=4, scope="colgroup"))
        groups.append(element("tbody", row, *(_standing(each, section, language) for each in standings)))
    whole = element("table", element("thead", element("tr", *heads)), *groups, class_="claims")
    return element("div", whole, class_="scroll tall", tabindex=0)


def _standing(each: Standing, section: Section, language: Language) -> Markup:
    identity: Markup | str = each.identity
    link: Markup | str = ""
    if each.case:
        identity = element("a", each.identity, href=f"#{each.identity}")
        link = element("a", each.case, href=f"#{each.case}")
    says = _says(each.claim, language) if each.claim else "–"
    badge = _badge(each.ruling, language, failed=each.failed)
    verdict = each.ruling.verdict.value if each.ruling else "missing"
    return element(
        "tr",
        element("td", identity, class_="id"),
        element("td", says),
        element("td", badge),
        element("td", link, class_="of"),
        data_verdicts=verdict,
        data_words=" ".join((each.case, *each.words, section.heading.zh, section.heading.en)),
    )


def _badge(ruling: Ruling | None, language: Language, *, failed: bool = False) -> Markup:
    if ruling is None:
        return element(
            "span",
            word("failed" if failed else "not-run", language),
            class_="verdict failed" if failed else "verdict missing",
        )
    said = f"{SIGNS[ruling.verdict]} {verdict_word(ruling.verdict, language)}"
    return element("span", said, class_=f"verdict {ruling.verdict.value}")


def _says(claim: Claim, language: Language) -> Markup:
    """What the notes say, with their own word for it."""
    term = join(" ", element("span", claim.term, class_="term", lang="zh")) if claim.term else ""
    return join(prose(claim.says.of(language)), term)


# --- cases ------------------------------------------------------------------------------------------------------------


def _chapters(cases: Sequence[Told], language: Language) -> list[Markup]:
    return [
        element(
            "section",
            element("h2", CHAPTERS[chapter].of(language), id=f"chapter-{chapter.value}"),
            *(_case(each, language) for each in found),
            class_="chapter",
        )
        for chapter, found in overview.by_chapter(cases)
    ]


def _case(each: Told, language: Language) -> Markup:
    case, result = each.case, each.result
    parts = [
        element("p", element("code", case.name), class_="name"),
        element("h3", prose(case.title.of(language))),
        element("p", prose(case.question.of(language)), class_="question"),
        element("h4", word("claims-of", language)),
        element("ul", *(_claim(each, identity, language) for identity in case.claims), class_="says"),
    ]
    if each.data is None:
        failed = element("pre", result.failed or "", tabindex=0)
        parts += [element("h4", word("failed", language)), failed]
    else:
        figures = case.figures(each.data)
        parts += [
            element("h4", word("answer", language)),
            element("div", element("p", prose(case.answer(each.data).of(language))), class_="answer"),
            *_notes(result, language),
            element("h4", word("happened", language)),
            *(
                block_piece(block, language, f"{case.name}-{place}")
                for place, block in enumerate(case.blocks(each.data), 1)
            ),
        ]
        if figures:
            parts += [element("h4", word("figures", language)), figures_piece(figures, language)]
        rulings = [
            _ruling(case.claims[identity], identity, ruling, language) for identity, ruling in each.rulings.items()
        ]
        parts += [element("h4", word("evidence", language)), element("ul", *rulings, class_="rulings")]
    parts += [element("h4", word("reading", language)), program_pieces(case, language), _files(case, result, language)]
    verdicts = dict.fromkeys(ruling.verdict.value for ruling in each.rulings.values())
    return element("article", *parts, id=case.name, data_verdicts=" ".join(verdicts), data_words=" ".join(case.words))


def _notes(result: Result, language: Language) -> list[Markup]:
    notes = [named(word("lesser", language), text.of(language), language) for text in result.lesser]
    left = [f"{each.pid} {each.command}" for each in result.leftovers]
    if left:
        notes.append(named(word("left-over", language), ", ".join(left), language))
    return [element("p", note, class_="note") for note in notes]


def _claim(each: Told, identity: str, language: Language) -> Markup:
    badge = _badge(each.rulings.get(identity), language, failed=each.data is None)
    if each.rulings:
        badge = element("a", badge, href=f"#{identity}", class_="plain")
    return element(
        "li",
        element("span", identity, class_="id"),
        element("span", _says(each.case.claims[identity], language)),
        badge,
        id=None if each.rulings else identity,
    )


def _ruling(claim: Claim, identity: str, ruling: Ruling, language: Language) -> Markup:
    parts = [
        element("div", _badge(ruling, language), " ", element("span", identity, class_="id")),
        element("p", _says(claim, language), class_="claim"),
        element("p", prose(ruling.evidence.of(language))),
    ]
    if ruling.depends_on is not None:
        hangs = named(word("depends", language), ruling.depends_on.of(language), language)
        parts.append(element("p", hangs, class_="hangs"))
    return element("li", *parts, id=identity, class_=ruling.verdict.value)


def _files(case: Case, result: Result, language: Language) -> Markup:
    folder = "src/" + case.package.replace(".", "/")
    files = [(f"{folder}/observe.py", word("observes", language)), (f"{folder}/judge.py", word("judges", language))]
    files += [(reading.path, reading.what.of(language)) for reading in case.reading]
    listed = [element("li", element("code", path), " – ", prose(what)) for path, what in files]
    quick = " --quick" if result.quick else ""
    again = named(word("again", language), f"`holdfast lab run {case.name} --seed {result.seed}{quick}`", language)
    return join(element("ul", *listed, class_="files"), element("p", again))
