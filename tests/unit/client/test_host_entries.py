"""The text of hosts.toml: what is read, what is refused, and edits that leave a person's words alone."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.host_entries import HostEntry, check_name, drop_entry, put_entry, read_entries
from holdfast.errors import SettingsError

KEY = "hf:" + "a" * 32
OTHER = "hf:" + "b" * 32
HAND_WRITTEN = """\
# my machines

# the web server
[web1]   # rack 4
address = "tls://10.0.0.5:7420"  # behind the switch
key = "hf:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

# the database
['db']
address = 'ssh://anna@db'
remote = "/opt/holdfast/bin/holdfast"
"""


def test_entries_are_read_in_order() -> None:
    assert list(read_entries(HAND_WRITTEN, "hosts.toml").values()) == [
        HostEntry("web1", "tls://10.0.0.5:7420", KEY),
        HostEntry("db", "ssh://anna@db", remote="/opt/holdfast/bin/holdfast"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[web1", "hosts.toml: "),
        ("web1 = 3", "'web1' is not a table"),
        ("[web1]\nkey = 'hf:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'", "[web1]: it has no address"),
        ("[web1]\naddress = ''", "[web1]: address: '' is not a non-empty text"),
        ("[web1]\naddress = 7", "[web1]: address: 7 is not"),
        ("[web1]\naddress = 'local'\nport = 3", "[web1]: unknown key 'port'; known are address, key, remote"),
        ("[web1]\naddress = 'local'\nkey = 'hf:short'", "[web1]: key: 'hf:short' is not a fingerprint"),
        ("['-oProxyCommand=x']\naddress = 'local'", "cannot name a host"),
        ("[local]\naddress = 'unix:///a'", "cannot name a host"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_entries(text, "hosts.toml")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "@db", "web[1]", "-x", ".x", "all", "ü", "a" * 64, "a\n"])
def test_names_that_would_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(SettingsError):
        check_name(name)


def test_a_change_touches_one_value() -> None:
    edited = put_entry(HAND_WRITTEN, HostEntry("web1", "tls://web1.example:7420", KEY), "hosts.toml")
    assert edited == HAND_WRITTEN.replace("10.0.0.5", "web1.example")


def test_values_come_and_go() -> None:
    edited = put_entry(HAND_WRITTEN, HostEntry("db", "tls://db:7420", OTHER), "hosts.toml")
    assert edited == HAND_WRITTEN.replace("'ssh://anna@db'", '"tls://db:7420"').replace(
        'remote = "/opt/holdfast/bin/holdfast"', f'key = "{OTHER}"'
    )


def test_a_new_entry_comes_last() -> None:
    edited = put_entry(HAND_WRITTEN, HostEntry("db.example", "unix:///a b.sock"), "hosts.toml")
    assert edited == HAND_WRITTEN + '\n["db.example"]\naddress = "unix:///a b.sock"\n'
    assert put_entry("", HostEntry("a", "local"), "hosts.toml") == '[a]\naddress = "local"\n'


def test_a_removal_keeps_all_words_of_a_person() -> None:
    edited = drop_entry(HAND_WRITTEN, "web1", "hosts.toml")
    for comment in ("# my machines", "# the web server", "# the database"):
        assert comment in edited
    assert list(tomllib.loads(edited)) == ["db"]


@pytest.mark.parametrize(
    "text",
    [
        "web1 = { address = 'tls://a:1' }\n",
        "web1.address = 'tls://a:1'\n",
        "[web1]\naddress = '''tls://a:1'''\n",
    ],
)
def test_what_cannot_be_edited_line_by_line_is_left_alone(text: str) -> None:
    with pytest.raises(SettingsError, match="edit it by hand"):
        put_entry(text, HostEntry("web1", "tls://b:1"), "hosts.toml")


names = st.sampled_from(["a", "b-1", "web1", "db.example", "x_y"])
entries = st.builds(
    HostEntry,
    names,
    st.sampled_from(["local", "tls://h:7420", 'unix:///a"b\\c#d', "ssh://ü@h"]),
    st.sampled_from(["", KEY, OTHER]),
    st.sampled_from(["", "/opt/h f"]),
)
edits = st.lists(st.one_of(entries, names), max_size=12)


@given(st.sampled_from(["", HAND_WRITTEN, "# only words", HAND_WRITTEN.replace("\n", "\r\n")]), edits)
def test_any_order_of_edits_gives_what_a_dictionary_gives(text: str, edits: list[HostEntry | str]) -> None:
    expected = read_entries(text, "hosts.toml")
    comments = [line for line in text.splitlines() if line.startswith("#")]
    for edit in edits:
        if isinstance(edit, HostEntry):
            text = put_entry(text, edit, "hosts.toml")
            expected[edit.name] = edit
        else:
            text = drop_entry(text, edit, "hosts.toml")
            expected.pop(edit, None)
    assert tomllib.loads(text) == {
        name: {field: value for field in ("address", "key", "remote") if (value := getattr(entry, field))}
        for name, entry in expected.items()
    }
    assert [line for line in text.splitlines() if line.startswith("#")] == comments
