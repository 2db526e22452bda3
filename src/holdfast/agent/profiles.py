"""Profiles: the commands that a runner may start, and what they are started with. Pure.

Rules of this module:

* What a profile does not name is refused: another program, one more argument, a variable, a directory, a limit.
* Arguments are compared as the bytes that are executed; text rules (``match``, ``one_of``, ``int``, ``below``) hold for
  valid UTF-8 of at most ``ARGUMENT_BYTES``.
* A limit of the profile is imposed where the request has none, and a request that goes beyond it is refused.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from holdfast.jobs.body import Body
from holdfast.jobs.spec import JobSpec
from holdfast.types import Retention
from holdfast.units import format_duration, format_size

ARGUMENT_BYTES: Final = 4096
"""Longest argument that a text rule looks at: PATH_MAX, and short enough for any expression."""
GRACE_S: Final = 60.0
"""Longest time between TERM and KILL that a runner may ask for."""
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")


class Exact(msgspec.Struct, frozen=True):
    """This very argument."""

    text: str

    def holds(self, argument: bytes) -> bool:
        """Whether it is it, byte for byte."""
        return argument == self.text.encode()

    def __str__(self) -> str:
        """For people."""
        return repr(self.text)


class OneOf(msgspec.Struct, frozen=True):
    """One of these."""

    texts: tuple[str, ...]

    def holds(self, argument: bytes) -> bool:
        """Whether it is among them."""
        return any(argument == text.encode() for text in self.texts)

    def __str__(self) -> str:
        """For people."""
        return f"one of {', '.join(self.texts)}"


class Match(msgspec.Struct, frozen=True):
    """All of the argument matches a regular expression (Python's ``re``, ``fullmatch``)."""

    expression: str

    def holds(self, argument: bytes) -> bool:
        """Whether the whole argument matches."""
        text = _text(argument)
        return text is not None and re.fullmatch(self.expression, text) is not None

    def __str__(self) -> str:
        """For people."""
        return f"matching {self.expression}"


class Between(msgspec.Struct, frozen=True):
    """A decimal number in a range, both ends included; no sign but ``-``, no leading zeros."""

    lowest: int
    highest: int

    def holds(self, argument: bytes) -> bool:
        """Whether it is such a number."""
        text = _text(argument)
        return text is not None and bool(_NUMBER.fullmatch(text)) and self.lowest <= int(text) <= self.highest

    def __str__(self) -> str:
        """For people."""
        return f"a number from {self.lowest} to {self.highest}"


class Below(msgspec.Struct, frozen=True):
    """An absolute path below a directory, without ``.``, ``..`` and empty parts.

    The name is judged, not what it stands for: a link below the directory leads where it leads.
    """

    directory: str

    def holds(self, argument: bytes) -> bool:
        """Whether it is such a path."""
        text = _text(argument)
        if text is None or not text.startswith("/") or not text.isprintable():
            return False
        parts = text[1:].split("/")
        wanted = [part for part in self.directory.split("/") if part]
        strictly = len(parts) > len(wanted)
        return strictly and not {"", ".", ".."} & set(parts) and parts[: len(wanted)] == wanted

    def __str__(self) -> str:
        """For people."""
        return f"a path below {self.directory}"


Matcher = Exact | OneOf | Match | Between | Below


class Argument(msgspec.Struct, frozen=True):
    """A place in the argument list: what may stand there, and how often."""

    matcher: Matcher
    fewest: int = 1
    most: int = 1


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A named command.

    Attributes:
        name: What policies and records call it.
        program: Absolute path, given exactly so; "": no command at all, functions only.
        arguments: What follows it. Only the last place may be there more than once, or not at all.
        environment: Names of variables that may be given; ``PATH`` and ``LANG`` of the caller count as given.
        directory: Where it runs; None: in the home directory of its user.
        user: Who it runs as; None: the agent's own account.
        max_time_s: Longest time limit, and the limit of a request without one; None: no limit.
        max_output_bytes: Most bytes of each output channel; a job that writes more is ended. None: no limit.
        stdin: Whether it may be given input.
        functions: ``module:qualname`` patterns of functions that may be called.
    """

    name: str
    program: str = ""
    arguments: tuple[Argument, ...] = ()
    environment: frozenset[str] = frozenset()
    directory: str | None = None
    user: str | None = None
    max_time_s: float | None = None
    max_output_bytes: int | None = None
    stdin: bool = False
    functions: tuple[str, ...] = ()

    def objection(self, spec: JobSpec, body: Body, *, own_user: str) -> str:
        """Why this profile does not allow a job, in words that go behind its name; empty: it does.

        Args:
            spec: What is asked for.
            body: The command.
            own_user: The agent's own account.
        """
        if spec.shell:
            return "a shell command is none of it"
        if not self.program or body.argv[0] != self.program.encode():
            return f"its program is {self.program}" if self.program else "it has no program"
        return self._arguments_objection(body.argv[1:]) or self._settings_objection(spec, body, own_user)

    def impose(self, spec: JobSpec, body: Body) -> tuple[JobSpec, Body]:
        """The job as it is started: with this profile's user, directory and limits."""
        retention = spec.retention
        if self.max_output_bytes is not None and retention.rule == "block":
            retention = Retention("kill", self.max_output_bytes)
        spec = msgspec.structs.replace(
            spec,
            user=self.user,
            cwd=self.directory or "",
            timeout_s=spec.timeout_s if spec.timeout_s else self.max_time_s,
            retention=retention,
            path=spec.path if "PATH" in self.environment else "",
            lang=spec.lang if "LANG" in self.environment else "",
        )
        return spec, Body(body.argv, body.env, (self.directory or "").encode())

    def _arguments_objection(self, given: tuple[bytes, ...]) -> str:
        place = 0
        for expected in self.arguments:
            count = 0
            while count < expected.most and place < len(given):
                if not expected.matcher.holds(given[place]):
                    if count >= expected.fewest:
                        break
                    return f"argument {place + 1} is not {expected.matcher}"
                place, count = place + 1, count + 1
            if count < expected.fewest:
                return f"argument {place + 1} is missing: {expected.matcher}"
        if place < len(given):
            return f"argument {place + 1} is not allowed"
        return ""

    def _settings_objection(self, spec: JobSpec, body: Body, own_user: str) -> str:
        for item in body.env:
            name = item.partition(b"=")[0].decode("utf-8", "backslashreplace")
            if name not in self.environment:
                return f"the variable {name} may not be given"
        if body.cwd and body.cwd != (self.directory or "").encode():
            return "another directory may not be given"
        if spec.user not in (None, self.user or own_user) or spec.groups:
            return "another user or group may not be given"
        if spec.limits or spec.umask is not None or spec.leave:
            return "resource limits, umask and --leave may not be given"
        if spec.stdin and not self.stdin:
            return "it takes no input"
        if self.max_time_s is not None and spec.timeout_s and spec.timeout_s > self.max_time_s:
            return f"its time limit is at most {format_duration(self.max_time_s)}"
        if spec.grace_s > GRACE_S:
            return f"the time between TERM and KILL is at most {format_duration(GRACE_S)}"
        most, rule = self.max_output_bytes, spec.retention
        if most is not None and rule.rule != "block" and not 0 < rule.limit_bytes <= most:
            return f"its output is at most {format_size(most)}"
        return ""


def _text(argument: bytes) -> str | None:
    if len(argument) > ARGUMENT_BYTES:
        return None
    try:
        return argument.decode()
    except UnicodeDecodeError:
        return None
