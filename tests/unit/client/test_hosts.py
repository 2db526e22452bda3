"""The file of named hosts and the pinned keys: private, whole at every moment, and never with another key."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.client.hosts import HostEntry, Hosts
from holdfast.errors import ConnectFailed, KeyChanged, SettingsError, Unauthorized
from holdfast.transport.identity import load_or_make
from holdfast.wire.certificate import fingerprint


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    base = tmp_path_factory.mktemp("keys")
    one, two = (load_or_make(str(base / name)).certificate for name in ("one", "two"))
    return one, two


def key_of(certificate: bytes) -> str:
    return fingerprint(certificate)


def entry(certificate: bytes, name: str = "web1", address: str = "tls://web1:7420") -> HostEntry:
    return HostEntry(name, address, key_of(certificate))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_added_is_found_again_and_is_private(tmp_path: Path, certificates: tuple[bytes, bytes]) -> None:
    old = os.umask(0)
    try:
        Hosts.load(str(tmp_path / "new")).add(entry(certificates[0]), certificates[0])
    finally:
        os.umask(old)
    hosts = Hosts.load(str(tmp_path / "new"))
    assert list(hosts) == [entry(certificates[0])]
    assert hosts.certificate(hosts.find("web1")) == certificates[0]
    pins = tmp_path / "new" / "known_agents"
    assert [mode(path) for path in (tmp_path / "new", pins)] == [0o700, 0o700]
    assert [mode(path) for path in (tmp_path / "new" / "hosts.toml", *pins.iterdir())] == [0o600, 0o600]
    assert [path.name for path in pins.iterdir()] == [key_of(certificates[0])[3:] + ".pem"]


@pytest.mark.parametrize("wide", ["hosts.toml", "."])
@pytest.mark.parametrize("bits", [0o020, 0o002])
def test_what_others_can_write_is_refused_in_one_line(
    tmp_path: Path, certificates: tuple[bytes, bytes], wide: str, bits: int
) -> None:
    """Whoever writes there names address and key of a host, and so who is believed."""
    settings = tmp_path / "new"
    Hosts.load(str(settings)).add(entry(certificates[0]), certificates[0])
    path = settings / wide
    good = mode(path)
    path.chmod(good | bits)
    with pytest.raises(SettingsError, match=f"^others can write {path} .*: chmod go-w {path}$"):
        Hosts.load(str(settings))
    path.chmod(good | 0o044)
    assert Hosts.load(str(settings)).get("web1") is not None, "to be read by others harms nobody"


def test_an_unknown_name_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConnectFailed, match="unknown host 'web9': `holdfast host add web9 INVITE`") as caught:
        Hosts.load(str(tmp_path)).find("web9")
    assert (caught.value.layer, caught.value.ran) == ("name", "no")


def test_a_name_never_gets_another_key(tmp_path: Path, certificates: tuple[bytes, bytes]) -> None:
    one, two = certificates
    hosts = Hosts.load(str(tmp_path))
    hosts.add(entry(one), one)
    with pytest.raises(KeyChanged, match="holdfast host rm web1"):
        hosts.add(entry(two), two)
    with pytest.raises(KeyChanged, match="holdfast host rm web1"):
        hosts.replace(entry(two))
    stale = Hosts.load(str(tmp_path))
    hosts.remove("web1")
    hosts.add(entry(two), two)
    with pytest.raises(KeyChanged):
        stale.add(entry(one), one)
    assert Hosts.load(str(tmp_path)).find("web1").key == key_of(two)


def test_the_same_agent_may_move(tmp_path: Path, certificates: tuple[bytes, bytes]) -> None:
    one, _ = certificates
    hosts = Hosts.load(str(tmp_path))
    hosts.add(entry(one), one)
    hosts.add(entry(one, address="tls://10.0.0.9:7420"), one)
    hosts.replace(entry(one, address="tls://10.0.0.10:7420"))
    assert [each.address for each in Hosts.load(str(tmp_path))] == ["tls://10.0.0.10:7420"]


def test_a_name_is_not_taken_from_another_kind_of_host(tmp_path: Path, certificates: tuple[bytes, bytes]) -> None:
    hosts = Hosts.load(str(tmp_path))
    hosts.add(HostEntry("web1", "ssh://anna@web1"))
    with pytest.raises(SettingsError, match="stands for ssh://anna@web1 already"):
        hosts.add(entry(certificates[0]), certificates[0])


def test_a_pinned_key_goes_with_its_last_name(tmp_path: Path, certificates: tuple[bytes, bytes]) -> None:
    one, _ = certificates
    hosts = Hosts.load(str(tmp_path))
    hosts.add(entry(one), one)
    hosts.add(entry(one, name="web2"), one)
    pin = tmp_path / "known_agents" / (key_of(one)[3:] + ".pem")
    assert hosts.remove("web1") == entry(one)
    assert pin.exists()
    hosts.remove("web2")
    assert not pin.exists()
    with pytest.raises(ConnectFailed, match="unknown host"):
        hosts.remove("web2")


def test_a_pin_that_is_not_its_key_is_not_used(tmp_path: Path, certificates: tuple[bytes, bytes]) -> None:
    one, two = certificates
    hosts = Hosts.load(str(tmp_path))
    hosts.add(entry(one), one)
    hosts.add(entry(two, name="web2"), two)
    pins = tmp_path / "known_agents"
    (pins / (key_of(two)[3:] + ".pem")).replace(pins / (key_of(one)[3:] + ".pem"))
    with pytest.raises(KeyChanged, match="holds another key"):
        hosts.certificate(hosts.find("web1"))
    with pytest.raises(Unauthorized, match="cannot be read"):
        hosts.certificate(hosts.find("web2"))
    (pins / (key_of(one)[3:] + ".pem")).write_text("rubbish")
    with pytest.raises(Unauthorized, match="it is not a certificate"):
        hosts.certificate(hosts.find("web1"))
    with pytest.raises(KeyChanged):
        hosts.add(entry(one, name="web3"), two)


def test_an_address_is_found_however_it_is_spelled(tmp_path: Path, certificates: tuple[bytes, bytes]) -> None:
    hosts = Hosts.load(str(tmp_path))
    (tmp_path / "hosts.toml").write_text("[bad]\naddress = 'nonsense://'\n")
    hosts.add(entry(certificates[0]), certificates[0])
    for spelled in ("tls://web1", "tls://WEB1:7420"):
        assert hosts.by_address(spelled) == entry(certificates[0])
    assert hosts.by_address("tls://web1:7421") is None


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    real, place = tmp_path / "dotfiles.toml", tmp_path / "config" / "hosts.toml"
    real.write_text("# mine\n")
    place.parent.mkdir()
    place.symlink_to(real)
    Hosts.load(str(place.parent)).add(HostEntry("a", "local"))
    assert place.is_symlink()
    assert real.read_text() == '# mine\n\n[a]\naddress = "local"\n'


def test_what_a_crash_has_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "hosts.toml.new").write_text("half a fi")
    (tmp_path / "hosts.toml.new").chmod(0o644)
    Hosts.load(str(tmp_path)).add(HostEntry("a", "local"))
    assert mode(tmp_path / "hosts.toml") == 0o600
    assert not (tmp_path / "hosts.toml.new").exists()


def test_a_write_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts.load(str(tmp_path))
    hosts.add(HostEntry("a", "local"))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", "hosts.toml")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match="No space left"):
        hosts.add(HostEntry("b", "local"))
    assert [each.name for each in Hosts.load(str(tmp_path))] == ["a"]


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    started = threading.Barrier(8, timeout=10)

    def add(number: int) -> None:
        hosts = Hosts.load(str(tmp_path))
        started.wait()
        for each in range(5):
            hosts.add(HostEntry(f"h{number}-{each}", "local"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert {each.name for each in Hosts.load(str(tmp_path))} == {f"h{n}-{e}" for n in range(8) for e in range(5)}


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[a"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "hosts.toml").write_bytes(text)
    with pytest.raises(SettingsError) as caught:
        Hosts.load(str(tmp_path))
    assert str(tmp_path / "hosts.toml") in str(caught.value)
    assert "\n" not in str(caught.value)
