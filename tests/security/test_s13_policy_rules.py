"""S13: each rule of the policy language, once where it allows and once where it refuses; what is unknown is refused."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.agent.access import (
    Administer,
    Ask,
    Control,
    Decision,
    Drop,
    Look,
    Principal,
    Role,
    See,
    Share,
    Start,
    decide,
)
from holdfast.agent.policy import NO_POLICY, Policy, parse
from holdfast.errors import SettingsError
from holdfast.jobs.body import Body
from holdfast.jobs.spec import JobSpec
from holdfast.types import Retention

ANNA = "anna@laptop"
BERT = "bert@desk"
OWN = "agent"


def decided(policy: str | Policy, role: str, ask: Ask, *, name: str = ANNA, now: float = 0.0) -> Decision:
    version = parse(policy.encode(), "policy.toml") if isinstance(policy, str) else policy
    rights = version.rights(Principal(name, Role(role), "tls"))
    assert rights.expires_unix_s is None or now < rights.expires_unix_s
    return decide(rights, ask)


def start(*argv: str, env: tuple[str, ...] = (), cwd: str = "", **options: Any) -> Start:
    body = Body(tuple(item.encode() for item in argv), tuple(item.encode() for item in env), cwd.encode())
    return Start(JobSpec(argv=argv, **options), body, OWN)


TRUE = start("/bin/true")


# --- roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "ask", "allowed"),
    [
        ("viewer", Look(), True),
        ("viewer", See(ANNA), True),
        ("viewer", See(BERT), False),
        ("viewer", Control(ANNA), False),
        ("viewer", TRUE, False),
        ("viewer", Administer(), False),
        ("runner", Look(), True),
        ("runner", See(ANNA), True),
        ("runner", See(BERT), False),
        ("runner", Control(ANNA), True),
        ("runner", Control(BERT), False),
        ("runner", TRUE, False),
        ("runner", Administer(), False),
        ("operator", TRUE, True),
        ("operator", start("rm -rf /", shell=True), True),
        ("operator", See(ANNA), True),
        ("operator", See(BERT), False),
        ("operator", Control(ANNA), True),
        ("operator", Control(BERT), False),
        ("operator", Administer(), False),
        ("admin", TRUE, True),
        ("admin", start("/bin/true", user="root", groups=("wheel",)), True),
        ("admin", See(BERT), True),
        ("admin", Control(BERT), True),
        ("admin", Administer(), True),
        ("viewer", Share("db"), False),
        ("viewer", Drop("db", ANNA), False),
        ("runner", Share("db"), False),
        ("operator", Share("db"), True),
        ("operator", Drop("db", ANNA), True),
        ("operator", Drop("db", BERT), False),
        ("admin", Share("db"), True),
        ("admin", Drop("db", BERT), True),
    ],
)
def test_roles_without_a_policy_file(role: str, ask: Ask, allowed: bool) -> None:
    decision = decided(NO_POLICY, role, ask)
    assert decision.allowed is allowed
    assert decision.rule
    assert allowed or decision.hidden or decision.text


def test_the_agents_own_socket_is_admin_whatever_the_policy_says() -> None:
    for policy in (NO_POLICY, Policy(invalid="broken"), parse(b"", "p")):
        rights = policy.rights(Principal("root", Role.ADMIN, "unix"))
        assert all(decide(rights, ask).allowed for ask in (TRUE, See(BERT), Control(BERT), Administer(), Look()))


def test_a_policy_that_cannot_be_used_allows_nothing_from_outside_to_anybody() -> None:
    for role in Role:
        for ask in (Look(), See(ANNA), Control(ANNA), TRUE, Share("db"), Drop("db", ANNA), Administer()):
            decision = decided(Policy(invalid="broken"), role, ask)
            assert not decision.allowed
            assert "policy cannot be used" in decision.text
            assert not decision.hidden


@pytest.mark.parametrize(
    ("enrolled", "written", "effective"),
    [("admin", "viewer", "viewer"), ("operator", "runner", "runner"), ("viewer", "admin", "viewer")],
)
def test_a_role_in_the_policy_lowers_and_never_raises(enrolled: str, written: str, effective: str) -> None:
    policy = parse(f'[principals."{ANNA}"]\nrole = "{written}"'.encode(), "p")
    assert policy.rights(Principal(ANNA, Role(enrolled), "tls")).role == effective
    assert policy.rights(Principal(BERT, Role(enrolled), "tls")).role == enrolled


# --- shared objects --------------------------------------------------------------------------------------------------

SPACES = f"""
[groups.web]
members = ["{ANNA}"]
spaces = ["web/", "www-"]
[principals."{ANNA}"]
spaces = ["anna."]
controls = ["cron@host"]
[principals."{BERT}"]
spaces = []
[principals."all@host"]
spaces = ["*"]
"""


@pytest.mark.parametrize(
    ("name", "role", "ask", "allowed"),
    [
        (ANNA, "runner", Share("web/db"), True),
        (ANNA, "runner", Share("www-"), True),
        (ANNA, "runner", Share("anna.lock"), True),
        (ANNA, "runner", Share("web"), False),
        (ANNA, "runner", Share("x/web/db"), False),
        (ANNA, "operator", Share("web/db"), True),
        (ANNA, "operator", Share("db"), False),
        (ANNA, "viewer", Share("web/db"), False),
        (ANNA, "admin", Share("db"), True),
        (ANNA, "runner", Drop("web/db", ANNA), True),
        (ANNA, "runner", Drop("web/db", "cron@host"), True),
        (ANNA, "runner", Drop("web/db", BERT), False),
        (ANNA, "runner", Drop("db", ANNA), False),
        (BERT, "operator", Share("db"), False),
        ("all@host", "runner", Share("db"), True),
        ("other@host", "runner", Share("web/db"), False),
        ("other@host", "operator", Share("web/db"), True),
    ],
)
def test_spaces_are_beginnings_of_names(name: str, role: str, ask: Ask, allowed: bool) -> None:
    decision = decided(SPACES, role, ask, name=name)
    assert decision.allowed is allowed
    assert allowed or (name in decision.text and not decision.hidden)


# --- whose jobs ------------------------------------------------------------------------------------------------------

SHARED = f"""
[groups.web]
members = ["{ANNA}", "{BERT}"]
[groups.night]
members = ["cron@host"]
sees = ["@web"]
controls = ["{BERT}"]
[principals."all@host"]
sees = ["*"]
[principals."boss@host"]
controls = ["*"]
[principals."{ANNA}"]
sees = ["root"]
"""


@pytest.mark.parametrize(
    ("name", "ask", "allowed"),
    [
        (ANNA, See("root"), True),
        (ANNA, Control("root"), False),
        (ANNA, See(BERT), False),  # members of a group do not see each other unless it says so
        ("cron@host", See(ANNA), True),
        ("cron@host", Control(ANNA), False),
        ("cron@host", See("root"), False),
        ("cron@host", Control(BERT), True),
        ("cron@host", See(BERT), True),
        ("all@host", See("whoever"), True),
        ("all@host", Control("whoever"), False),
        ("boss@host", Control("whoever"), True),
        ("boss@host", See("whoever"), True),
        ("stranger@host", See(ANNA), False),
        ("stranger@host", Control(ANNA), False),
    ],
)
def test_sees_and_controls(name: str, ask: Ask, allowed: bool) -> None:
    assert decided(SHARED, "operator", ask, name=name).allowed is allowed


def test_a_viewer_controls_nothing_even_where_a_rule_says_so() -> None:
    assert not decided(SHARED, "viewer", Control("x"), name="boss@host").allowed


def test_what_may_not_be_seen_is_hidden_and_what_may_not_be_changed_is_said() -> None:
    assert decided(SHARED, "operator", Control("root"), name=BERT).hidden
    seen = decided(SHARED, "operator", Control("root"), name=ANNA)
    assert not seen.hidden
    assert "root" in seen.text


# --- what an operator runs as ----------------------------------------------------------------------------------------

USERS = f"""
[groups.web]
members = ["{BERT}"]
users = ["www-data"]
[principals."{ANNA}"]
users = ["deploy", "{OWN}"]
[principals."{BERT}"]
users = ["deploy"]
[principals."none@host"]
users = []
"""


@pytest.mark.parametrize(
    ("name", "user", "allowed"),
    [
        (ANNA, None, True),
        (ANNA, OWN, True),
        (ANNA, "deploy", True),
        (ANNA, "root", False),
        (BERT, "www-data", True),
        (BERT, "deploy", True),
        (BERT, None, False),
        ("other@host", None, True),
        ("other@host", OWN, True),
        ("other@host", "deploy", False),
        ("none@host", None, False),
    ],
)
def test_users(name: str, user: str | None, allowed: bool) -> None:
    assert decided(USERS, "operator", start("id", user=user), name=name).allowed is allowed


def test_an_operator_gives_no_groups() -> None:
    assert not decided(USERS, "operator", start("id", groups=("docker",))).allowed


# --- profiles --------------------------------------------------------------------------------------------------------


def profile(body: str) -> str:
    return f'[principals."{ANNA}"]\nprofiles = ["p"]\n[profiles.p]\nprogram = "/bin/do"\n{body}'


@pytest.mark.parametrize(
    ("body", "good", "bad"),
    [
        ("", start("/bin/do"), start("/bin/other")),
        ("", start("/bin/do"), start("do")),
        ("", start("/bin/do"), start("/bin/../bin/do")),
        ("", start("/bin/do"), start("/bin/do", "more")),
        ("", start("/bin/do"), start("/bin/do", shell=True)),
        ('arguments = ["restart"]', start("/bin/do", "restart"), start("/bin/do", "stop")),
        ('arguments = ["restart"]', start("/bin/do", "restart"), start("/bin/do", "restart ")),
        ('arguments = ["restart"]', start("/bin/do", "restart"), start("/bin/do")),
        ('arguments = [{ one_of = ["a", "b"] }]', start("/bin/do", "b"), start("/bin/do", "c")),
        ('arguments = [{ match = "[a-z]+" }]', start("/bin/do", "abc"), start("/bin/do", "abc1")),
        ('arguments = [{ match = "[a-z]+" }]', start("/bin/do", "abc"), start("/bin/do", "abc\n")),
        ('arguments = [{ match = "a.*" }]', start("/bin/do", "a" * 4096), start("/bin/do", "a" * 4097)),
        ("arguments = [{ int = [1, 10] }]", start("/bin/do", "10"), start("/bin/do", "11")),
        ("arguments = [{ int = [-3, 10] }]", start("/bin/do", "-3"), start("/bin/do", "-4")),
        ("arguments = [{ int = [1, 10] }]", start("/bin/do", "1"), start("/bin/do", "01")),
        ("arguments = [{ int = [1, 10] }]", start("/bin/do", "2"), start("/bin/do", " 2")),
        ("arguments = [{ int = [1, 10] }]", start("/bin/do", "3"), start("/bin/do", "٣")),
        ('arguments = [{ below = "/srv/a" }]', start("/bin/do", "/srv/a/b/c"), start("/bin/do", "/srv/ab")),
        ('arguments = [{ below = "/srv/a" }]', start("/bin/do", "/srv/a/..b"), start("/bin/do", "/srv/a/../b")),
        ('arguments = [{ below = "/srv/a" }]', start("/bin/do", "/srv/a/b"), start("/bin/do", "/srv/a")),
        ('arguments = [{ below = "/srv/a" }]', start("/bin/do", "/srv/a/b"), start("/bin/do", "/srv/a//b")),
        ('arguments = [{ below = "/srv/a" }]', start("/bin/do", "/srv/a/b"), start("/bin/do", "srv/a/b")),
        ('arguments = [{ below = "/srv/a" }]', start("/bin/do", "/srv/a/b"), start("/bin/do", "/srv/a/b\nc")),
        ('arguments = [{ below = "/" }]', start("/bin/do", "/etc"), start("/bin/do", "/etc/..")),
        ('arguments = [{ match = "x", count = [0, 2] }]', start("/bin/do"), start("/bin/do", "x", "x", "x")),
        ('arguments = [{ match = "x", count = [1, 2] }]', start("/bin/do", "x", "x"), start("/bin/do")),
        ('arguments = ["a", { match = "x", count = [0, 2] }]', start("/bin/do", "a", "x"), start("/bin/do", "a", "y")),
        ('environment = ["LANG"]', start("/bin/do", env=("LANG=C",)), start("/bin/do", env=("LD_PRELOAD=x",))),
        ('environment = ["LANG"]', start("/bin/do"), start("/bin/do", env=("LANG=C", "PATH=/tmp"))),
        ('directory = "/srv"', start("/bin/do", cwd="/srv"), start("/bin/do", cwd="/tmp")),
        ("", start("/bin/do"), start("/bin/do", cwd="/tmp")),
        ('user = "deploy"', start("/bin/do", user="deploy"), start("/bin/do", user="root")),
        ('user = "deploy"', start("/bin/do"), start("/bin/do", user=OWN)),
        ("", start("/bin/do", user=OWN), start("/bin/do", user="root")),
        ("", start("/bin/do"), start("/bin/do", groups=("docker",))),
        ("", start("/bin/do"), start("/bin/do", limits={"fsize": (0, 0)})),
        ("", start("/bin/do"), start("/bin/do", umask=0)),
        ("", start("/bin/do"), start("/bin/do", leave=True)),
        ('max_time = "10m"', start("/bin/do", timeout_s=600.0), start("/bin/do", timeout_s=601.0)),
        ("", start("/bin/do", grace_s=60.0), start("/bin/do", grace_s=61.0)),
        (
            'max_output = "1K"',
            start("/bin/do", retention=Retention("kill", 1024)),
            start("/bin/do", retention=Retention("kill", 1025)),
        ),
        (
            'max_output = "1K"',
            start("/bin/do", retention=Retention("keep-tail", 10)),
            start("/bin/do", retention=Retention("kill", 0)),
        ),
        ("stdin = true", start("/bin/do", stdin=True), start("/bin/do", stdin=True, shell=True)),
        ("stdin = false", start("/bin/do"), start("/bin/do", stdin=True)),
    ],
)
def test_each_rule_of_a_profile(body: str, good: Start, bad: Start) -> None:
    allowed = decided(profile(body), "runner", good)
    assert allowed.allowed, allowed.text
    assert allowed.rule == "profile p"
    refused = decided(profile(body), "runner", bad)
    assert not refused.allowed
    assert refused.rule == "no profile"
    assert "no profile" in refused.text


def test_arguments_are_compared_as_the_bytes_that_run() -> None:
    text = profile('arguments = [{ match = ".*" }]')
    bad = Start(JobSpec(), Body((b"/bin/do", b"\xff")), OWN)
    assert not decided(text, "runner", bad).allowed


def test_profiles_of_others_are_not_ones_own() -> None:
    assert not decided(profile(""), "runner", start("/bin/do"), name=BERT).allowed


def test_profiles_of_a_group_are_its_members() -> None:
    text = f'[groups.g]\nmembers = ["{ANNA}"]\nprofiles = ["p"]\n[profiles.p]\nprogram = "/bin/do"'
    assert decided(text, "runner", start("/bin/do")).allowed
    assert not decided(text, "runner", start("/bin/do"), name=BERT).allowed


def test_a_profile_of_functions_alone_runs_no_command() -> None:
    text = f'[principals."{ANNA}"]\nprofiles = ["p"]\n[profiles.p]\nfunctions = ["reports.night:*", "a:b.c"]'
    assert not decided(text, "runner", start("")).allowed
    assert parse(text.encode(), "p").profiles["p"].functions == ("reports.night:*", "a:b.c")


def test_what_a_profile_sets_is_imposed() -> None:
    text = profile('directory = "/srv"\nuser = "deploy"\nmax_time = "10m"\nmax_output = "1M"\nenvironment = ["LANG"]')
    ask = start("/bin/do", path="/home/anna/bin", lang="de_DE")
    found = decided(text, "runner", ask).profile
    assert found is not None
    spec, body = found.impose(ask.spec, ask.body)
    assert (spec.user, spec.cwd, body.cwd, spec.timeout_s) == ("deploy", "/srv", b"/srv", 600.0)
    assert spec.retention == Retention("kill", 1 << 20)
    assert (spec.path, spec.lang) == ("", "de_DE"), "the caller's PATH would choose what a script runs"
    shorter = start("/bin/do", timeout_s=5.0, retention=Retention("keep-tail", 10))
    spec, _ = found.impose(shorter.spec, shorter.body)
    assert (spec.timeout_s, spec.retention) == (5.0, Retention("keep-tail", 10))


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("colour = 1", "colour"),
        ('on_revoke = "explode"', "on_revoke"),
        ("groups = 1", "groups is not a table"),
        ('[groups.web]\nmember = ["a@b"]', "groups.web.member"),
        ('[groups.web]\nmembers = "a@b"', "groups.web.members"),
        ('[groups.web]\nmembers = ["root"]', "'root'"),
        ('[groups."we b"]', "'we b'"),
        ('[principals.root]\nsees = ["*"]', "'root'"),
        ('[principals."a@b"]\nrole = "king"', "role"),
        ('[principals."a@b"]\nexpires = "soon"', "expires"),
        ('[principals."a@b"]\nexpires = 2027-01-01', "expires"),
        ('[principals."a@b"]\nsees = ["@nobody"]', "@nobody"),
        ('[principals."a@b"]\nmembers = ["c@d"]', "members"),
        ('[principals."a@b"]\nprofiles = ["p"]', "'p'"),
        ("[profiles.p]", "program"),
        ('[profiles.p]\nprogram = "do"', "program"),
        ('[profiles.p]\nprogram = "/bin/../do"', "program"),
        ('[profiles.p]\nprogram = "/d"\nargument = []', "argument"),
        ('[profiles.p]\nprogram = "/d"\narguments = [1]', "arguments[1]"),
        ('[profiles.p]\nprogram = "/d"\narguments = [{ exact = "a" }]', "exact"),
        ('[profiles.p]\nprogram = "/d"\narguments = [{ match = "(" }]', "match"),
        ('[profiles.p]\nprogram = "/d"\narguments = [{ match = "a", int = [1, 2] }]', "exactly one"),
        ('[profiles.p]\nprogram = "/d"\narguments = [{ int = [2, 1] }]', "int"),
        ('[profiles.p]\nprogram = "/d"\narguments = [{ int = [true, 2] }]', "int"),
        ('[profiles.p]\nprogram = "/d"\narguments = [{ below = "srv" }]', "below"),
        ('[profiles.p]\nprogram = "/d"\narguments = [{ match = "a", count = [0, 0] }]', "count"),
        ('[profiles.p]\nprogram = "/d"\narguments = [{ match = "a", count = [0, 1] }, "b"]', "last place"),
        ('[profiles.p]\nprogram = "/d"\nenvironment = ["A=b"]', "environment"),
        ('[profiles.p]\nprogram = "/d"\ndirectory = "srv"', "directory"),
        ('[profiles.p]\nprogram = "/d"\nmax_time = "long"', "max_time"),
        ('[profiles.p]\nprogram = "/d"\nmax_time = inf', "max_time"),
        ('[profiles.p]\nprogram = "/d"\nmax_time = 0', "max_time"),
        ('[profiles.p]\nprogram = "/d"\nmax_output = 0', "max_output"),
        ('[profiles.p]\nprogram = "/d"\nstdin = 1', "stdin"),
        ('[profiles.p]\nprogram = "/d"\nfunctions = ["os.system"]', "functions"),
        ("not toml at all", "policy.toml"),
    ],
)
def test_what_is_unknown_or_wrong_refuses_the_whole_file_with_file_and_key(text: str, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text.encode(), "/etc/policy.toml")
    assert str(caught.value).startswith("/etc/policy.toml")
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_a_file_without_end_are_refused() -> None:
    for data in (b"\xff", b"#" * (1024 * 1024 + 1)):
        with pytest.raises(SettingsError):
            parse(data, "p")


def test_on_revoke() -> None:
    assert parse(b"", "p").on_revoke == "keep"
    assert parse(b'on_revoke = "keep"', "p").on_revoke == "keep"
    assert parse(b'on_revoke = "stop"', "p").on_revoke == "stop"
