"""``holdfast doctor``: check in order everything a run needs, one line each, and say what to do where it fails."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click
import msgspec

from holdfast.cli import exit_codes
from holdfast.cli.doctor_remote import REFUSE_BYTES, REFUSE_SHARE, SKEW_S, examine_remote
from holdfast.cli.documents import SCHEMA, to_pretty_json
from holdfast.cli.layers import ON_THE_WAY, Check
from holdfast.cli.options import HostVerb, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.session import LOCAL, Session
from holdfast.cli.version import client_version
from holdfast.cli.voice import visible
from holdfast.errors import HoldfastError
from holdfast.types import Cause
from holdfast.units import format_duration, format_size

if TYPE_CHECKING:
    from holdfast import Host

PYTHON: Final = (3, 11)
PACKAGES: Final = ("click", "msgspec", "platformdirs", "uvloop", "xxhash")
NETWORK_FILE_SYSTEMS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs"})
SOCKET_PATH_BYTES: Final = 107
BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


@click.command(cls=HostVerb, name="doctor", short_help="Check that everything works, and say what to do if not.")
@json_flag
def command(session: Session, as_json: bool) -> int:
    """Check everything a run needs, in order, and say what to do where something fails.

    The local agent is started if none runs, and a real command is run. Of another machine the layers of the way there
    are looked at, and nothing is run. Exit code 1 if anything fails, 255 if it is the way to another machine.
    """
    from holdfast.cli.ways import is_remote

    remote = is_remote(session.settings)
    checks = []
    for check in examine_remote(session) if remote else examine(session):
        checks.append(check)
        if not as_json:
            click.echo(check_line(check))
    if as_json:
        document = {
            "schema": SCHEMA,
            "ok": healthy(checks),
            "checks": [msgspec.structs.asdict(check) for check in checks],
        }
        write_all(1, to_pretty_json(document))
    if healthy(checks):
        return exit_codes.OK
    on_the_way = remote and any(check.state == "fail" and check.name in ON_THE_WAY for check in checks)
    return exit_codes.TRANSPORT if on_the_way else exit_codes.CHECK_FAILED


def healthy(checks: list[Check]) -> bool:
    """Whether nothing failed; warnings do not count."""
    return all(check.state != "fail" for check in checks)


def check_line(check: Check) -> str:
    """``ok    python: 3.12.1``, and after a dash what to do."""
    advice = f" -- {check.advice}" if check.advice else ""
    text = f": {check.text}" if check.text else ""
    return visible(f"{check.state:5} {check.name}{text}{advice}")


def examine(session: Session) -> Iterator[Check]:
    """All checks, as they are made; those that need an agent are left out when none can be reached."""
    yield check_python()
    yield check_packages()
    local = session.settings.host == LOCAL
    if local:
        yield check_state_dir(session.settings.state_dir)
        yield check_disk(session.settings.state_dir)
        yield check_file_system(session.settings.state_dir)
        yield check_socket_path(session.settings.socket_path)
    try:
        with session.connect() as host:
            yield Check("connection", "ok", f"{host.welcome.host or session.settings.host} answers")
            yield check_agent_version(host)
            yield check_keeper(host)
            yield check_clock(host, time.time())
            if local:
                yield check_boot_id(host)
            yield check_run(host)
            yield check_leftovers(host)
    except HoldfastError as exc:
        log = os.path.join(session.settings.state_dir, "agent.log")
        yield Check("connection", "fail", str(exc), f"see {log}" if local else "check the address, and the agent there")


def check_python() -> Check:
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON:
        return Check("python", "fail", found, f"install Python {PYTHON[0]}.{PYTHON[1]} or newer")
    return Check("python", "ok", f"{found} ({sys.executable})")


def check_packages() -> Check:
    """Every package we depend on is installed."""
    from importlib.metadata import PackageNotFoundError, version

    found, missing = [f"holdfast {client_version()}"], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Check("packages", "ok", ", ".join(found))


def check_state_dir(path: str) -> Check:
    """Ours alone, and writable."""
    name = "state directory"
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return Check(name, "ok", f"{path} is not there yet; the agent makes it")
    except OSError as exc:
        return Check(name, "fail", f"{path}: {exc.strerror}", "name another with HOLDFAST_STATE_DIR")
    mode = facts.st_mode & 0o7777
    if facts.st_uid != os.geteuid():
        return Check(name, "fail", f"{path} belongs to uid {facts.st_uid}", "name another with HOLDFAST_STATE_DIR")
    if mode & 0o077:
        return Check(name, "fail", f"{path} has mode {mode:04o}, open to others", f"chmod 700 {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        return Check(name, "fail", f"{path} is not writable", f"chmod 700 {path}, or a disk mounted read-only")
    return Check(name, "ok", f"{path}, ours, mode {mode:04o}")


def check_disk(path: str) -> Check:
    """Free space against the marks below which new jobs are refused."""
    disk = os.statvfs(_existing(path))
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    mark = max(int(total * REFUSE_SHARE), REFUSE_BYTES)
    text = f"{format_size(free)} of {format_size(total)} free"
    if free < mark:
        return Check(
            "disk", "fail", f"{text}; below {format_size(mark)} new jobs are refused", "holdfast prune, or make room"
        )
    return Check("disk", "ok", text)


def check_file_system(path: str) -> Check:
    """The journal's shared memory needs a local file system (sqlite.org/wal.html)."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            kind = file_system_of(os.path.realpath(_existing(path)), file.read())
    except OSError as exc:
        return Check("file system", "warn", f"unknown: {exc.strerror}")
    if kind in NETWORK_FILE_SYSTEMS:
        advice = "put HOLDFAST_STATE_DIR on a local disk; the journal cannot be shared between machines"
        return Check("file system", "fail", kind, advice)
    if kind == "tmpfs":
        return Check("file system", "warn", kind, "jobs and output are gone after a restart of this machine")
    return Check("file system", "ok", kind)


def file_system_of(path: str, mountinfo: str) -> str:
    """Type of the file system that holds an absolute path, from the text of /proc/self/mountinfo (proc(5)). Pure."""
    best, kind = "", "unknown"
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if len(words) < 5 or not rest:
            continue
        point = words[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the last of equals covers those before
            best, kind = point, rest.split(" ")[0]
    return kind


def check_socket_path(path: str) -> Check:
    """Whether the socket's path fits into an address (unix(7): 107 bytes and a NUL)."""
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_BYTES:
        text = f"{size} bytes long; reached through its directory"
        return Check("socket", "ok", text)
    return Check("socket", "ok", path)


def check_agent_version(host: Host) -> Check:
    """The agent's software and protocol beside ours."""
    welcome, ours = host.welcome, f"holdfast/{client_version()}"
    text = f"{welcome.software or 'unknown'}, protocol holdfast/{welcome.protocol}"
    if welcome.software and welcome.software != ours:
        return Check(
            "agent", "warn", f"{text}; this client is {ours}", "holdfast agent stop (jobs go on), then run again"
        )
    return Check("agent", "ok", text)


def check_keeper(host: Host) -> Check:
    """The process that keeps the jobs is alive."""
    pid = host.status().keeper.get("pid")
    if not pid:
        return Check("keeper", "fail", "none", "holdfast agent stop, then run again")
    return Check("keeper", "ok", f"pid {pid}")


def check_clock(host: Host, now_unix_s: float) -> Check:
    """The host's wall clock beside ours; what is measured includes the way there."""
    if not host.welcome.unix_s:
        return Check("clock", "warn", "the host does not tell its time")
    skew = host.welcome.unix_s - now_unix_s
    text = f"{format_duration(abs(skew))} {'ahead' if skew > 0 else 'behind'}"
    if abs(skew) > SKEW_S:
        return Check("clock", "warn", text, "set the clocks; start keys are judged by their age")
    return Check("clock", "ok", text)


def check_boot_id(host: Host) -> Check:
    """The agent was started after this machine was."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            ours = file.read().strip()
    except OSError as exc:
        return Check("boot id", "warn", f"unknown: {exc.strerror}")
    theirs = host.welcome.boot_id
    if theirs.replace("-", "") != ours.replace("-", ""):
        return Check(
            "boot id", "fail", f"the agent says {theirs}, the kernel {ours}", "holdfast agent stop, then run again"
        )
    return Check("boot id", "ok", ours)


def check_run(host: Host) -> Check:
    """A real command, and its receipt."""
    begun = time.perf_counter()
    receipt = host.run(["/bin/true"], label="doctor").receipt
    took = format_duration(time.perf_counter() - begun)
    if receipt.cause is not Cause.EXITED or receipt.returncode != 0 or receipt.tree != "gone":
        text = f"/bin/true: {receipt.cause}, code {receipt.returncode}, processes {receipt.tree}"
        return Check("run", "fail", text, f"holdfast verify {receipt.job}")
    return Check("run", "ok", f"/bin/true in {took}, receipt of job {receipt.job} verified")


def check_leftovers(host: Host) -> Check:
    """Processes that outlived their jobs."""
    count = len(host.leftovers())
    if count:
        return Check("leftovers", "warn", f"{count} processes outlived their job", "holdfast leftovers, and --end")
    return Check("leftovers", "ok", "none")


def _existing(path: str) -> str:
    """The path, or the nearest directory above it that is there."""
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path
