"""S3: no option, environment variable or file makes an agent take an unauthenticated request.

Everything that can be given to an agent is listed here with what it can do at the worst. Whatever is added must be
thought about, and listed, before this test is green again.
"""

from __future__ import annotations

import re

from holdfast import config
from holdfast.cli import agent as agent_verb
from tests.security.sources import SOURCES

FLAGS = {
    "--state-dir": "another place, and with it another identity and other enrolled keys",
    "--embedded": "the agent leaves when nothing needs it",
    "--keeper-fd": "an inherited socket; whoever starts the agent is its user already",
    "--listen": "one more door, with the same lock",
    "--any-address": "the door is reached from more places, with the same lock",
    "--metrics": "numbers are told, nothing is taken: no request of the protocol is served there",
    "--help": "prints",
}
SETTINGS = {
    "state_dir": "as --state-dir",
    "config_dir": "another policy; a policy gives rights to enrolled keys and to nobody else",
    "cache_dir": "nothing",
    "host": "for clients",
    "connect_timeout_s": "for clients",
    "on_disconnect": "for clients",
    "grace_s": "for jobs",
    "slots": "a number",
    "queue": "a number",
    "retention_s": "a time",
    "idle_exit_s": "a time",
    "spool_share": "a number",
    "listen": "as --listen",
    "any_address": "as --any-address",
    "metrics": "as --metrics",
    "max_connections": "a number",
    "max_connections_per_principal": "a number",
    "max_strangers": "a number: strangers wait, they are never served",
    "max_strangers_per_source": "a number: strangers wait, they are never served",
    "log_level": "words",
    "output": "words",
    "color": "words",
}
VARIABLES = {
    "HOLDFAST_CONFIG": "another file of settings",
    "HOLDFAST_NO_COLOR": "words",
    "HOLDFAST_COMPLETE": "asks for a completion script",
    "HOLDFAST_COMMAND_NOFILE": "the descriptor limit that commands get",
    "HOLDFAST_COMMAND_CORE": "the limit of core files that commands get",
    "HOLDFAST_AGENT": "given to commands; what carries it can be found as a leftover",
    "HOLDFAST_ATTEMPT": "given to commands",
    "HOLDFAST_DEADLINE": "given to commands",
    "HOLDFAST_FENCE": "given to commands that hold something",
    "HOLDFAST_JOB_ID": "given to commands",
    "HOLDFAST_START_KEY": "given to commands",
    "HOLDFAST_WORKER": "given to workers by their client: what they are",
    "HOLDFAST_CALL": "given to workers by their client: what they call first",
    "HOLDFAST_WORKER_SOCKET": "given to workers: where their agent listens, which knows them by the kernel's word",
}


def test_s03_every_option_of_an_agent_has_been_thought_about() -> None:
    run = agent_verb.command.commands["run"]
    flags = {name for option in run.params for name in option.opts if name.startswith("--")} | {"--help"}
    assert flags == set(FLAGS)


def test_s03_every_setting_has_been_thought_about() -> None:
    assert set(config.Settings.__struct_fields__) - {"origins"} == set(SETTINGS)


def test_s03_every_variable_has_been_thought_about() -> None:
    text = "\n".join(path.read_text() for path in sorted(SOURCES.rglob("*.py")))
    named = set(re.findall(r"HOLDFAST_[A-Z][A-Z_]+[A-Z]", text))
    assert named == set(VARIABLES) | set(config.VARIABLES)
