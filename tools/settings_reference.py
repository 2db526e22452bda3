"""The generated parts of docs/reference/configuration.md: the settings and the variables that ``config.py`` reads."""

from __future__ import annotations

from holdfast import config
from holdfast.units import format_duration

MEANING = {
    "host": "address used where none is named",
    "connect_timeout_s": "how long to try to reach an agent before giving up",
    "on_disconnect": "what happens to a job when its last client is gone: `keep`, `kill` or `kill-after=D`",
    "grace_s": "between TERM and KILL when a job is stopped",
    "slots": "jobs that may run at once; more of them wait",
    "queue": "jobs that may wait; more of them are refused, with the time to try again",
    "retention_s": "how long finished jobs and their output are kept",
    "idle_exit_s": "how long the private agent stays when nothing is running and nobody is connected",
    "spool_share": "part of the disk that kept output may fill",
    "listen": "list of addresses such as `tls://10.0.0.5:7420` that `agent run` serves; a private agent does not",
    "metrics": "`ADDR:PORT` where the agent answers Prometheus",
    "max_connections": "connections that an agent serves at once",
    "max_connections_per_principal": "connections of one enrolled key at once",
    "max_strangers": "connections that are not authenticated yet; from half of it on some are dropped at random",
    "max_strangers_per_source": "those of one IPv4 address or IPv6 /64; four times as many if it authenticated of late",
    "log_level": "`debug`, `info`, `warning` or `error`; `debug` also shows tracebacks",
    "output": "form of listings: `table`, `wide`, `json`, `jsonl` or `name`",
    "color": "`auto`, `always` or `never`",
    "state_dir": "folder of the agent's socket, journal, output and log",
    "cache_dir": "folder of what can be made again",
}
FIELDS = [field for field in config.Settings.__struct_fields__ if field not in ("config_dir", "any_address", "origins")]
PLACES = {"state_dir": "`$XDG_STATE_HOME/holdfast`", "cache_dir": "`$XDG_CACHE_HOME/holdfast`"}


def render_settings() -> str:
    """The table of keys of the settings file, with defaults and the variable that sets each."""
    defaults = config.load(env={"HOME": "/home/you"})
    variable_of = {field: variable for variable, field in config.VARIABLES.items()}
    rows = ["| Key | Default | Variable | Meaning |", "|---|---|---|---|"]
    for field in FIELDS:
        shown = PLACES.get(field) or f"`{_default(field, getattr(defaults, field))}`"
        variable = f"`{variable_of[field]}`" if field in variable_of else ""
        rows.append(f"| `{field}` | {shown} | {variable} | {MEANING[field]} |")
    return "\n".join(rows)


def render_environment() -> str:
    """The list of the variables that set something."""
    rows = [f"- `{variable}` sets `{field}`" for variable, field in config.VARIABLES.items()]
    return "\n".join([*rows, "- `HOLDFAST_CONFIG` names another settings file in place of the user's"])


def _default(field: str, value: object) -> str:
    if value is None:
        return "kill-after=60s attached, keep detached"
    if field.endswith("_s") and isinstance(value, float):
        return format_duration(value)
    if value in ((), ""):
        return "none"
    return "10%" if field == "spool_share" else str(value)
