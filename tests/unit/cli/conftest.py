"""The command line over a host in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import holdfast
from holdfast.cli.app import main
from tests.unit.cli.fake_host import FakeHost


class Outcome(NamedTuple):
    """What a call of the command line came to."""

    code: int
    out: bytes
    err: str


Call = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of whoever runs it."""
    for name in ("HOLDFAST_HOST", "HOLDFAST_OUTPUT", "HOLDFAST_LOG", "HOLDFAST_TIMEOUT", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """The host that ``holdfast.connect`` gives."""
    fake = FakeHost()
    monkeypatch.setitem(vars(holdfast), "connect", fake.connect)  # past the lazy loader
    return fake


@pytest.fixture
def call(capfdbinary: pytest.CaptureFixture[bytes]) -> Call:
    """Call the command line with arguments and see what it wrote."""

    def run(*args: str) -> Outcome:
        capfdbinary.readouterr()
        code = main(args)
        out, err = capfdbinary.readouterr()
        return Outcome(code, out, err.decode())

    return run
