"""Settings: order, origins, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast import config
from holdfast.errors import SettingsError


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(config, "SYSTEM_FILE", str(tmp_path / "system.toml"))
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_defaults_follow_xdg(env: dict[str, str], tmp_path: Path) -> None:
    settings = config.load(env)
    assert settings.state_dir == str(tmp_path / ".local/state/holdfast")
    assert settings.config_dir == str(tmp_path / "config/holdfast")
    assert settings.origins["config_dir"] == "XDG_CONFIG_HOME"
    assert settings.origins["state_dir"] == settings.origins["slots"] == "default"
    assert settings.socket_path == settings.state_dir + "/agent.sock"
    assert config.load({**env, "XDG_STATE_HOME": "relative"}).state_dir == settings.state_dir


def test_each_source_beats_the_one_below(env: dict[str, str], tmp_path: Path) -> None:
    user = tmp_path / "config/holdfast/config.toml"
    write(tmp_path / "system.toml", 'log_level = "debug"\nslots = 1\nhost = "unix:///s"\noutput = "json"')
    write(user, 'slots = 2\nhost = "unix:///u"\noutput = "wide"')
    settings = config.load({**env, "HOLDFAST_HOST": "unix:///e", "HOLDFAST_OUTPUT": "name"}, {"output": "jsonl"})
    assert (settings.log_level, settings.slots, settings.host, settings.output) == ("debug", 2, "unix:///e", "jsonl")
    assert [settings.origins[field] for field in ("log_level", "slots", "host", "output")] == [
        str(tmp_path / "system.toml"),
        str(user),
        "HOLDFAST_HOST",
        "flag",
    ]


def test_values_are_read_as_people_write_them(env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    write(file, 'on_disconnect = "kill-after=2m"\nretention_s = "3d"\nspool_share = "25%"\ngrace_s = 3')
    settings = config.load({**env, "HOLDFAST_CONFIG": str(file), "HOLDFAST_STATE_DIR": "~/here"}, {"slots": None})
    assert (settings.on_disconnect, settings.retention_s, settings.spool_share) == (120.0, 259_200.0, 0.25)
    assert settings.grace_s == 3.0


def test_addresses_of_the_network_are_a_list_and_every_address_needs_a_flag(
    env: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "other.toml"
    write(file, 'listen = ["tls://10.0.0.5", "tls://[::1]:7421"]\nmax_connections_per_principal = 3')
    settings = config.load({**env, "HOLDFAST_CONFIG": str(file)}, {"any_address": True})
    assert settings.listen == ("tls://10.0.0.5", "tls://[::1]:7421")
    assert settings.any_address
    assert settings.max_connections_per_principal == 3
    assert config.load(env, {"listen": ("tls://127.0.0.1:0",)}).origins["listen"] == "flag"
    assert config.load(env).listen == ()


@pytest.mark.parametrize(
    "line",
    [
        'no_such_key = "1"',
        'config_dir = "/x"',
        "slots = 0",
        "slots = true",
        'slots = "many"',
        'log_level = "loud"',
        'grace_s = "soon"',
        "grace_s = -1",
        "spool_share = 2",
        'on_disconnect = "wait"',
        'host = ""',
        'listen = "tls://127.0.0.1"',
        "listen = [1]",
        "any_address = true",
        "max_connections = 0",
        "not toml",
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(env: dict[str, str], tmp_path: Path, line: str) -> None:
    user = tmp_path / "config/holdfast/config.toml"
    write(user, line)
    with pytest.raises(SettingsError) as caught:
        config.load(env)
    message = str(caught.value)
    assert message.startswith(f"{user}: ")
    assert "\n" not in message
    if line != "not toml":
        assert line.split(" = ")[0] in message
    assert caught.value.ran == "no"


def test_a_bad_variable_is_named(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="HOLDFAST_OUTPUT"):
        config.load({**env, "HOLDFAST_OUTPUT": "xml"})
    with pytest.raises(SettingsError, match="unknown setting 'sluts'"):
        config.load(env, {"sluts": 1})


def test_every_field_but_places_can_be_set() -> None:
    fields = set(config.Settings.__struct_fields__) - {"origins"}
    assert fields == set(config._READERS)
