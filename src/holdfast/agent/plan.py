"""From a RUN request to what is kept of it and what its shim is told. Looks up users and limits, starts nothing.

What a command gets: the directory asked for, or the user's home; an environment made of HOME, USER, LOGNAME, SHELL,
LANG, PATH, HOLDFAST_* and what was given, never the agent's own; umask 022 unless asked otherwise.
"""

from __future__ import annotations

import os
import pwd
import resource
import sys
from functools import lru_cache
from typing import Final

import msgspec

from holdfast.errors import Refused
from holdfast.functions.setup import SOCKET_VARIABLE
from holdfast.jobs import lease
from holdfast.jobs.body import Body
from holdfast.jobs.spec import JobSpec
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import JobId, OnDisconnect
from holdfast.wire.messages import ErrorCode, Run, unpack_items

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

WORKER: Final = (sys.executable, "-P", "-m", "holdfast.functions.worker")
"""How the command line of a worker begins: it looks for no modules in the directory that it happens to start in."""

WORKER_SOCKET: Final = "worker.sock"
"""Where workers find their agent, in its state directory."""

_RULES: Final = {"block": control.BLOCK, "keep-tail": control.KEEP_TAIL, "kill": control.KILL_RULE}
_RLIMITS: Final = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in dir(resource)
    if name.startswith("RLIMIT_")
}


class Account(msgspec.Struct, frozen=True):
    """A user of this host. ``ids`` is None for the agent's own: nothing needs to be switched then."""

    name: str
    home: str
    shell: str
    ids: tuple[int, int, tuple[int, ...]] | None = None


def own_account() -> Account:
    """The account that the agent runs under."""
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return Account(str(os.getuid()), os.environ.get("HOME", "/"), "/bin/sh")
    return Account(entry.pw_name, entry.pw_dir, entry.pw_shell or "/bin/sh")


@lru_cache(maxsize=1)
def _own() -> Account:
    return own_account()


def account(user: str | None, groups: tuple[str, ...]) -> Account:
    """The account a job is to run under.

    Raises:
        Refused: no such user or group, or switching is not permitted to this agent.
    """
    own = _own()
    if (user is None or user == own.name) and not groups:
        return own
    if os.getuid() != 0:
        raise Refused(
            f"this agent runs as {own.name} and cannot switch to another user or groups", code=ErrorCode.FORBIDDEN
        )
    import grp

    try:
        entry = pwd.getpwnam(user if user is not None else own.name)
    except (KeyError, ValueError):  # ValueError: a NUL, which no name can hold
        raise Refused(f"no such user: {user!r}", code=ErrorCode.INVALID) from None
    gids = set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    for group in groups:
        try:
            gids.add(grp.getgrnam(group).gr_gid)
        except (KeyError, ValueError):
            raise Refused(f"no such group: {group!r}", code=ErrorCode.INVALID) from None
    ids = (entry.pw_uid, entry.pw_gid, tuple(sorted(gids)))
    return Account(entry.pw_name, entry.pw_dir, entry.pw_shell or "/bin/sh", ids)


def read_request(run: Run, data: bytes) -> tuple[JobSpec, Body]:
    """What is asked for, checked in itself; whether its user can be had here is for ``account``.

    Raises:
        RemoteProtocolError: the body does not hold the announced items.
        Refused: a limit or variable that cannot be.
    """
    argv, env, cwd = unpack_items(run, data)
    for item in env:
        if item.find(b"=") < 1:
            raise Refused("an environment entry has no name before its '='", code=ErrorCode.INVALID)
    for name, (soft, hard) in run.rlimits.items():
        if name.lower() not in _RLIMITS:
            raise Refused(
                f"no such resource limit: {name} (known: {', '.join(sorted(_RLIMITS))})", code=ErrorCode.INVALID
            )
        if soft < -1 or hard < -1 or (hard != -1 and (soft > hard or soft == -1)):
            raise Refused(f"resource limit {name}: {soft}:{hard} is not soft:hard", code=ErrorCode.INVALID)
    if run.shell and len(argv) != 1:
        raise Refused("a shell command is one string", code=ErrorCode.INVALID)
    if not argv[0]:
        raise Refused("the command's name is empty", code=ErrorCode.INVALID)
    policy: OnDisconnect | None = run.on_disconnect
    if policy is None:
        policy = lease.ATTACHED_DEFAULT if run.attach else lease.DETACHED_DEFAULT
    spec = JobSpec(
        argv=tuple(_shown(item) for item in argv[:64]),
        cwd=_shown(cwd) if cwd is not None else "",
        shell=run.shell,
        label=run.label,
        timeout_s=run.timeout_s or None,
        grace_s=run.grace_s,
        leave=run.leave,
        stdin=run.stdin,
        on_disconnect=policy,
        durability=run.durability,
        retention=run.retention,
        not_after_unix_s=run.not_after_unix_s,
        user=run.user,
        groups=run.groups,
        umask=run.umask,
        limits=run.rlimits,
        key=run.key if run.user_key else "",
        path=run.hints.get("PATH", ""),
        lang=run.hints.get("LANG", ""),
    )
    return spec, Body(tuple(argv), tuple(env), cwd or b"")


def is_worker(spec: JobSpec) -> bool:
    """Whether a job's command is a worker: one that takes calls, or makes a single one."""
    return spec.argv[1 : len(WORKER)] == WORKER[1:] and not spec.shell  # of any interpreter: agents are upgraded


def shim_run(
    job: JobId,
    attempt: int,
    spec: JobSpec,
    body: Body,
    *,
    host: str,
    agent_id: str,
    now_unix_s: float,
    worker_socket: str = "",
) -> messages.Run:
    """What the shim is told. ``worker_socket``: where workers find the agent.

    Raises:
        Refused: the user is gone since the job was accepted.
    """
    who = account(spec.user, spec.groups)
    env = _environment(job, attempt, spec, body, who, host, agent_id, now_unix_s)
    if is_worker(spec):
        env = (*env, b"%s=%s" % (SOCKET_VARIABLE.encode(), os.fsencode(worker_socket)))
    argv = (b"/bin/sh", b"-c", body.argv[0]) if spec.shell else body.argv
    flags = 0
    if spec.durability == "power":
        flags |= control.POWER
    if spec.leave:
        flags |= control.LEAVE
    if spec.stdin:
        flags |= control.STDIN
    return messages.Run(
        job=job,
        attempt=attempt,
        argv=argv,
        env=env,
        cwd=body.cwd or os.fsencode(who.home),
        flags=flags,
        timeout_ms=max(1, round(spec.timeout_s * 1000)) if spec.timeout_s else 0,
        grace_ms=round(spec.grace_s * 1000),
        linger_ms=round(spec.linger_s * 1000),
        umask=0o022 if spec.umask is None else spec.umask,
        rule=_RULES[spec.retention.rule],
        limit_bytes=spec.retention.limit_bytes,
        user=who.ids,
        rlimits=tuple((_RLIMITS[name.lower()], soft, hard) for name, (soft, hard) in spec.limits.items()),
    )


def _environment(
    job: JobId, attempt: int, spec: JobSpec, body: Body, who: Account, host: str, agent_id: str, now_unix_s: float
) -> tuple[bytes, ...]:
    env = _base_environment(who, spec.lang, spec.path, host, agent_id).copy()
    ours = {name: env[name] for name in _NOT_TO_BE_GIVEN} if body.env else {}
    for item in body.env:
        name, _, value = item.partition(b"=")
        env[name] = value
    env.update(ours)
    env[b"HOLDFAST_JOB_ID"] = job.encode()
    env[b"HOLDFAST_ATTEMPT"] = b"%d" % attempt
    if spec.key:
        env[b"HOLDFAST_START_KEY"] = spec.key.encode()
    if spec.fence is not None:
        env[b"HOLDFAST_FENCE"] = b"%d" % spec.fence
    if spec.timeout_s:
        env[b"HOLDFAST_DEADLINE"] = b"%.3f" % (now_unix_s + spec.timeout_s)
    return tuple([name + b"=" + value for name, value in env.items()])


@lru_cache(maxsize=64)
def _base_environment(who: Account, lang: str, path: str, host: str, agent_id: str) -> dict[bytes, bytes]:
    """What every command of this caller gets. Not to be changed, only copied."""
    return {
        b"HOME": os.fsencode(who.home),
        b"USER": os.fsencode(who.name),
        b"LOGNAME": os.fsencode(who.name),
        b"SHELL": os.fsencode(who.shell),
        b"LANG": os.fsencode(lang or "C.UTF-8"),
        b"PATH": os.fsencode(path or DEFAULT_PATH),
        b"HOLDFAST_AGENT": agent_id.encode(),
        b"HOLDFAST_HOST": os.fsencode(host),
    }


_NOT_TO_BE_GIVEN: Final = (b"HOLDFAST_AGENT", b"HOLDFAST_HOST")


def _shown(item: bytes) -> str:
    """An argument for people: undecodable bytes escaped, at most 4 KiB."""
    return item[:4096].decode("utf-8", "backslashreplace")
