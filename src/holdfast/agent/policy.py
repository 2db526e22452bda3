"""The policy file: from TOML to rights, or one line that says what is wrong with it. Pure.

Rules of this module:

* Must-understand: a key that is not known is refused, at any depth, so a rule with a typing error never becomes a wider
  one. The whole file holds, or nothing of it.
* A ``Policy`` is one version of the file and never changes; its digest goes into every record of a decision.

The format is described in docs/reference/policy.md.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec

from holdfast.agent.access import Principal, Rights, Role
from holdfast.agent.profiles import Argument, Below, Between, Exact, Match, Matcher, OneOf, Profile
from holdfast.errors import SettingsError
from holdfast.units import MOST_SECONDS, parse_duration, parse_size

MOST_BYTES: Final = 1024 * 1024
"""A longer file is not a policy."""
MOST_ARGUMENTS: Final = 64
"""Places in the argument list of a profile."""
MOST_COUNT: Final = 4096
"""How often the last place may be there."""
SHORT_DIGITS: Final = 16
"""Hexadecimal digits of the digest in each record; the whole of it is recorded when a version comes into use."""
_NOTHING: Final[tuple[str, ...]] = ()
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_FUNCTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:([A-Za-z_][A-Za-z0-9_.]*|\*)")
_ROLES: Final = tuple(Role)

OnRevoke = Literal["keep", "stop"]
T = TypeVar("T")


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one table says of a principal, or of all members of a group. ``None``: it says nothing."""

    members: frozenset[str] = frozenset()
    role: Role | None = None
    expires_unix_s: float | None = None
    sees: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    users: frozenset[str] | None = None
    profiles: tuple[str, ...] = ()
    spaces: frozenset[str] | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the policy.

    Attributes:
        digest: SHA-256 of the file, 64 hexadecimal digits; empty: there is no file.
        invalid: Why the file cannot be used; then nothing is allowed to anybody but the agent's own user.
        on_revoke: What becomes of the running jobs of a revoked key.
    """

    digest: str = ""
    invalid: str = ""
    on_revoke: OnRevoke = "keep"
    principals: Mapping[str, Grant] = {}
    groups: Mapping[str, Grant] = {}
    profiles: Mapping[str, Profile] = {}

    @property
    def short(self) -> str:
        """The digest as records have it."""
        return self.digest[:SHORT_DIGITS]

    def rights(self, who: Principal) -> Rights:
        """What somebody may do by this version."""
        if who.kind == "unix":
            return Rights(name=who.name, role=Role.ADMIN, sees=None, controls=None, policy=self.short)
        if self.invalid:
            barred = "the agent's policy cannot be used, so nothing is allowed from outside; its owner has the reason"
            return Rights(name=who.name, role=who.role, policy=self.short, barred=f"{barred} (holdfast agent status)")
        own = self.principals.get(who.name, Grant())
        grants = (own, *(group for group in self.groups.values() if who.name in group.members))
        role = who.role if own.role is None else min(who.role, own.role, key=_ROLES.index)
        users = [grant.users for grant in grants if grant.users is not None]
        spaces = [grant.spaces for grant in grants if grant.spaces is not None]
        sees = None if role is Role.ADMIN else self._owners(*(grant.sees for grant in grants))
        return Rights(
            name=who.name,
            role=role,
            sees=sees,
            controls=None if role is Role.ADMIN else self._owners(*(grant.controls for grant in grants)),
            users=frozenset[str]().union(*users) if users else None,
            profiles=tuple(self.profiles[name] for name in dict.fromkeys(sum((g.profiles for g in grants), ()))),
            spaces=frozenset[str]().union(*spaces) if spaces else None,
            policy=self.short,
            expires_unix_s=own.expires_unix_s,
        )

    def _owners(self, *lists: tuple[str, ...]) -> frozenset[str] | None:
        owners: set[str] = set()
        for name in sum(lists, ()):
            if name == "*":
                return None
            owners |= self.groups[name[1:]].members if name.startswith("@") else {name}
        return frozenset(owners)


NO_POLICY: Final = Policy()
"""Where there is no file: an operator starts and controls their own jobs as the agent's own user, others look on."""


def parse(data: bytes, path: str) -> Policy:
    """A policy from the bytes of its file.

    Args:
        data: The whole file.
        path: Its name, for messages.

    Raises:
        SettingsError: what is wrong, in one line with file and key.
    """
    import tomllib

    if len(data) > MOST_BYTES:
        raise SettingsError(f"{path}: longer than {MOST_BYTES} bytes, which is the limit of a policy")
    try:
        table = _Table(tomllib.loads(data.decode()), path, "")
    except ValueError as exc:
        raise SettingsError(f"{path}: {exc}") from exc
    groups = {name: _grant(sub, _GROUP) for name, sub in table.tables("groups")}
    principals = {name: _grant(sub, _PRINCIPAL) for name, sub in table.tables("principals")}
    profiles = {name: _profile(name, sub) for name, sub in table.tables("profiles")}
    on_revoke = table.take("on_revoke", _one_of("keep", "stop"), "keep")
    table.nothing_else("on_revoke", "groups", "principals", "profiles")
    for kind, grants in (("groups", groups), ("principals", principals)):
        for name, grant in grants.items():
            _check_grant(f"{path}: {kind}.{name}", kind, name, grant, groups, profiles)
    for name in (*groups, *profiles):
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{path}: {name!r} is not a name of letters, digits and ._- (63 at most)")
    return Policy(
        digest=hashlib.sha256(data).hexdigest(),
        on_revoke="stop" if on_revoke == "stop" else "keep",
        principals=principals,
        groups=groups,
        profiles=profiles,
    )


def _check_grant(
    where: str, kind: str, name: str, grant: Grant, groups: Mapping[str, Grant], profiles: Mapping[str, Profile]
) -> None:
    for remote in grant.members if kind == "groups" else (name,):
        if "@" not in remote[1:]:
            raise SettingsError(
                f"{where}: {remote!r} is not an enrolled name such as anna@laptop; local users are admin"
            )
    for owner in (*grant.sees, *grant.controls):
        if owner.startswith("@") and owner[1:] not in groups:
            raise SettingsError(f"{where}: there is no group {owner}")
    for profile in grant.profiles:
        if profile not in profiles:
            raise SettingsError(f"{where}: there is no profile {profile!r}")


_Read = Callable[[object, str], T]


class _Table:
    """A TOML table that gives each key once and knows what is left."""

    def __init__(self, table: object, path: str, name: str) -> None:
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {name} is not a table")
        self._left: dict[str, Any] = dict(table)
        self._path = path
        self._name = name

    def where(self, key: str) -> str:
        return f"{self._path}: {self._name}.{key}" if self._name else f"{self._path}: {key}"

    def take(self, key: str, read: _Read[T], default: T) -> T:
        if key not in self._left:
            return default
        return read(self._left.pop(key), self.where(key))

    def tables(self, key: str) -> list[tuple[str, _Table]]:
        found = _Table(self._left.pop(key, {}), self._path, key)
        return [(name, _Table(sub, self._path, f"{key}.{name}")) for name, sub in found._left.items()]

    def nothing_else(self, *known: str) -> None:
        for key in self._left:
            raise SettingsError(f"{self.where(key)}: unknown key; known are {', '.join(known)}")


_GROUP: Final = ("members", "sees", "controls", "users", "profiles", "spaces")
_PRINCIPAL: Final = ("role", "expires", "sees", "controls", "users", "profiles", "spaces")


def _grant(table: _Table, known: tuple[str, ...]) -> Grant:
    members: tuple[str, ...] = ()
    role: Role | None = None
    expires: float | None = None
    if "members" in known:
        members = table.take("members", _texts, _NOTHING)
    else:
        role = table.take("role", _role, None)
        expires = table.take("expires", _moment, None)
    users = table.take("users", _texts, None)
    spaces = table.take("spaces", _texts, None)
    grant = Grant(
        members=frozenset(members),
        role=role,
        expires_unix_s=expires,
        sees=table.take("sees", _texts, _NOTHING),
        controls=table.take("controls", _texts, _NOTHING),
        users=None if users is None else frozenset(users),
        profiles=table.take("profiles", _texts, _NOTHING),
        spaces=None if spaces is None else frozenset(spaces),
    )
    table.nothing_else(*known)
    return grant


def _profile(name: str, table: _Table) -> Profile:
    arguments: list[Any] = table.take("arguments", _list, [])
    where = table.where("arguments")
    if len(arguments) > MOST_ARGUMENTS:
        raise SettingsError(f"{where}: more than {MOST_ARGUMENTS} places")
    profile = Profile(
        name=name,
        program=table.take("program", _absolute, ""),
        arguments=tuple(_argument(item, table, f"arguments[{at + 1}]") for at, item in enumerate(arguments)),
        environment=frozenset(table.take("environment", _texts, _NOTHING)),
        directory=table.take("directory", _absolute, None),
        user=table.take("user", _text, None),
        max_time_s=table.take("max_time", _duration, None),
        max_output_bytes=table.take("max_output", _size, None),
        stdin=table.take("stdin", _switch, False),
        functions=table.take("functions", _functions, _NOTHING),
    )
    table.nothing_else(
        "program", "arguments", "environment", "directory", "user", "max_time", "max_output", "stdin", "functions"
    )
    if not profile.program and not profile.functions:
        raise SettingsError(f"{table.where('program')}: a profile needs a program, or functions")
    if any((argument.fewest, argument.most) != (1, 1) for argument in profile.arguments[:-1]):
        raise SettingsError(f"{where}: only the last place may have a count")
    for variable in profile.environment:
        if "=" in variable:
            raise SettingsError(f"{table.where('environment')}: {variable!r} is not the name of a variable")
    return profile


def _argument(item: object, table: _Table, key: str) -> Argument:
    where = table.where(key)
    if isinstance(item, str):
        return Argument(Exact(item))
    if not isinstance(item, dict):
        raise SettingsError(f"{where}: neither a text nor a table such as {{ one_of = [...] }}")
    rules = [rule for rule in item if rule in _MATCHERS]
    unknown = [rule for rule in item if rule not in _MATCHERS and rule != "count"]
    if unknown:
        raise SettingsError(f"{where}.{unknown[0]}: unknown key; known are {', '.join(_MATCHERS)}, count")
    if len(rules) != 1:
        raise SettingsError(f"{where}: needs exactly one of {', '.join(_MATCHERS)}")
    matcher = _MATCHERS[rules[0]](item[rules[0]], f"{where}.{rules[0]}")
    if "count" not in item:
        return Argument(matcher)
    fewest, most = _range(item["count"], f"{where}.count")
    if not 0 <= fewest <= most <= MOST_COUNT or most == 0:
        raise SettingsError(f"{where}.count: {item['count']!r} is not [FEWEST, MOST] from 0 to {MOST_COUNT}")
    return Argument(matcher, fewest, most)


# --- values ----------------------------------------------------------------------------------------------------------


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise SettingsError(f"{where}: {value!r} is not a non-empty text")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise SettingsError(f"{where}: {value!r} is not a list")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    return tuple(_text(item, where) for item in _list(value, where))


def _functions(value: object, where: str) -> tuple[str, ...]:
    for function in (patterns := _texts(value, where)):
        if not _FUNCTION.fullmatch(function):
            raise SettingsError(f"{where}: {function!r} is not module:name or module:*")
    return patterns


def _one_of(*words: str) -> _Read[str]:
    def read(value: object, where: str) -> str:
        if value not in words:
            raise SettingsError(f"{where}: {value!r} is none of {', '.join(words)}")
        return str(value)

    return read


def _role(value: object, where: str) -> Role:
    return Role(_one_of(*_ROLES)(value, where))


def _switch(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{where}: {value!r} is neither true nor false")
    return value


def _moment(value: object, where: str) -> float:
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        raise SettingsError(f"{where}: not a moment with its zone, such as 2027-01-31T00:00:00Z")
    return value.timestamp()


def _absolute(value: object, where: str) -> str:
    text = _text(value, where)
    if not text.startswith("/") or (text != "/" and {".", "..", ""} & set(text[1:].split("/"))):
        raise SettingsError(f"{where}: {value!r} is not an absolute path without ., .. and empty parts")
    return text


def _duration(value: object, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MOST_SECONDS:
        return float(value)
    try:
        seconds = parse_duration(_text(value, where))
    except ValueError as exc:
        raise SettingsError(f"{where}: {exc}") from exc
    if not seconds:
        raise SettingsError(f"{where}: no time at all")
    return seconds


def _size(value: object, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    try:
        size = parse_size(_text(value, where))
    except ValueError as exc:
        raise SettingsError(f"{where}: {exc}") from exc
    if not size:
        raise SettingsError(f"{where}: no bytes at all")
    return size


def _range(value: object, where: str) -> tuple[int, int]:
    numbers = _list(value, where)
    if len(numbers) != 2 or any(type(number) is not int for number in numbers) or numbers[0] > numbers[1]:
        raise SettingsError(f"{where}: {value!r} is not [LOWEST, HIGHEST]")
    return numbers[0], numbers[1]


def _choices(value: object, where: str) -> OneOf:
    return OneOf(_texts(value, where))


def _expression(value: object, where: str) -> Match:
    expression = _text(value, where)
    try:
        re.compile(expression)
    except re.error as exc:
        raise SettingsError(f"{where}: {expression!r} is not a regular expression: {exc}") from exc
    return Match(expression)


def _between(value: object, where: str) -> Between:
    return Between(*_range(value, where))


def _below(value: object, where: str) -> Below:
    return Below(_absolute(value, where))


_MATCHERS: Final[Mapping[str, _Read[Matcher]]] = {
    "one_of": _choices,
    "match": _expression,
    "int": _between,
    "below": _below,
}
