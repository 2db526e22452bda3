"""S13: four roles over TLS, by a real ``policy.toml``: what each may do, and in which words it is refused the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually

NAMES = ("viewer", "runner", "operator", "admin")
POLICY = """
[principals."viewer@box"]
controls = ["operator@box"]          # more than a viewer can have: they see these jobs, and change none

[principals."runner@box"]
profiles = ["greet", "sleep"]

[principals."admin@box"]
role = "admin"

[profiles.greet]
program   = "/bin/echo"
arguments = ["hello", { one_of = ["world", "moon"] }, { int = [1, 9], count = [0, 2] }]
directory = "/"

[profiles.sleep]
program   = "/bin/sleep"
arguments = [{ int = [0, 600] }]
max_time  = "300ms"
"""
NO_SUCH = "q0q0q0q0q0q0"


class Company:
    """One agent, four enrolled keys, each with a configuration of its own.

    Attributes:
        owner: The command line of the agent's own user.
        policy: The agent's policy file.
    """

    def __init__(self, folder: Path, state_dir: str) -> None:
        self.owner = Cli(state_dir, XDG_CONFIG_HOME=str(folder / "owner"))
        self.policy = folder / "owner" / "holdfast" / "policy.toml"
        self.policy.parent.mkdir(mode=0o700, parents=True)
        started = self.owner("agent", "start", "--listen", "tls://127.0.0.1:0")
        assert started.returncode == 0, started.stderr
        self._clients: dict[str, Cli] = {}
        self._folder = folder
        for name in NAMES:
            self.enrol(name, name)

    def enrol(self, name: str, role: str) -> Cli:
        """A key of its own for this one, in a configuration of its own; no local agent is ever started there."""
        place, state_dir = self._folder / name, self._folder / f"{name}-state"
        cli = self._clients[name] = Cli(str(state_dir), XDG_CONFIG_HOME=str(place), HOLDFAST_HOST="web1")
        invited = self.owner("agent", "invite", "--role", role)
        added = cli("host", "add", "web1", "-", "--as", f"{name}@box", input=invited.stdout)
        assert added.returncode == 0, added.stderr
        return cli

    def rule(self, text: str) -> None:
        """Put this policy in force."""
        fresh = self.policy.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.policy)

    def by(self, name: str, *args: str, input: bytes | None = None) -> tuple[int, str, str]:
        """Exit code, output and words of what this one types."""
        done = self._clients[name](*args, input=input)
        words = done.stderr.decode()
        assert "Traceback" not in words
        return done.returncode, done.stdout.decode(), words

    def starts(self, name: str, *command: str) -> str:
        """A job of this one that is left running; its id."""
        code, out, words = self.by(name, "run", "-d", "web1", "--", *command)
        assert code == 0, words
        return out.strip()

    def records(self, **wanted: str) -> int:
        """How many records of the audit have all of this."""
        records = json.loads(self.owner("agent", "audit", "-n", "1000", "--json").stdout)
        return sum(all(str(record.get(key)) == value for key, value in wanted.items()) for record in records)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    state_dir = folder / "state"
    state_dir.mkdir(mode=0o700)
    agent = AgentUnderTest(state_dir)
    try:
        yield Company(folder, agent.state_dir)
    finally:
        agent.stop()


@pytest.fixture
def company(everybody: Company, time_limit: None) -> Company:
    """The four of them under ``POLICY``."""
    everybody.rule(POLICY)
    return everybody


def refused(answer: tuple[int, str, str], *words: str) -> None:
    """That this was refused after the welcome, in one line that says that nothing was run."""
    code, out, said = answer
    assert (code, out, said.count("\n")) == (125, "", 1), answer
    assert said.startswith("holdfast: ")
    for word in (*words, "nothing was run"):
        assert word in said


def test_a_viewer_looks_on(company: Company) -> None:
    refused(company.by("viewer", "run", "web1", "--", "true"), "viewer@box is a viewer here and starts nothing")
    job = company.starts("operator", "sh", "-c", "echo seen; exec sleep 60")
    eventually(lambda: company.by("viewer", "logs", job)[:2] == (0, "seen\n"))
    assert company.by("viewer", "ps", "-q")[1].split() == [job]
    for verb in ("stop", "kill"):
        refused(company.by("viewer", verb, job), "viewer@box is a viewer here and changes nothing")
    assert company.by("operator", "ps", "-q")[1].split() == [job], "it runs on"
    refused(company.by("viewer", "agent", "invite"), "this takes an admin")
    assert company.by("operator", "stop", job)[0] == 0
    assert company.by("viewer", "wait", job)[0] == 143
    refused(company.by("viewer", "retry", job), "starts nothing")
    refused(company.by("viewer", "rm", job), "viewer@box is a viewer here and changes nothing")
    assert company.by("viewer", "verify", job)[0] == 0


def test_a_job_of_others_is_not_there(company: Company) -> None:
    """S15. Forbidden and missing look the same, running or ended: words, exit code, and nothing on standard output."""
    running, ended = company.starts("admin", "sleep", "60"), company.starts("admin", "true")
    assert company.by("admin", "wait", ended)[0] == 0
    for verb in ("logs", "attach", "wait", "verify", "stop", "kill", "rm", "retry"):
        missing = company.by("operator", verb, NO_SUCH)
        assert missing[:2] == (1, ""), verb
        assert f"no such job: {NO_SUCH}" in missing[2]
        for job in (running, ended):
            code, out, words = company.by("operator", verb, job)
            assert (code, out, words.replace(job, NO_SUCH)) == missing, verb
    assert not {running, ended} & set(company.by("operator", "ps", "-a", "-q")[1].split())
    assert company.by("admin", "stop", running)[0] == 0


def test_a_runner_starts_what_a_profile_allows(company: Company) -> None:
    assert company.by("runner", "run", "web1", "--", "/bin/echo", "hello", "moon", "3")[:2] == (0, "hello moon 3\n")
    for wrong, why in {
        ("/bin/echo", "hello", "mars"): "profile greet: argument 2 is not one of world, moon",
        ("/bin/echo", "hello", "moon", "10"): "profile greet: argument 3 is not",
        ("/bin/echo", "hello", "moon", "1", "2", "3"): "profile greet: argument 5 is not allowed",
        ("/bin/echo", "hello"): "profile greet: argument 2 is missing",
        ("echo", "hello", "moon"): "no profile of runner@box allows this command",
        ("/bin/sh", "-c", "id"): "no profile of runner@box allows this command",
    }.items():
        refused(company.by("runner", "run", "web1", "--", *wrong), why)
    fits = ("--", "/bin/echo", "hello", "moon")
    for flags, why in {
        ("-e", "LD_PRELOAD=/tmp/x.so"): "the variable LD_PRELOAD may not be given",
        ("-w", "/tmp"): "another directory may not be given",
        ("-u", "nobody"): "another user or group may not be given",
        ("-i",): "it takes no input",
        ("--leave",): "may not be given",
        ("--rlimit", "nofile=64"): "may not be given",
        ("--grace", "1h"): "the time between TERM and KILL is at most",
    }.items():
        refused(company.by("runner", "run", *flags, "web1", *fits), why)
    refused(company.by("runner", "run", "--sh", "/bin/echo hello moon", "web1"), "no profile")
    refused(
        company.by("runner", "run", "--timeout", "1m", "web1", "--", "/bin/sleep", "60"), "its time limit is at most"
    )


def test_a_runner_owns_what_it_started_within_the_limits_of_its_profile(company: Company) -> None:
    code, _, words = company.by("runner", "run", "web1", "--", "/bin/sleep", "600")
    assert code == 124, words
    (job,) = company.by("runner", "ps", "-a", "-q", "-n", "1")[1].split()
    assert company.by("runner", "logs", job)[0] == 0
    code, again, words = company.by("runner", "retry", job)
    assert code == 0, words
    assert company.by("runner", "wait", again.strip())[0] == 124
    assert company.by("runner", "rm", job)[0] == 0
    company.rule(POLICY.replace('["greet", "sleep"]', '["greet"]'))
    refused(company.by("runner", "retry", again.strip()), "no profile of runner@box allows this command")


def test_an_operator_runs_anything_as_the_agents_user_alone(company: Company) -> None:
    assert company.by("operator", "run", "web1", "--", "sh", "-c", "exit 7")[0] == 7
    refused(company.by("operator", "run", "-u", "daemon", "web1", "--", "id"), "operator@box may not run as daemon")
    for takes_an_admin in (("agent", "principals"), ("agent", "invite"), ("agent", "revoke", "runner@box")):
        refused(company.by("operator", *takes_an_admin), "operator@box is an operator here; this takes an admin")


def test_somebody_else_may_look_or_take_over_where_the_policy_says_so(company: Company) -> None:
    company.rule(POLICY + '[principals."operator@box"]\nsees = ["admin@box"]\n')
    job = company.starts("admin", "sleep", "60")
    not_theirs = "this job is admin@box's: operator@box may look at it and not change it"
    refused(company.by("operator", "stop", job), not_theirs)
    company.rule(POLICY + '[principals."operator@box"]\ncontrols = ["admin@box"]\n')
    assert company.by("operator", "stop", job)[0] == 0
    assert company.by("admin", "wait", job)[0] == 143
    assert company.records(action="stop", principal="operator@box", decision="deny", resource=job) == 1
    assert company.records(action="stop", principal="operator@box", decision="allow", resource=job) == 1


def test_an_admin_does_everything_from_outside_too(company: Company) -> None:
    job = company.starts("operator", "sleep", "60")
    assert company.by("admin", "stop", job)[0] == 0
    assert company.by("operator", "wait", job)[0] == 143
    assert "operator@box" in company.by("admin", "agent", "principals")[1]
    code, out, words = company.by("admin", "agent", "invite", "--role", "viewer")
    assert code == 0, words
    assert out.startswith("hf1.")


def test_the_policy_lowers_a_role_and_never_raises_it(company: Company) -> None:
    company.rule('[principals."operator@box"]\nrole = "viewer"\n[principals."viewer@box"]\nrole = "admin"\n')
    refused(company.by("operator", "run", "web1", "--", "true"), "operator@box is a viewer here and starts nothing")
    refused(company.by("viewer", "run", "web1", "--", "true"), "viewer@box is a viewer here and starts nothing")
    company.rule('[principals."operator@box"]\nexpires = 2020-01-01T00:00:00Z\n')
    refused(company.by("operator", "ps"), "the access of operator@box has expired")


def test_without_a_usable_policy_nothing_is_allowed_from_outside(company: Company) -> None:
    """Not even to an admin; the owner goes on, and hears which key is wrong."""
    company.rule(POLICY + "[groups.web]\nmembres = []\n")
    for name in ("operator", "admin"):
        refused(company.by(name, "run", "web1", "--", "true"))
    status = company.owner("agent", "status")
    assert status.returncode == 0
    assert b"membres" in status.stdout
    assert company.owner("run", "--", "true").returncode == 0
    company.policy.chmod(0o666)
    refused(company.by("admin", "ps"))
    company.rule(POLICY)
    assert company.by("operator", "run", "web1", "--", "true")[0] == 0, "repaired: no restart needed"


@pytest.mark.parametrize("jobs", [False, True])
def test_who_is_revoked_in_the_middle_is_told_in_one_line_and_does_not_come_again(company: Company, jobs: bool) -> None:
    """S8. The job goes on, unless it is to be stopped, too."""
    guest = f"guest{jobs:d}"
    client = company.enrol(guest, "operator").popen("run", "web1", "--", "sh", "-c", "echo begun; exec sleep 60")
    assert client.stdout is not None
    assert client.stdout.readline() == b"begun\n"
    (job,) = company.by("admin", "ps", "-q")[1].split()
    revoked = company.owner("agent", "revoke", f"{guest}@box", *(["--jobs"] if jobs else []))
    assert b"1 connections closed" in revoked.stdout
    out, words = client.communicate(timeout=5)
    assert (client.returncode, out) == (255, b"")
    assert words == b"holdfast: this key was revoked here: ask whoever runs this agent; the command ran\n"
    code, _, refusal = company.by(guest, "ps")
    assert (code, refusal.count("\n")) == (255, 1)
    if not jobs:
        assert company.by("admin", "ps", "-q")[1].split() == [job]
        assert company.by("admin", "stop", job)[0] == 0
    assert company.by("admin", "wait", job)[0] == 143
