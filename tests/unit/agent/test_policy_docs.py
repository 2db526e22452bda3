"""The example of docs/reference/policy.md is a policy, and means what the page says."""

from __future__ import annotations

import re

from holdfast.agent.access import Control, Principal, Role, See, Share, Start, decide
from holdfast.agent.policy import Policy, parse
from holdfast.jobs.body import Body
from holdfast.jobs.spec import JobSpec
from tests.security.sources import ROOT

PAGE = (ROOT / "docs" / "reference" / "policy.md").read_text()


def example() -> Policy:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 1
    return parse(blocks[0].encode(), "policy.toml")


def may(name: str, role: Role, ask: See | Control | Start | Share) -> bool:
    return decide(example().rights(Principal(name, role, "tls")), ask).allowed


def command(*argv: str) -> Start:
    return Start(JobSpec(argv=argv), Body(tuple(item.encode() for item in argv)), "agent")


def test_the_example_means_what_it_says() -> None:
    assert example().on_revoke == "stop"
    assert may("anna@laptop", Role.OPERATOR, See("ci@build"))
    assert may("anna@laptop", Role.OPERATOR, Control("ci@build"))
    assert not may("ci@build", Role.RUNNER, Control("anna@laptop"))
    assert may("guest@elsewhere", Role.ADMIN, See("whoever"))
    assert not may("guest@elsewhere", Role.ADMIN, Control("whoever"))
    assert may("ci@build", Role.RUNNER, command("/usr/bin/systemctl", "restart", "nginx"))
    assert not may("ci@build", Role.RUNNER, command("/usr/bin/systemctl", "stop", "nginx"))
    assert may("ci@build", Role.RUNNER, Share("web/deploy"))
    assert not may("ci@build", Role.RUNNER, Share("deploy"))
    assert may("ci@build", Role.RUNNER, command("/usr/local/bin/backup", "--keep", "7", "/srv/www", "a", "b"))


def test_every_key_of_the_language_is_on_the_page() -> None:
    from holdfast.agent import policy

    words = {*policy._GROUP, *policy._PRINCIPAL, *policy._MATCHERS, "count", "on_revoke", "groups", "principals"}
    words |= {
        "program",
        "arguments",
        "environment",
        "directory",
        "user",
        "max_time",
        "max_output",
        "stdin",
        "functions",
    }
    assert [word for word in sorted(words) if f"`{word}" not in PAGE and f"{{ {word} =" not in PAGE] == []
