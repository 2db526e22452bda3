"""Keys and their files (S18): private from the first instant, or not used at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import IdentityError
from holdfast.transport.identity import FILE, load_or_make
from holdfast.transport.new_key import make_apart
from holdfast.wire import certificate


def test_made_once_and_found_again(tmp_path: Path) -> None:
    first = load_or_make(str(tmp_path / "identity"))
    second = load_or_make(str(tmp_path / "identity"))
    assert first == second
    assert re.fullmatch("hf:[a-z2-7]{32}", first.fingerprint)
    assert load_or_make(str(tmp_path / "another")).fingerprint != first.fingerprint


def test_the_fingerprint_is_that_of_openssl(tmp_path: Path) -> None:
    """Oracle: cryptography's own public key, hashed and spelled here."""
    import base64
    import hashlib

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    made = load_or_make(str(tmp_path / "identity"))
    parsed = x509.load_der_x509_certificate(made.certificate)
    spki = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = base64.b32encode(hashlib.sha256(spki).digest()[:20]).decode().lower()
    assert made.fingerprint == f"hf:{digest}"
    assert parsed.subject.rfc4514_string() == parsed.issuer.rfc4514_string() == f"CN=hf:{digest}"
    certificate.check_names(made.certificate)
    assert parsed.not_valid_after_utc.year == 9999
    assert not parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_s18_private_from_the_first_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file and directory is asked for with its mode, whatever the umask leaves; nothing is made wider and then
    narrowed."""
    asked: list[tuple[str, int]] = []
    real_open, real_mkdir = os.open, os.mkdir

    def open_(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        if flags & os.O_CREAT:
            asked.append((os.path.basename(path), mode))
        return real_open(path, flags, mode, **more)

    def mkdir(path: str, mode: int = 0o777) -> None:
        asked.append((os.path.basename(path), mode))
        real_mkdir(path, mode)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "mkdir", mkdir)
    monkeypatch.setattr(os, "chmod", lambda *_: pytest.fail("a mode was changed afterwards"))
    before = os.umask(0)
    try:
        load_or_make(str(tmp_path / "config" / "identity"))
    finally:
        os.umask(before)
    assert [mode for _, mode in asked] == [0o700, 0o700, 0o600]
    assert os.stat(tmp_path / "config" / "identity").st_mode & 0o777 == 0o700
    assert os.stat(tmp_path / "config" / "identity" / FILE).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "config" / "identity") == [FILE]


@pytest.mark.parametrize(("name", "mode"), [("", 0o750), ("", 0o701), (FILE, 0o640), (FILE, 0o604), (FILE, 0o620)])
def test_s18_wider_modes_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    directory = tmp_path / "identity"
    load_or_make(str(directory))
    os.chmod(directory / name, mode)
    with pytest.raises(IdentityError, match=r"others can read or change .* chmod it to"):
        load_or_make(str(directory))


def test_links_and_fifos_are_refused(tmp_path: Path) -> None:
    directory = tmp_path / "identity"
    load_or_make(str(directory))
    os.rename(directory / FILE, tmp_path / "moved")
    os.symlink(tmp_path / "moved", directory / FILE)
    with pytest.raises(IdentityError, match="symbolic link"):
        load_or_make(str(directory))
    os.unlink(directory / FILE)
    os.mkfifo(directory / FILE, 0o600)
    with pytest.raises(IdentityError, match="no plain file"):
        load_or_make(str(directory))


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff" * 99]
)
def test_a_damaged_file_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    directory = tmp_path / "identity"
    load_or_make(str(directory))
    (directory / FILE).write_bytes(content)
    with pytest.raises(IdentityError, match="move it away"):
        load_or_make(str(directory))
    assert (directory / FILE).read_bytes() == content


RACE = "import sys; from holdfast.transport.identity import load_or_make; print(load_or_make(sys.argv[1]).fingerprint)"


def test_two_that_make_one_at_once_agree(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen([sys.executable, "-c", RACE, str(tmp_path / "identity")], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    said = {racer.communicate()[0] for racer in racers}
    assert len(said) == 1


def test_loading_imports_no_cryptography(tmp_path: Path) -> None:
    load_or_make(str(tmp_path / "identity"))
    check = f"{RACE}\nassert not [n for n in sys.modules if n.startswith(('cryptography', 'asyncio'))]"
    subprocess.run([sys.executable, "-c", check, str(tmp_path / "identity")], check=True, capture_output=True)


def test_a_key_made_apart_is_as_good_and_leaves_nothing_of_cryptography_here(tmp_path: Path) -> None:
    program = (
        "import sys; from holdfast.transport.identity import load_or_make; "
        "from holdfast.transport.new_key import make_apart; load_or_make(sys.argv[1], new_key=make_apart); "
        "assert '_rust' not in open('/proc/self/maps').read()"
    )
    (tmp_path / "holdfast").mkdir()
    (tmp_path / "holdfast/__init__.py").write_text("raise SystemExit('the current directory is not looked into')")
    where = str(tmp_path / "identity")
    subprocess.run([sys.executable, "-P", "-c", program, where], check=True, capture_output=True, cwd=tmp_path)
    assert load_or_make(where).fingerprint.startswith("hf:")


def test_a_key_that_cannot_be_made_apart_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "cryptography").mkdir()
    (tmp_path / "cryptography/__init__.py").write_text("raise ImportError('no such luck')")
    with pytest.raises(IdentityError, match="a key cannot be made: ImportError: no such luck"):
        load_or_make(str(tmp_path / "identity"), new_key=make_apart)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(IdentityError, match=r"a key cannot be made: .*gone"):
        load_or_make(str(tmp_path / "identity"), new_key=make_apart)
