"""Texts in the languages of the lab."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")


class Text(msgspec.Struct, frozen=True):
    """The same thing said in English and in Chinese. Neither is empty."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """It in one language."""
        return self.en if language == "en" else self.zh


def same(words: object) -> Text:
    """What needs no translation: a name, a number, a line that a program printed."""
    return Text(str(words), str(words))
