"""Each check of the doctor can fail, and then says what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from holdfast.cli import doctor
from holdfast.cli.doctor import check_line, file_system_of, healthy
from holdfast.cli.layers import Check
from holdfast.client.sync import Host
from holdfast.types import Cause, Receipt
from holdfast.wire.messages import Leftover, StatusAnswer, Welcome
from tests.unit.cli.fake_host import FakeHost, ended

MOUNTS = """\
22 1 252:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:5 / /proc rw - proc proc rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 22 0:41 / /a\\040b rw - tmpfs none rw
32 22 0:42 / /home rw - xfs /dev/vdb rw
33 22 0:43 / /ho rw - btrfs /dev/vdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/x/y", "ext4"), ("/", "ext4"), ("/a b/c", "tmpfs"), ("/home/ann", "xfs"), ("/hom", "ext4"), ("/ho/x", "btrfs")],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    assert file_system_of(path, MOUNTS) == kind


def test_a_line_and_its_advice() -> None:
    assert check_line(Check("disk", "ok", "78G free")) == "ok    disk: 78G free"
    assert check_line(Check("x", "fail", "bad\x1b", "do this")) == "fail  x: bad\\x1b -- do this"
    assert healthy([Check("a", "ok", ""), Check("b", "warn", "")])
    assert not healthy([Check("a", "ok", ""), Check("b", "fail", "")])


def test_here(tmp_path: Path) -> None:
    assert doctor.check_python().state == "ok"
    assert doctor.check_packages().state == "ok"
    assert doctor.check_state_dir(str(tmp_path / "none")).state == "ok"
    tmp_path.chmod(0o700)
    assert doctor.check_state_dir(str(tmp_path)).state == "ok"
    tmp_path.chmod(0o750)
    assert "chmod 700" in doctor.check_state_dir(str(tmp_path)).advice
    (tmp_path / "file").touch()
    assert doctor.check_state_dir(str(tmp_path / "file" / "below")).state == "fail"


def test_a_directory_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert doctor.check_state_dir(str(tmp_path)).state == "fail"


@pytest.mark.parametrize(("free", "state"), [(100 << 30, "ok"), (400 << 20, "fail"), (4 << 30, "fail")])
def test_the_marks_of_the_disk(monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    values = (4096, 4096, (200 << 30) // 4096, free // 4096, free // 4096, 0, 0, 0, 0, 255)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(values))
    assert doctor.check_disk("/nonexistent/x").state == state


def test_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("msgspec", "no-such-package"))
    check = doctor.check_packages()
    assert (check.state, check.advice) == ("fail", "pip install no-such-package")


class Patient(FakeHost):
    """A host whose every answer can be set."""

    def __init__(self, **facts: object) -> None:
        super().__init__()
        self.keeper: dict[str, object] = {"pid": 2}
        self.receipt = ended()
        for name, value in facts.items():
            setattr(self, name, value)

    def status(self) -> StatusAnswer:
        return StatusAnswer({"pid": 1}, self.keeper, "/s", "/d", {}, {})

    def run(self, args: list[str], **_: object) -> Patient:
        return self


def welcome(**facts: object) -> Welcome:
    known = {"protocol": 1, "agent": "a", "incarnation": "i", "boot_id": "b", "principal": "p", "unix_s": 1000.0}
    return Welcome(**{**known, **facts})  # type: ignore[arg-type]


def host(**facts: object) -> Host:
    return cast(Host, Patient(**facts))


def test_the_agent() -> None:
    from holdfast.cli.version import client_version

    ours = f"holdfast/{client_version()}"
    assert doctor.check_agent_version(host(welcome=welcome(software=ours))).state == "ok"
    assert doctor.check_agent_version(host(welcome=welcome(software="holdfast/0.0.0"))).state == "warn"
    assert doctor.check_keeper(host()).state == "ok"
    assert doctor.check_keeper(host(keeper={})).state == "fail"
    assert doctor.check_clock(host(welcome=welcome()), 1001.0).state == "ok"
    assert doctor.check_clock(host(welcome=welcome()), 1060.0).state == "warn"
    assert doctor.check_clock(host(welcome=welcome(unix_s=0.0)), 1060.0).state == "warn"
    assert doctor.check_boot_id(host(welcome=welcome(boot_id="other"))).state == "fail"
    boot_id = Path(doctor.BOOT_ID).read_text().strip()
    assert doctor.check_boot_id(host(welcome=welcome(boot_id=boot_id))).state == "ok"


@pytest.mark.parametrize(
    ("receipt", "state"),
    [(ended(), "ok"), (ended(code=1), "fail"), (ended(tree="stuck"), "fail"), (ended(Cause.LOST, code=None), "fail")],
)
def test_a_real_run(receipt: Receipt, state: str) -> None:
    assert doctor.check_run(host(receipt=receipt)).state == state


def test_leftovers_are_a_warning() -> None:
    assert doctor.check_leftovers(host()).state == "ok"
    assert doctor.check_leftovers(host(left=(Leftover(1, "j"),))).state == "warn"
