"""The cases, in the order of the report; found by name or by any word a reader would type."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from holdfast.lab.case import Case
from holdfast.lab.sections import SECTIONS

NAMES: Final = (
    "handshake",
    "teardown",
    "backlog",
    "sticky-packets",
    "tcp-vs-udp",
    "addresses",
    "remote-exec",
    "two-phases",
    "concurrency",
    "io-models",
    "coroutines",
    "process-basics",
    "memory-isolation",
    "zombies-orphans",
    "daemon-processes",
    "tickets",
    "ipc-queue",
    "producer-consumer",
    "pools",
    "thread-basics",
    "lost-update",
    "deadlock",
    "semaphore",
    "timer",
    "queue-orders",
    "gil",
)


class NoSuchCase(LookupError):
    """No case is named so, and none is found by that word."""


def find(name: str) -> Case:
    """The case of this very name.

    Raises:
        NoSuchCase: there is none.
    """
    if name not in NAMES:
        raise NoSuchCase(name)
    return cast(Case, import_module(f"holdfast.lab.cases.{name.replace('-', '_')}").CASE)


def every() -> tuple[Case, ...]:
    """All cases, in order."""
    return tuple(find(name) for name in NAMES)


def search(word: str) -> tuple[Case, ...]:
    """The cases that a reader may mean: by name, by claim id, else by what they are about, in either language.

    Raises:
        NoSuchCase: none.
    """
    wanted = _plain(word)
    for case in every():
        if wanted == _plain(case.name):
            return (case,)
    found = [case for case in every() if _about(case, wanted)]
    exact = [case for case in found if wanted in map(_plain, case.words) or wanted in case.claims]
    if not found or not wanted:
        raise NoSuchCase(word)
    return tuple(exact or found)


def _about(case: Case, wanted: str) -> bool:
    headings = [
        text
        for section in SECTIONS
        if any(claim in case.claims for claim in section.claims)
        for text in (section.heading.en, section.heading.zh)
    ]
    texts = (
        case.name,
        case.title.en,
        case.title.zh,
        *case.words,
        *case.claims,
        *(claim.term for claim in case.claims.values()),
        *headings,
    )
    return any(wanted in _plain(text) for text in texts)


def _plain(text: str) -> str:
    """Lower case, and one space wherever words are apart."""
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split())
