"""Settings: frozen values, each with its origin. Order: flags, environment, the user's file, the system's, defaults.

The files are TOML, ``$XDG_CONFIG_HOME/holdfast/config.toml`` and ``/etc/holdfast/config.toml``; their keys are the
fields of ``Settings`` without the three directories. On Linux the XDG rules are applied by hand: importing platformdirs
costs a command line 13 ms for three lines of logic.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from holdfast.errors import SettingsError
from holdfast.types import OnDisconnect
from holdfast.units import parse_duration

SYSTEM_FILE: Final = "/etc/holdfast/config.toml"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
OUTPUTS: Final = ("table", "wide", "json", "jsonl", "name")
COLORS: Final = ("auto", "always", "never")

DEFAULT: Final = "default"
FLAG: Final = "flag"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. ``origins`` names for each field a flag, a variable, a file, or ``default``.

    ``on_disconnect`` None means by kind of job: ``kill-after=60s`` attached, ``keep`` detached. ``spool_share`` is the
    part of the disk that finished output may fill. ``listen`` are addresses of the network that an agent serves beside
    its local socket, ``metrics`` is ADDR:PORT or empty; ``any_address`` allows both to be every address of the host,
    and is to be set by a flag alone. Durations are seconds.
    """

    state_dir: str
    config_dir: str
    cache_dir: str
    host: str = "local"
    connect_timeout_s: float = 10.0
    on_disconnect: OnDisconnect | None = None
    grace_s: float = 10.0
    slots: int = 1000
    queue: int = 10_000
    retention_s: float = 7 * 86_400.0
    idle_exit_s: float = 600.0
    spool_share: float = 0.10
    listen: tuple[str, ...] = ()
    any_address: bool = False
    metrics: str = ""
    max_connections: int = 12_000
    max_connections_per_principal: int = 64
    max_strangers: int = 128
    max_strangers_per_source: int = 16
    log_level: str = "info"
    output: str = "table"
    color: str = "auto"
    origins: Mapping[str, str] = {}

    @property
    def socket_path(self) -> str:
        """Where the agent of this state directory listens."""
        return os.path.join(self.state_dir, "agent.sock")


def load(env: Mapping[str, str] | None = None, overrides: Mapping[str, object] | None = None) -> Settings:
    """The settings that hold for this process.

    Args:
        env: The environment; None for the process's own.
        overrides: Fields given by flags; None values count as not given.

    Raises:
        SettingsError: an unknown key or an unusable value, in one line with file (or variable) and key.
    """
    env = os.environ if env is None else env
    values: dict[str, object] = {}
    origins: dict[str, str] = {}

    def put(field: str, value: object, origin: str) -> None:
        values[field] = _READERS[field](value, f"{origin}: {field}")
        origins[field] = origin

    for field, place in _places(env).items():
        values[field], origins[field] = place
    config_dir = str(values["config_dir"])
    own_file = env.get("HOLDFAST_CONFIG") or os.path.join(config_dir, "config.toml")
    for path in (SYSTEM_FILE, own_file):
        for field, value in _read_file(path).items():
            put(field, value, path)
    for variable, field in VARIABLES.items():
        if env.get(variable):
            put(field, env[variable], variable)
    for field, value in (overrides or {}).items():
        if field not in _READERS:
            raise SettingsError(f"{FLAG}: unknown setting {field!r}")
        if value is not None:
            put(field, value, FLAG)
    for field in Settings.__struct_fields__:
        if field != "origins":
            origins.setdefault(field, DEFAULT)
    return Settings(**values, origins=origins)  # type: ignore[arg-type]


def parse_on_disconnect(text: str) -> OnDisconnect:
    """``keep``, ``kill`` or the seconds of ``kill-after=D``.

    Raises:
        ValueError: none of the three; the message says what is accepted.
    """
    if text == "keep":
        return "keep"
    if text == "kill":
        return "kill"
    word, _, duration = text.partition("=")
    if word != "kill-after" or not duration:
        raise ValueError(f"{text!r} is none of keep, kill, kill-after=D")
    return parse_duration(duration)


def _places(env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The three directories with their origins, following the XDG base directory specification on Linux."""
    if not sys.platform.startswith("linux"):
        return _places_elsewhere()
    home = env.get("HOME") or os.path.expanduser("~")
    found = {}
    for field, variable, below in (
        ("state_dir", "XDG_STATE_HOME", ".local/state"),
        ("config_dir", "XDG_CONFIG_HOME", ".config"),
        ("cache_dir", "XDG_CACHE_HOME", ".cache"),
    ):
        base = env.get(variable, "")
        given = os.path.isabs(base)  # the specification: relative paths are to be ignored
        path = os.path.join(base if given else os.path.join(home, below), "holdfast")
        found[field] = (path, variable if given else DEFAULT)
    return found


def _places_elsewhere() -> dict[str, tuple[str, str]]:
    import platformdirs

    return {
        "state_dir": (platformdirs.user_state_dir("holdfast"), DEFAULT),
        "config_dir": (platformdirs.user_config_dir("holdfast"), DEFAULT),
        "cache_dir": (platformdirs.user_cache_dir("holdfast"), DEFAULT),
    }


def _read_file(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise SettingsError(f"{path}: {exc.strerror}") from exc
    import tomllib

    try:
        table = tomllib.loads(data.decode())
    except ValueError as exc:
        raise SettingsError(f"{path}: {exc}") from exc
    for key in table:
        if key not in _IN_FILES:
            raise SettingsError(f"{path}: unknown key {key!r}; known are {', '.join(sorted(_IN_FILES))}")
    return table


_Reader = Callable[[object, str], object]


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{where}: {value!r} is not a non-empty text")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise SettingsError(f"{where}: {value!r} is not a list of texts")
    return tuple(_text(item, where) for item in value)


def _switch(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{where}: {value!r} is neither true nor false")
    return value


def _path(value: object, where: str) -> str:
    return os.path.abspath(os.path.expanduser(_text(value, where)))


def _one_of(words: tuple[str, ...]) -> _Reader:
    def read(value: object, where: str) -> str:
        if value not in words:
            raise SettingsError(f"{where}: {value!r} is none of {', '.join(words)}")
        return str(value)

    return read


def _duration(value: object, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    try:
        return parse_duration(_text(value, where))
    except ValueError as exc:
        raise SettingsError(f"{where}: {exc}") from exc


def _count(value: object, where: str) -> int:
    try:
        number = int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else -1
    except ValueError:
        number = -1
    if not 1 <= number <= 1_000_000:
        raise SettingsError(f"{where}: {value!r} is not a number from 1 to 1000000")
    return number


def _share(value: object, where: str) -> float:
    try:
        if isinstance(value, str) and value.endswith("%"):
            number = float(value[:-1]) / 100
        else:
            number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 < number <= 1:
        raise SettingsError(f"{where}: {value!r} is not a share such as 0.1 or '10%'")
    return number


def _on_disconnect(value: object, where: str) -> OnDisconnect:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _duration(value, where)
    try:
        return parse_on_disconnect(_text(value, where))
    except ValueError as exc:
        raise SettingsError(f"{where}: {exc}") from exc


_READERS: Final[Mapping[str, _Reader]] = {
    "state_dir": _path,
    "config_dir": _path,
    "cache_dir": _path,
    "host": _text,
    "connect_timeout_s": _duration,
    "on_disconnect": _on_disconnect,
    "grace_s": _duration,
    "slots": _count,
    "queue": _count,
    "retention_s": _duration,
    "idle_exit_s": _duration,
    "spool_share": _share,
    "listen": _texts,
    "any_address": _switch,
    "metrics": _text,
    "max_connections": _count,
    "max_connections_per_principal": _count,
    "max_strangers": _count,
    "max_strangers_per_source": _count,
    "log_level": _one_of(LOG_LEVELS),
    "output": _one_of(OUTPUTS),
    "color": _one_of(COLORS),
}
_IN_FILES: Final = tuple(field for field in _READERS if field not in ("config_dir", "any_address"))
"""A file cannot move itself, nor open an agent to every network by having been copied to another machine."""

VARIABLES: Final[Mapping[str, str]] = {
    "HOLDFAST_STATE_DIR": "state_dir",
    "HOLDFAST_HOST": "host",
    "HOLDFAST_TIMEOUT": "connect_timeout_s",
    "HOLDFAST_LOG": "log_level",
    "HOLDFAST_OUTPUT": "output",
    "HOLDFAST_COLOR": "color",
}
"""Environment variables and the fields they set; ``HOLDFAST_CONFIG`` names another user file."""
