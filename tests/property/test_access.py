"""Default deny: whatever is asked, by whoever, only what a rule says is allowed, and a wider policy allows no less."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.agent.access import (
    Administer,
    Ask,
    Control,
    Drop,
    Look,
    Principal,
    Rights,
    Role,
    See,
    Share,
    Start,
    decide,
)
from holdfast.agent.policy import NO_POLICY, Grant, Policy
from holdfast.agent.profiles import Argument, Below, Exact, Profile
from holdfast.jobs.body import Body
from holdfast.jobs.spec import JobSpec

NAMES = ("anna@a", "bert@b", "cleo@c", "root")
names = st.sampled_from(NAMES)
argvs = st.lists(st.sampled_from((b"/bin/do", b"do", b"-x", b"/srv/a", b"/srv/../etc", b"\xff", b"")), min_size=1)
specs = st.builds(
    JobSpec,
    shell=st.booleans(),
    user=st.sampled_from((None, "agent", "root")),
    groups=st.sampled_from(((), ("docker",))),
    leave=st.booleans(),
    stdin=st.booleans(),
)
starts = st.builds(
    lambda spec, argv, env, cwd: Start(spec, Body(tuple(argv), tuple(env), cwd), "agent"),
    specs,
    argvs,
    st.lists(st.sampled_from((b"A=1", b"LD_PRELOAD=x")), max_size=2),
    st.sampled_from((b"", b"/tmp")),
)
objects = st.sampled_from(("db", "web/db", "web", "*"))
asks = st.one_of(
    st.just(Look()),
    st.builds(See, names),
    st.builds(Control, names),
    starts,
    st.builds(Share, objects),
    st.builds(Drop, objects, names),
    st.just(Administer()),
)
lists = st.lists(st.sampled_from((*NAMES, "*", "@all")), max_size=3).map(tuple)
profile_names = st.lists(st.sampled_from(("do", "any")), max_size=2).map(tuple)
grants = st.builds(
    Grant,
    members=st.frozensets(names),
    role=st.one_of(st.none(), st.sampled_from(Role)),
    sees=lists,
    controls=lists,
    users=st.one_of(st.none(), st.frozensets(st.sampled_from(("agent", "root")))),
    profiles=profile_names,
    spaces=st.one_of(st.none(), st.frozensets(st.sampled_from(("web/", "db", "*")))),
)
PROFILES = {
    "do": Profile(name="do", program="/bin/do"),
    "any": Profile(name="any", program="/bin/do", arguments=(Argument(Exact("-x")), Argument(Below("/srv"), 0, 9))),
}
policies = st.builds(
    lambda principals, everybody: Policy(
        digest="d" * 64, principals=principals, groups={"all": everybody}, profiles=PROFILES
    ),
    st.dictionaries(names, grants),
    grants,
)


def rights_of(policy: Policy, name: str, role: Role) -> Rights:
    return policy.rights(Principal(name, role, "tls"))


@given(names, st.sampled_from(Role), asks)
def test_without_a_policy_nobody_but_an_admin_touches_what_is_not_theirs(name: str, role: Role, ask: Ask) -> None:
    decision = decide(rights_of(NO_POLICY, name, role), ask)
    if role is Role.ADMIN:
        assert decision.allowed
    elif isinstance(ask, Administer):
        assert not decision.allowed
    elif isinstance(ask, (See, Control)):
        assert decision.allowed == (ask.owner == name and not (role is Role.VIEWER and isinstance(ask, Control)))
        assert decision.hidden == (ask.owner != name)
    elif isinstance(ask, Start):
        as_agent = ask.spec.user in (None, "agent") and not ask.spec.groups
        assert decision.allowed == (role is Role.OPERATOR and as_agent)
    elif isinstance(ask, Share):
        assert decision.allowed == (role is Role.OPERATOR)
    elif isinstance(ask, Drop):
        assert decision.allowed == (role is Role.OPERATOR and ask.owner == name)


@given(policies, names, st.sampled_from(Role), asks)
def test_what_is_allowed_is_allowed_by_a_rule_that_is_there(policy: Policy, name: str, role: Role, ask: Ask) -> None:
    """The oracle is written from docs/reference/policy.md, without looking at how it is decided."""
    decision = decide(rights_of(policy, name, role), ask)
    own = policy.principals.get(name, Grant())
    mine = [own] + [group for group in policy.groups.values() if name in group.members]
    lowered = own.role is not None and list(Role).index(own.role) < list(Role).index(role)
    role = own.role if lowered and own.role is not None else role

    def listed(lists: list[tuple[str, ...]], owner: str) -> bool:
        every = [item for items in lists for item in items]
        return "*" in every or owner in every or ("@all" in every and owner in policy.groups["all"].members)

    if role is Role.ADMIN or isinstance(ask, Look):
        expected = True
    elif isinstance(ask, Administer):
        expected = False
    elif isinstance(ask, See):
        expected = ask.owner == name or listed([g.sees for g in mine] + [g.controls for g in mine], ask.owner)
    elif isinstance(ask, Control):
        expected = role is not Role.VIEWER and (ask.owner == name or listed([g.controls for g in mine], ask.owner))
    elif isinstance(ask, (Share, Drop)):
        spaces = [g.spaces for g in mine if g.spaces is not None]
        named = any(space == "*" or ask.name.startswith(space) for space in set().union(*spaces))
        expected = role is not Role.VIEWER and (named or (role is Role.OPERATOR and not spaces))
        if isinstance(ask, Drop):
            expected = expected and (ask.owner == name or listed([g.controls for g in mine], ask.owner))
    elif role is Role.OPERATOR:
        users = [g.users for g in mine if g.users is not None]
        may = set().union(*users) if users else {"agent"}
        expected = (ask.spec.user or "agent") in may and not ask.spec.groups
    elif role is Role.RUNNER:
        argv, plain = ask.body.argv, ask.spec.user in (None, "agent") and not ask.spec.groups
        plain = plain and not (ask.spec.shell or ask.spec.leave or ask.spec.stdin or ask.body.env or ask.body.cwd)
        given_names = {profile for g in mine for profile in g.profiles}
        does = "do" in given_names and argv == (b"/bin/do",)
        rest = argv[2:]
        anything = "any" in given_names and argv[:2] == (b"/bin/do", b"-x")
        expected = plain and (does or (anything and len(rest) <= 9 and all(path == b"/srv/a" for path in rest)))
    else:
        expected = False
    assert decision.allowed == expected
    assert decision.rule
    if not decision.allowed and not decision.hidden:
        assert name in decision.text


@given(policies, names, st.sampled_from(Role), names)
def test_whoever_controls_sees_and_what_is_searched_is_what_is_seen(
    policy: Policy, name: str, role: Role, owner: str
) -> None:
    rights = rights_of(policy, name, role)
    if decide(rights, Control(owner)).allowed:
        assert decide(rights, See(owner)).allowed
    visible = rights.visible
    assert decide(rights, See(owner)).allowed == (visible is None or owner in visible)


@given(policies, names, st.sampled_from(Role), asks)
def test_an_unusable_policy_allows_nothing(policy: Policy, name: str, role: Role, ask: Ask) -> None:
    broken = Policy(digest=policy.digest, invalid="why", principals=policy.principals, groups=policy.groups)
    assert not decide(rights_of(broken, name, role), ask).allowed
