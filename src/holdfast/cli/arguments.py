"""What people write on a command line, as values. Pure: environment and file contents come in as arguments.

Every parser raises ``ValueError`` with a message that says what is accepted.
"""

from __future__ import annotations

import signal as _signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from holdfast.types import Retention
from holdfast.units import parse_size

SEPARATOR: Final = "--"
RLIMITS: Final = (
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue",
    "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
"""Names of setrlimit(2) without ``RLIMIT_``, in lower case."""
UNLIMITED: Final = -1
"""RLIM_INFINITY, as Python's ``resource`` spells it."""


def split_command(args: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Our own arguments, and the command after the first ``--`` (None: there is no ``--``).

    This comes before any option is read, so nothing of the command can be taken for a flag of ours.
    """
    own = list(args)
    if SEPARATOR not in own:
        return own, None
    at = own.index(SEPARATOR)
    return own[:at], own[at + 1 :]


def parse_env(items: Iterable[str], ours: Mapping[str, str]) -> dict[str, str]:
    """The variables meant by ``-e K=V`` and ``-e K`` (taken from ours; left out when we have none).

    Raises:
        ValueError: an empty name, or a NUL byte.
    """
    env: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not name or "\0" in item:
            raise ValueError(f"{item!r} is not NAME=VALUE or NAME")
        if equals:
            env[name] = value
        elif name in ours:
            env[name] = ours[name]
    return env


def parse_env_file(text: str, ours: Mapping[str, str]) -> dict[str, str]:
    """The variables of an ``--env-file``: one ``K=V`` or ``K`` a line, taken literally; ``#`` starts a comment line.

    Raises:
        ValueError: a line that is neither; the message names its number.
    """
    env: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            env.update(parse_env([line.lstrip()], ours))
        except ValueError as exc:
            raise ValueError(f"line {number}: {exc}") from exc
    return env


def parse_signal(text: str) -> int:
    """The number of a signal given as ``TERM``, ``SIGTERM``, ``15``, ``RTMIN+3`` or ``RTMAX-1``.

    Raises:
        ValueError: no such signal here.
    """
    name = text.strip().upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        number = int(name)
        if 1 <= number <= 64:
            return number
        raise ValueError(f"{text!r} is not a signal: numbers go from 1 to 64")
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    if base in ("RTMIN", "RTMAX") and (not sign or offset.isdigit()):
        number = int(_signal.Signals[f"SIG{base}"]) + int(f"{sign}{offset}" if sign else 0)
        if _signal.SIGRTMIN <= number <= _signal.SIGRTMAX:
            return number
    elif f"SIG{name}" in _signal.Signals.__members__:
        return int(_signal.Signals[f"SIG{name}"])
    raise ValueError(f"{text!r} is not a signal: write TERM, SIGTERM, 15 or RTMIN+1")


def parse_rlimit(text: str) -> tuple[str, tuple[int, int]]:
    """Name, soft and hard limit of ``NAME=SOFT[:HARD]``; sizes may have units, ``unlimited`` is accepted.

    Raises:
        ValueError: an unknown name, or a value that is not a number.
    """
    name, _, values = text.partition("=")
    name = name.strip().lower().removeprefix("rlimit_")
    if name not in RLIMITS:
        raise ValueError(f"{text!r} is not NAME=SOFT[:HARD] with a NAME of {', '.join(RLIMITS)}")
    soft_text, colon, hard_text = values.partition(":")
    soft = _limit(soft_text, text)
    hard = _limit(hard_text, text) if colon else soft
    if hard != UNLIMITED and (soft == UNLIMITED or soft > hard):
        raise ValueError(f"{text!r}: the soft limit is above the hard one")
    return name, (soft, hard)


def parse_retention(text: str) -> Retention:
    """The rule meant by ``block``, ``block=N``, ``keep-tail=N`` or ``kill=N``; N is a size per channel.

    Raises:
        ValueError: another rule, or a size that is missing or wrong.
    """
    rule, equals, size = text.partition("=")
    if rule == "block":
        return Retention(rule="block", limit_bytes=parse_size(size) if equals else 0)
    if rule in ("keep-tail", "kill") and equals:
        limit = parse_size(size)
        if limit > 0:
            return Retention(rule="keep-tail" if rule == "keep-tail" else "kill", limit_bytes=limit)
    raise ValueError(f"{text!r} is none of block, keep-tail=SIZE, kill=SIZE")


def parse_umask(text: str) -> int:
    """An octal file mode mask, ``022`` and the like.

    Raises:
        ValueError: not octal, or above 0777.
    """
    try:
        mask = int(text, 8)
    except ValueError:
        mask = -1
    if not 0 <= mask <= 0o777:
        raise ValueError(f"{text!r} is not an octal mask from 000 to 777")
    return mask


def parse_filter(text: str, known: Sequence[str]) -> tuple[str, str]:
    """Key and value of ``--filter K=V``.

    Raises:
        ValueError: no ``=``, or a key that is not known.
    """
    key, equals, value = text.partition("=")
    if not equals or key not in known:
        raise ValueError(f"{text!r} is not KEY=VALUE with a KEY of {', '.join(known)}")
    return key, value


def _limit(text: str, whole: str) -> int:
    if text.strip().lower() in ("unlimited", "infinity", "-1"):
        return UNLIMITED
    try:
        return parse_size(text)
    except ValueError as exc:
        raise ValueError(f"{whole!r} is not NAME=SOFT[:HARD]: {exc}") from exc
