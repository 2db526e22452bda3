"""Who may do what: principals, roles, and the one decision. Pure.

Rules of this module:

* Default deny: what no rule allows is refused, and a refusal names its rule.
* A job belongs to the principal who started it. Others see or control it by policy alone; a job that somebody may not
  see is, for them, not there (``Decision.hidden``).
* What programs share (locks, queues) is there to be shared: an operator uses what others have made, unless the policy
  keeps them to some names. A runner has no names but those. To forget an object takes control of who has made it.
* Whoever sits at the agent's own socket is admin there (the kernel says who they are), whatever the policy says.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, assert_never

import msgspec

from holdfast.agent.profiles import Profile
from holdfast.jobs.body import Body
from holdfast.jobs.spec import JobSpec


class Role(StrEnum):
    """What a principal may do in general, from least to most."""

    VIEWER = "viewer"
    RUNNER = "runner"
    OPERATOR = "operator"
    ADMIN = "admin"


class Principal(msgspec.Struct, frozen=True):
    """Somebody who is authenticated.

    Attributes:
        name: Enrolled ones have an ``@`` in it, local ones have their login.
        role: What they may do in general.
        kind: By whose word they are who they are: the kernel's, or that of a key.
        fingerprint: Of the key; empty for local ones.
        source: Where they come from, for people.
    """

    name: str
    role: Role
    kind: Literal["unix", "tls"]
    fingerprint: str = ""
    source: str = ""


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What one principal may do by one version of the policy.

    Attributes:
        name: Whose rights these are.
        role: The lesser of what they were enrolled with and what the policy says.
        sees: Whose jobs they may look at beside their own; None: everybody's.
        controls: Whose jobs they may signal, stop, feed and remove beside their own; None: everybody's.
        users: Who an operator's jobs may run as; None: the agent's own account alone.
        profiles: What a runner may start.
        spaces: Beginnings of the names of shared objects that they may use, ``"*"``: any; None: as their role says.
        policy: Short digest of that version; empty: there is no policy file.
        expires_unix_s: From then on nothing is allowed any more.
        barred: Why nothing is allowed at all; empty: it is not so.
    """

    name: str
    role: Role
    sees: frozenset[str] | None = frozenset()
    controls: frozenset[str] | None = frozenset()
    users: frozenset[str] | None = None
    profiles: tuple[Profile, ...] = ()
    spaces: frozenset[str] | None = None
    policy: str = ""
    expires_unix_s: float | None = None
    barred: str = ""

    def sees_jobs_of(self, owner: str) -> bool:
        """Whether jobs of this principal exist for them. Whoever controls a job sees it."""
        if owner == self.name:
            return True
        everybody = self.sees is None or self.controls is None
        return everybody or owner in (self.sees or ()) or owner in (self.controls or ())

    @property
    def visible(self) -> frozenset[str] | None:
        """Whose jobs exist for them; None: everybody's."""
        if self.sees is None or self.controls is None:
            return None
        return self.sees | self.controls | {self.name}

    def controls_jobs_of(self, owner: str) -> bool:
        """Whether they may change what becomes of this principal's jobs. A viewer looks on, also at their own."""
        if self.role is Role.VIEWER:
            return False
        return owner == self.name or self.controls is None or owner in self.controls


class Look(msgspec.Struct, frozen=True):
    """Ask for what everybody who is authenticated may know: a list of what they see, the agent's state."""


class See(msgspec.Struct, frozen=True):
    """Look at a job, its output, its end."""

    owner: str


class Control(msgspec.Struct, frozen=True):
    """Change what becomes of a job: signal, stop, feed, remove it."""

    owner: str


class Start(msgspec.Struct, frozen=True):
    """Start a job. ``own_user`` is the agent's own account."""

    spec: JobSpec
    body: Body
    own_user: str


class Share(msgspec.Struct, frozen=True):
    """Use a shared object of this name, or make it."""

    name: str


class Drop(msgspec.Struct, frozen=True):
    """Take a shared object away from all who use it. ``owner``: who has made it."""

    name: str
    owner: str


class Administer(msgspec.Struct, frozen=True):
    """Change who may do what, end the agent, touch what belongs to nobody."""


Ask = Look | See | Control | Start | Share | Drop | Administer


class Decision(msgspec.Struct, frozen=True):
    """What was decided.

    Attributes:
        allowed: Yes or no.
        rule: Which rule said so, for the record.
        text: A refusal in words.
        hidden: To be refused as if what was asked for were not there.
        profile: What a job is to be started by.
    """

    allowed: bool
    rule: str
    text: str = ""
    hidden: bool = False
    profile: Profile | None = None


def decide(rights: Rights, ask: Ask) -> Decision:
    """Whether this may be done."""
    if rights.barred:
        return Decision(False, "barred", rights.barred)
    if rights.role is Role.ADMIN:
        return Decision(True, "role admin")
    if isinstance(ask, Look):
        return Decision(True, "everybody")
    if isinstance(ask, See):
        return _see(rights, ask.owner)
    if isinstance(ask, Control):
        return _control(rights, ask.owner)
    if isinstance(ask, Start):
        return _start(rights, ask)
    if isinstance(ask, Share):
        return _share(rights, ask.name)
    if isinstance(ask, Drop):
        return _drop(rights, ask)
    if isinstance(ask, Administer):
        return Decision(False, f"role {rights.role}", f"{rights.name} is {_a(rights.role)} here; this takes an admin")
    assert_never(ask)


def _see(rights: Rights, owner: str) -> Decision:
    if owner == rights.name:
        return Decision(True, "own job")
    if rights.sees_jobs_of(owner):
        return Decision(True, "sees")
    return Decision(False, "not seen", hidden=True)


def _control(rights: Rights, owner: str) -> Decision:
    if not rights.sees_jobs_of(owner):
        return Decision(False, "not seen", hidden=True)
    if rights.controls_jobs_of(owner):
        return Decision(True, "own job" if owner == rights.name else "controls")
    if rights.role is Role.VIEWER:
        return Decision(False, "role viewer", f"{rights.name} is a viewer here and changes nothing")
    return Decision(False, "not controlled", f"this job is {owner}'s: {rights.name} may look at it and not change it")


def _start(rights: Rights, ask: Start) -> Decision:
    if rights.role is Role.OPERATOR:
        return _start_anything(rights, ask)
    if rights.role is not Role.RUNNER:
        text = f"{rights.name} is {_a(rights.role)} here and starts nothing"
        return Decision(False, f"role {rights.role}", text)
    objections = []
    for profile in rights.profiles:
        objection = profile.objection(ask.spec, ask.body, own_user=ask.own_user)
        if not objection:
            return Decision(True, f"profile {profile.name}", profile=profile)
        if profile.program and ask.body.argv[0] == profile.program.encode():
            objections.append(f"profile {profile.name}: {objection}")
    reason = f"; {'; '.join(objections[:3])}" if objections else ""
    return Decision(False, "no profile", f"no profile of {rights.name} allows this command{reason}")


def _start_anything(rights: Rights, ask: Start) -> Decision:
    user = ask.spec.user or ask.own_user
    allowed = rights.users if rights.users is not None else frozenset((ask.own_user,))
    if user not in allowed:
        text = f"{rights.name} may not run as {user}, only as {' or '.join(sorted(allowed)) or 'nobody'}"
        return Decision(False, "users", text)
    if ask.spec.groups:
        return Decision(False, "groups", f"{rights.name} may not give groups: a job has those of its user")
    return Decision(True, "role operator")


def _share(rights: Rights, name: str) -> Decision:
    if rights.role is Role.VIEWER:
        return Decision(False, "role viewer", f"{rights.name} is a viewer here and changes nothing")
    if rights.spaces is None and rights.role is Role.OPERATOR:
        return Decision(True, "role operator")
    spaces = sorted(rights.spaces or ())
    if any(space == "*" or name.startswith(space) for space in spaces):
        return Decision(True, "spaces")
    allowed = f"only names that begin with {' or '.join(spaces)}" if spaces else "no shared objects"
    return Decision(False, "spaces", f"{rights.name} may not use {name!r}, {allowed}")


def _drop(rights: Rights, ask: Drop) -> Decision:
    decision = _share(rights, ask.name)
    if not decision.allowed or rights.controls_jobs_of(ask.owner):
        return decision
    text = f"{ask.name!r} was made by {ask.owner}: {rights.name} may use it and not take it from others"
    return Decision(False, "not controlled", text)


def _a(role: Role) -> str:
    return f"an {role}" if role in (Role.OPERATOR, Role.ADMIN) else f"a {role}"
