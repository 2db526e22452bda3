"""Each operation once: what is asked, how the answer is read, and what a cut in between means. Pure.

Every request may be sent again after a cut (by key, by offset, or because it says a state and not a step), with two
exceptions: a signal delivered twice is not the same as once, and an agent told to leave must not be started to hear
it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

import msgspec

from holdfast.types import Durability, JobInfo, JobState, OnDisconnect, Receipt, Retention
from holdfast.wire.limits import INITIAL_WINDOW_BYTES, KEY_BYTES, REQUEST_BODY_BYTES
from holdfast.wire.messages import (
    AcceptedAnswer,
    DoneAnswer,
    ErrorCode,
    Forget,
    Get,
    Invite,
    InviteAnswer,
    JobAnswer,
    JobsAnswer,
    LeaseInfo,
    Leases,
    LeasesAnswer,
    Leftovers,
    LeftoversAnswer,
    List,
    ObjectState,
    ObjectStateAnswer,
    Principals,
    PrincipalsAnswer,
    Prune,
    PruneAnswer,
    Renew,
    RenewAnswer,
    Request,
    ResultAnswer,
    Retry,
    Revoke,
    RevokeAnswer,
    RoleName,
    Run,
    Shutdown,
    Signal,
    Status,
    StatusAnswer,
    Stop,
    Verify,
    VerifyAnswer,
    Wait,
    decode,
    pack_items,
)

if TYPE_CHECKING:
    from typing import TypedDict

    class JobOptions(TypedDict, total=False):
        """What ``run`` and ``start`` both take; see ``run_request`` for the meaning of each."""

        cwd: str | bytes | None
        env: Mapping[str, str] | None
        shell: bool
        timeout: float | None
        key: str | None
        on_disconnect: OnDisconnect | None
        grace: float
        leave: bool
        user: str | None
        groups: Sequence[str]
        umask: int | None
        rlimits: Mapping[str, tuple[int, int]] | None
        retention: Retention | None
        durability: Durability | None
        label: str
        not_after: float | None
        hints: Mapping[str, str] | None


T = TypeVar("T")

ATTACHED_LEASE_S: Final = 60.0
"""Default of ``on_disconnect`` for attached jobs: ended so long after their last client was lost."""
GRACE_S: Final = 10.0


class Call(msgspec.Struct, Generic[T], frozen=True):
    """One request and how to read its answer.

    Attributes:
        request: What is asked.
        body: Raw bytes that go with it.
        read: Answer header to result.
        repeatable: Asking again after a cut is harmless. If not, a cut after sending is an ``OutcomeUnknown``.
        if_repeated: Error codes that mean "done already" when the request was sent more than once, with the result.
        if_lost: Result when the link is lost after sending, where losing it is what was asked for.
        key: The start key, for ``OutcomeUnknown``.
        patient: Goes on as long as a lost connection may come back, and not just for the time of a connect.
    """

    request: Request
    read: Callable[[bytes], T]
    body: bytes = b""
    repeatable: bool = True
    if_repeated: Mapping[int, T] = {}
    if_lost: T | None = None
    key: str | None = None
    patient: bool = False


class RunRequest(msgspec.Struct, frozen=True):
    """RUN with its body, ready to be sent any number of times under one key."""

    request: Run
    body: bytes
    args: Any


def uuid7(unix_ms: int, random: bytes) -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits.

    Args:
        unix_ms: Wall-clock milliseconds; the agent reads the key's age from them.
        random: At least 10 bytes.
    """
    bits = (unix_ms & (1 << 48) - 1) << 80 | int.from_bytes(random[:10], "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def run_request(
    args: Sequence[str | bytes] | str | bytes,
    *,
    fresh_key: str,
    encode: Callable[[str], bytes],
    attach: bool = True,
    stdin: bool = False,
    cwd: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    shell: bool = False,
    timeout: float | None = None,
    key: str | None = None,
    on_disconnect: OnDisconnect | None = None,
    grace: float = GRACE_S,
    leave: bool = False,
    user: str | None = None,
    groups: Sequence[str] = (),
    umask: int | None = None,
    rlimits: Mapping[str, tuple[int, int]] | None = None,
    retention: Retention | None = None,
    durability: Durability | None = None,
    label: str = "",
    not_after: float | None = None,
    hints: Mapping[str, str] | None = None,
) -> RunRequest:
    """The request that starts a job.

    Args:
        args: Program and arguments, never parsed again; with ``shell`` one text for ``/bin/sh -c``.
        fresh_key: Generated key, used when ``key`` is None.
        encode: Text to the bytes of the operating system.
        attach: The answer stays open and carries the output.
        stdin: The command gets a pipe as standard input instead of an empty one.
        cwd: Directory of the command; None: the home directory of its user.
        env: Variables beside the basic ones (HOME, USER, LOGNAME, SHELL, LANG, PATH, HOLDFAST_*).
        shell: ``args`` is a text for a shell.
        timeout: Seconds after which the job is ended on its host; None: no limit.
        key: Start key, 1 to 255 bytes of UTF-8: at most one job is ever started under it.
        on_disconnect: ``"keep"``, ``"kill"`` or seconds, when the last attached client is gone; None: 60 s attached,
            ``"keep"`` detached.
        grace: Seconds between TERM and KILL when the job is ended early.
        leave: Let other processes of the job run on after its main process has ended.
        user: Another user to run as; only an agent of root can.
        groups: Supplementary groups to set.
        umask: File mode mask; None: 022.
        rlimits: Resource limits by name (``"nofile"``): soft and hard value.
        retention: What is kept of the output; None: everything.
        durability: ``"process"`` or ``"power"`` (flushed to disk before it is answered); None: ``power`` for detached
            jobs and keys of one's own.
        label: Free text for ``jobs(label=...)``, at most 255 bytes.
        not_after: Unix seconds after which a waiting job is not started any more.
        hints: Non-binding words for people.

    Raises:
        ValueError: empty arguments, a NUL byte, or something beyond its limit; nothing was sent.
        TypeError: a text where a list is needed, or the reverse.
    """
    if isinstance(args, (str, bytes)) is not shell:
        raise TypeError("args is one text with shell=True, and a list of texts without")
    items: Sequence[str | bytes] = [args] if isinstance(args, (str, bytes)) else args
    argv = tuple([encode(item) if isinstance(item, str) else item for item in items])
    if not argv or not argv[0]:
        raise ValueError("args is empty: there is no program to run")
    envv = tuple([encode(f"{name}={value}") for name, value in env.items()]) if env else ()
    if env and any(not name or "=" in name for name in env):
        raise ValueError("the name of an environment variable is empty or contains '='")
    directory = encode(cwd) if isinstance(cwd, str) else cwd
    body = pack_items(argv, envv, directory)
    if len(body) > REQUEST_BODY_BYTES:
        raise ValueError(f"arguments and environment of {len(body)} bytes; the limit is {REQUEST_BODY_BYTES}")
    if key is not None and not 1 <= len(key.encode()) <= KEY_BYTES:
        raise ValueError(f"start key of {len(key.encode())} bytes; it may have 1 to {KEY_BYTES}")
    if on_disconnect is None:
        on_disconnect = ATTACHED_LEASE_S if attach else "keep"
    if durability is None:
        durability = "power" if key is not None or not attach else "process"
    request = Run(
        key=fresh_key if key is None else key,
        argc=len(argv),
        envc=len(envv),
        has_cwd=directory is not None,
        user_key=key is not None,
        shell=shell,
        umask=umask,
        user=user,
        groups=tuple(groups),
        rlimits=dict(rlimits) if rlimits else {},
        timeout_s=timeout,
        grace_s=grace,
        leave=leave,
        stdin=stdin,
        on_disconnect=on_disconnect,
        retention=retention if retention is not None else Retention(),
        durability=durability,
        attach=attach,
        credit=INITIAL_WINDOW_BYTES,
        label=label,
        not_after_unix_s=not_after,
        hints=dict(hints) if hints else {},
    )
    return RunRequest(request, body, args)


def start_detached(run: RunRequest) -> Call[AcceptedAnswer]:
    """Submit a job and be told its id; its output is not asked for."""
    return Call(run.request, lambda header: decode(header, AcceptedAnswer), run.body, key=run.request.key)


def get_job(job: str) -> Call[JobInfo]:
    """One job's state, by its id or a unique prefix of four characters or more."""
    return Call(Get(job), lambda header: decode(header, JobAnswer).job)


def list_jobs(
    *,
    all: bool = False,
    limit: int = 100,
    before: str | None = None,
    label: str | None = None,
    prefix: str | None = None,
) -> Call[JobsAnswer]:
    """One page of jobs, newest first."""
    request = List(all=all, limit=limit, before=before, label=label, prefix=prefix)
    return Call(request, lambda header: decode(header, JobsAnswer))


def wait(job: str, *, lease: bool) -> Call[Receipt]:
    """Answered when the job is done."""
    return Call(Wait(job, lease), lambda header: decode(header, ResultAnswer).receipt, patient=True)


def signal(job: str, signum: int, scope: Literal["main", "group", "tree"]) -> Call[DoneAnswer]:
    """Send a signal; never sent twice."""
    return Call(Signal(job, signum, scope), _done, repeatable=False)


def signal_again(job: str, signum: int) -> Call[DoneAnswer]:
    """Send a signal that does no more harm twice than once; after a cut it is sent again."""
    return Call(Signal(job, signum, "main"), _done, if_repeated={ErrorCode.STATE: DoneAnswer(JobState.DONE)})


def stop(job: str, grace: float | None) -> Call[DoneAnswer]:
    """TERM, the grace period, KILL; answered at once."""
    return Call(Stop(job, grace), _done)


def retry(job: str, *, fresh_key: str, key: str | None) -> Call[AcceptedAnswer]:
    """A new job with the body of a finished one."""
    request = Retry(job, fresh_key if key is None else key, key is not None)
    return Call(request, lambda header: decode(header, AcceptedAnswer), key=request.key)


def forget(job: str, *, forget_key: bool) -> Call[DoneAnswer]:
    """Drop a finished job and its output."""
    gone = DoneAnswer(JobState.DONE)
    return Call(Forget(job, forget_key), _done, if_repeated={ErrorCode.NOT_FOUND: gone})


def prune(older_than: float | None) -> Call[PruneAnswer]:
    """Drop finished jobs by age."""
    return Call(Prune(older_than), lambda header: decode(header, PruneAnswer))


def verify(job: str) -> Call[VerifyAnswer]:
    """Compare the kept output of a finished job with its receipt."""
    return Call(Verify(job), lambda header: decode(header, VerifyAnswer))


def leftovers(*, end: bool) -> Call[LeftoversAnswer]:
    """Live processes of finished jobs."""
    return Call(Leftovers(end), lambda header: decode(header, LeftoversAnswer))


def status() -> Call[StatusAnswer]:
    """What the agent is and does."""
    return Call(Status(), lambda header: decode(header, StatusAnswer))


def invite(role: RoleName, ttl: float, address: str) -> Call[InviteAnswer]:
    """A new invitation. Asked again after a cut it is another one; nobody knows the secret of the first."""
    return Call(Invite(role, ttl, address), lambda header: decode(header, InviteAnswer))


def principals() -> Call[PrincipalsAnswer]:
    """Everybody who is or was enrolled."""
    return Call(Principals(), lambda header: decode(header, PrincipalsAnswer))


def revoke(principal: str, *, jobs: bool) -> Call[RevokeAnswer]:
    """Withdraw a principal's key."""
    return Call(Revoke(principal, jobs), lambda header: decode(header, RevokeAnswer))


def shutdown(*, jobs: bool) -> Call[DoneAnswer]:
    """End the agent; that the link breaks is an answer, too."""
    return Call(Shutdown(jobs), _done, repeatable=False, if_lost=DoneAnswer(text="the agent has left"))


def renew(ttl_s: float) -> Call[RenewAnswer]:
    """All leases of this client process last so long from now on."""
    return Call(Renew(ttl_s), lambda header: decode(header, RenewAnswer))


def object_state(name: str) -> Call[ObjectStateAnswer]:
    """What a shared object is and holds."""
    return Call(ObjectState(name), lambda header: decode(header, ObjectStateAnswer))


def leases(name: str | None) -> Call[tuple[LeaseInfo, ...]]:
    """Everything that is held or waited for."""
    return Call(Leases(name), lambda header: decode(header, LeasesAnswer).leases)


def _done(header: bytes) -> DoneAnswer:
    return decode(header, DoneAnswer)
