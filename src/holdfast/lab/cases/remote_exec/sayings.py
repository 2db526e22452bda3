"""Reading what programs have said. Pure."""

from __future__ import annotations

from holdfast.lab.seen import Ran


def printed(ran: Ran) -> tuple[str, ...]:
    """The answers that the notes' client has printed, between its prompts; the last prompt met the end of its input."""
    answers = "\n".join(ran.out).split(">>>>")[1:]
    kept = answers if answers and answers[-1].strip() else answers[:-1]
    return tuple(answer.rstrip("\n") for answer in kept)


def last_words(ran: Ran) -> str:
    """The last line of standard error: of a traceback, what it was."""
    return next((line for line in reversed(ran.err) if line.strip()), "")


def plain(text: str) -> str:
    """Text that can be shown: what cannot be printed is spelt out."""
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)


def error_kind(words: str) -> str:
    """``struct.error`` of ``struct.error: unpack requires …``; an OSError with its text."""
    kind, _, rest = words.partition(":")
    return words if kind == "OSError" or not rest else kind
