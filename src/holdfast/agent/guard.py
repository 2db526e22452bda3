"""Asks the policy, writes the audit, and says no: everything that a client wants passes here before it happens.

Rules of this module:

* One ``Caller`` a request, with one version of the policy for all of it; that version is named in the record.
* The record comes before the act. What somebody from outside asks for does not happen if its record cannot be written.
  The agent's own user goes on (they may have to make room on that disk); how many records are missing is recorded when
  there is room again.
* Recorded: all that changes something, each refusal, connections, looks at somebody else's output. Other looks are
  counted in the record of their connection's end, and so is the use of shared objects; who has made or forgotten one
  that outlives its users is recorded. Arguments are recorded as a digest, since people put secrets there; environments
  never.
* A job that somebody may not see is answered, recorded and searched for like one that is not there.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from holdfast.agent import policy as policies
from holdfast.agent.access import (
    Administer,
    Control,
    Decision,
    Drop,
    Look,
    Principal,
    Rights,
    See,
    Share,
    Start,
    decide,
)
from holdfast.agent.policy import NO_POLICY, Policy
from holdfast.errors import NotFound, Refused, SettingsError, StorageError, Unauthorized
from holdfast.jobs.body import Body
from holdfast.jobs.spec import JobSpec
from holdfast.store.audit import Audit, Entry, Verdict
from holdfast.types import JobId
from holdfast.wire.codes import ErrorCode
from holdfast.wire.messages import AnyRequest, clip

if TYPE_CHECKING:
    from holdfast.agent.peer import Peer

HEAD_S: Final = 1.0
"""The kept head is at most so far behind the audit."""
DENIALS_A_S: Final = 100.0
"""Refusals of one principal that are recorded a second, in the long run; the others are counted."""
DENIALS_AT_ONCE: Final = 500.0
FRESH_S: Final = 0.1
"""A file that was changed so shortly ago may change again without looking different (ext4 counts time in ticks)."""
TEXT_CHARS: Final = 256
"""Longest text from outside in a record."""
_NAMES: Final = {kind: str(kind.__struct_config__.tag) for kind in AnyRequest.__args__}

Detail = dict[str, str | int | float | bool]


class Guard:
    """The guard of one agent.

    Args:
        policy_path: The policy file; it need not be there.
        audit: Where to record; None: it cannot be opened, so nothing from outside is allowed to change anything.
        loop: The agent's loop.
        now_unix_s: The clock.
        own_user: The agent's own account.
        log: Takes one line for the agent's log.
    """

    def __init__(
        self,
        policy_path: str,
        audit: Audit | None,
        *,
        loop: asyncio.AbstractEventLoop,
        now_unix_s: Callable[[], float],
        own_user: str,
        log: Callable[[str], None],
    ) -> None:
        self.own_user = own_user
        self.counters = {"refused": 0, "audit_failures": 0}
        self._path = policy_path
        self._audit = audit
        self._loop = loop
        self._now = now_unix_s
        self._log = log
        self._policy = NO_POLICY
        self._seen: tuple[int, ...] | None = None
        self._rights: dict[tuple[str, str, str], Rights] = {}
        self._looks: dict[object, dict[str, int]] = {}
        self._allowance: dict[str, _Allowance] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._failing = False
        self._starting: list[tuple[Entry, JobId | None]] = []
        self._unrecorded: dict[JobId, StorageError] = {}

    # --- the policy --------------------------------------------------------------------------------------------------

    def policy(self) -> Policy:
        """The policy as it is now; whoever decides something asks once for all of it."""
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            if self._policy is not NO_POLICY:
                self._use(NO_POLICY)
            self._seen = None
            return self._policy
        except OSError as exc:
            self._use(Policy(invalid=f"{self._path}: {exc.strerror}"))
            return self._policy
        key = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
        if key != self._seen:
            self._use(read_policy(self._path))
            self._seen = key if self._now() - found.st_ctime > FRESH_S else None
        return self._policy

    @property
    def policy_state(self) -> str:
        """For people: empty without a policy file, else its short digest, or ``invalid:`` and why."""
        policy = self.policy()
        return f"invalid: {policy.invalid}" if policy.invalid else policy.short

    def _use(self, policy: Policy) -> None:
        if policy == self._policy:
            return
        self._policy = policy
        self._rights.clear()
        if policy.invalid:
            self._log(f"nothing is allowed from outside: {policy.invalid}")
        else:
            self._log(f"policy {policy.short} of {self._path} holds from now on" if policy.digest else "no policy file")
        detail: Detail = {"digest": policy.digest, "invalid": policy.invalid[:TEXT_CHARS]}
        self._write(Entry(action="policy", policy=policy.short, detail=detail), must=False)

    # --- requests ----------------------------------------------------------------------------------------------------

    def caller(self, peer: Peer, request: AnyRequest) -> Caller:
        """Who asks this, by the policy of this moment.

        Raises:
            Unauthorized: nobody we know, or nothing is allowed to them.
        """
        who = peer.who
        if who is None:
            raise Unauthorized("this connection has not said who it is", code=ErrorCode.UNAUTHENTICATED)
        action = _NAMES[type(request)]
        looks = self._looks.get(peer)
        if looks is not None:
            looks[action] = looks.get(action, 0) + 1
        return self.on_behalf(who, action)

    def on_behalf(self, who: Principal, action: str) -> Caller:
        """Somebody who has asked for this before, or asks now, by the policy of this moment.

        Raises:
            Unauthorized: nothing is allowed to them.
        """
        policy = self._policy if who.kind == "unix" else self.policy()  # it says nothing about local users
        caller = Caller(self, who, self._rights_of(policy, who), action)
        if caller.rights.barred:
            caller.looks()
        return caller

    def _rights_of(self, policy: Policy, who: Principal) -> Rights:
        key = (who.name, who.role, who.kind)
        rights = self._rights.get(key)
        if rights is None:
            rights = self._rights[key] = policy.rights(who)
        if rights.expires_unix_s is not None and self._now() >= rights.expires_unix_s:
            barred = f"the access of {who.name} has expired; an admin of this agent can renew it"
            return Rights(name=who.name, role=who.role, policy=rights.policy, barred=barred)
        return rights

    def role_of(self, peer: Peer) -> str:
        """The role of somebody, as the policy has it now."""
        return "" if peer.who is None else self._rights_of(self.policy(), peer.who).role

    # --- connections -------------------------------------------------------------------------------------------------

    def connected(self, peer: Peer) -> None:
        """A connection has said who it is, and was greeted."""
        assert peer.who is not None
        self._looks[peer] = {}
        self._write(_entry(peer.who, "connection.opened", "note"), must=False)

    def disconnected(self, peer: Peer) -> None:
        """It ended; what it only looked at is told now."""
        looks = self._looks.pop(peer, None)
        if looks is not None and peer.who is not None:
            detail: Detail = dict(sorted(looks.items()))
            self._write(_entry(peer.who, "connection.closed", "note", detail=detail), must=False)

    def refused_stranger(self, source: str, reason: str) -> None:
        """Somebody whom nobody knows was turned away."""
        entry = Entry(action="connection.refused", decision="deny", source=source, detail={"reason": _short(reason)})
        self._deny("", entry)

    def change(self, who: Principal | None, action: str, resource: str = "", detail: Detail | None = None) -> None:
        """Record a change of who may do what, flushed; returns when it may happen. ``who`` None: a guest.

        Raises:
            Refused: it must not happen, since it cannot be recorded.
        """
        entry = Entry(action=action, decision="allow", resource=_short(resource), detail=detail or {})
        if who is not None:
            entry = _entry(who, action, "allow", resource=resource, detail=detail)
        must = who is None or who.kind != "unix"
        self._write(entry, must=must)
        try:
            self.flush()
        except OSError as exc:
            if must:
                raise _not_recorded(exc.strerror or str(exc)) from exc
            self._failed(str(exc))

    def note(self, action: str, detail: Detail | None = None) -> None:
        """Record something that happened to the agent itself."""
        self._write(Entry(action=action, detail=detail or {}), must=False)

    # --- the audit ---------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Make what was recorded survive a power failure; waits for the disk. May be called from any thread.

        Raises:
            OSError: it does not.
        """
        if self._audit is not None:
            self._audit.flush()

    def flushed(self, then: Callable[[OSError | None], None]) -> None:
        """Flush in a thread; ``then`` is called on the loop."""
        future = self._loop.run_in_executor(None, self.flush)

        def done(future: asyncio.Future[None]) -> None:
            error = future.exception()
            then(error if isinstance(error, OSError) else None)

        future.add_done_callback(done)

    def close(self) -> None:
        """The agent ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._audit is not None:
            self._audit.close()
            self._audit = None

    def record_starts(self) -> dict[JobId, StorageError]:
        """Write the records of all jobs that are about to be accepted, in one go.

        Called before the journal gets them: giving the interpreter away for a write(2) a job costs more than the write.

        Returns:
            Jobs that must not be accepted, since they cannot be recorded; whoever refuses one takes it out.
        """
        starting, self._starting = self._starting, []
        if starting:
            try:
                self._append(*(entry for entry, _ in starting))
            except StorageError as exc:
                self._failed(str(exc))
                self._unrecorded.update((job, exc) for _, job in starting if job is not None)
        return self._unrecorded

    def _write(self, entry: Entry, *, must: bool) -> None:
        if self._starting:  # records are in the order of what they are about
            self.record_starts()
        try:
            self._append(entry)
        except StorageError as exc:
            self._failed(str(exc))
            if must:
                raise _not_recorded(str(exc)) from exc

    def _append(self, *entries: Entry) -> None:
        if self._audit is None:
            raise StorageError("the audit could not be opened", path="")
        self._audit.append(*entries)
        self._failing = False
        if self._timer is None:
            self._timer = self._loop.call_later(HEAD_S, self._tick)

    def _failed(self, reason: str) -> None:
        self.counters["audit_failures"] += 1
        if not self._failing:
            self._failing = True
            self._log(f"{reason}; until it can, nothing that is asked from outside is carried out")

    def _tick(self) -> None:
        self._timer = None
        if self._audit is None:
            return
        try:
            self._audit.keep_head()
        except StorageError as exc:
            self._failed(str(exc))
        if self._audit.needs_flush:
            self.flushed(lambda error: None if error is None else self._failed(str(error)))

    def _deny(self, name: str, entry: Entry) -> None:
        self.counters["refused"] += 1
        now = self._loop.time()
        allowance = self._allowance.get(name)
        if allowance is None:
            allowance = self._allowance[name] = _Allowance(now)
        unsaid = allowance.take(now)
        if unsaid is None:
            return
        if unsaid:
            entry.detail["refusals_not_recorded"] = unsaid
        self._write(entry, must=False)


class Caller:
    """Somebody and one request of theirs.

    Attributes:
        who: Who it is.
        rights: What they may do by the one version of the policy that holds for this request.
        action: The request's name.
    """

    __slots__ = ("_guard", "action", "rights", "who")

    def __init__(self, guard: Guard, who: Principal, rights: Rights, action: str) -> None:
        self._guard = guard
        self.who = who
        self.rights = rights
        self.action = action

    def looks(self) -> None:
        """They want to know something that everybody may know.

        Raises:
            Unauthorized: nothing is allowed to them.
        """
        self._demand(decide(self.rights, Look()), "")

    def finds(self, owner: str) -> bool:
        """Whether a job of this principal exists for them."""
        return decide(self.rights, See(owner)).allowed

    def missing(self, name: str) -> NotFound:
        """There is no such job, or none for them: the same answer, the same record."""
        if not self.is_local:
            self._guard._deny(self.who.name, self._entry("deny", name, "not there"))
        return NotFound(f"no such job: {name[:64]}", code=ErrorCode.NOT_FOUND)

    def looks_at(self, owner: str, job: str) -> None:
        """They are about to get the output of a job that they can find; somebody else's is recorded.

        Raises:
            Refused: it cannot be recorded.
        """
        if owner != self.who.name:
            self._record(decide(self.rights, See(owner)), job, {"owner": owner})

    def changes(self, owner: str, job: str, detail: Detail | None = None) -> None:
        """They are about to change what becomes of a job that they can find.

        Raises:
            Unauthorized: they may not.
            Refused: it cannot be recorded.
        """
        decision = decide(self.rights, Control(owner))
        detail = detail or {}
        if owner != self.who.name:
            detail["owner"] = owner
        self._demand(decision, job, detail)
        self._record(decision, job, detail)

    def controls(self, owner: str) -> bool:
        """Whether they may change what becomes of this principal's jobs; nothing is recorded."""
        return decide(self.rights, Control(owner)).allowed

    def start(self, spec: JobSpec, body: Body) -> Decision:
        """Whether they may start this; nothing is recorded yet."""
        return decide(self.rights, Start(spec, body, self._guard.own_user))

    def refuse_start(self, decision: Decision, spec: JobSpec, body: Body) -> Unauthorized:
        """They may not start it: recorded, and in words."""
        self._guard._deny(self.who.name, self._entry("deny", "", decision.rule, command_detail(spec, body)))
        return Unauthorized(clip(decision.text), code=ErrorCode.FORBIDDEN)

    def starts(self, decision: Decision, job: JobId, spec: JobSpec, body: Body) -> None:
        """They are about to start it under this id: ``Guard.record_starts`` says whether that can be recorded."""
        entry = self._entry("allow", job, decision.rule, command_detail(spec, body))
        self._guard._starting.append((entry, None if self.is_local else job))

    def shares(self, name: str) -> None:
        """They are about to use a shared object.

        Raises:
            Unauthorized: they may not.
        """
        self._demand(decide(self.rights, Share(name)), name)

    def makes(self, name: str, kind: str) -> None:
        """They are about to make a shared object.

        Raises:
            Unauthorized: they may not.
            Refused: it cannot be recorded.
        """
        self.does(decide(self.rights, Share(name)), name, {"kind": kind})

    def drops(self, name: str, owner: str) -> None:
        """They are about to take a shared object, made by ``owner``, away from all who use it.

        Raises:
            Unauthorized: they may not.
            Refused: it cannot be recorded.
        """
        self.does(decide(self.rights, Drop(name, owner)), name, {"owner": owner} if owner != self.who.name else None)

    def administers(self, resource: str = "", detail: Detail | None = None) -> None:
        """They are about to do what takes an admin.

        Raises:
            Unauthorized: they may not.
            Refused: it cannot be recorded.
        """
        decision = decide(self.rights, Administer())
        self._demand(decision, resource, detail)
        self._record(decision, resource, detail)

    def does(self, decision: Decision, resource: str, detail: Detail | None = None) -> None:
        """They are about to do what was decided about elsewhere.

        Raises:
            Unauthorized: they may not.
            Refused: it cannot be recorded.
        """
        self._demand(decision, resource, detail)
        self._record(decision, resource, detail)

    def own_only(self, detail: Detail | None = None) -> bool:
        """They are about to change all jobs that they may change; whether that means their own alone.

        Raises:
            Unauthorized: they change nothing.
            Refused: it cannot be recorded.
        """
        decision = decide(self.rights, Administer())
        own_only = not decision.allowed
        if own_only:
            decision = decide(self.rights, Control(self.who.name))
            self._demand(decision, "", detail)
        self._record(decision, "", detail)
        return own_only

    @property
    def is_local(self) -> bool:
        """Whether they are here by the kernel's word."""
        return self.who.kind == "unix"

    @property
    def is_admin(self) -> bool:
        """Whether everything is theirs to see."""
        return decide(self.rights, Administer()).allowed

    def _demand(self, decision: Decision, resource: str, detail: Detail | None = None) -> None:
        if not decision.allowed:
            self._guard._deny(self.who.name, self._entry("deny", resource, decision.rule, detail))
            raise Unauthorized(clip(decision.text), code=ErrorCode.FORBIDDEN)

    def _record(self, decision: Decision, resource: str, detail: Detail | None) -> None:
        entry = self._entry("allow", resource, decision.rule, detail)
        self._guard._write(entry, must=not self.is_local)

    def _entry(self, verdict: Verdict, resource: str, rule: str, detail: Detail | None = None) -> Entry:
        return _entry(self.who, self.action, verdict, resource, rule, self.rights.policy, detail)


class _Allowance:
    """How many refusals of one principal may still be recorded."""

    __slots__ = ("_at", "_left", "_unsaid")

    def __init__(self, now: float) -> None:
        self._left = DENIALS_AT_ONCE
        self._at = now
        self._unsaid = 0

    def take(self, now: float) -> int | None:
        """How many were not recorded before this one; None: this one is not, either."""
        self._left = min(DENIALS_AT_ONCE, self._left + (now - self._at) * DENIALS_A_S)
        self._at = now
        if self._left < 1:
            self._unsaid += 1
            return None
        self._left -= 1
        unsaid, self._unsaid = self._unsaid, 0
        return unsaid


def read_policy(path: str) -> Policy:
    """The policy of a file, ``invalid`` where it cannot be used."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_owner(path, os.fstat(fd), stat.S_ISREG)
            _check_owner(os.path.dirname(path), os.stat(os.path.dirname(os.path.realpath(path))), stat.S_ISDIR)
            with open(fd, "rb", closefd=False) as file:
                return policies.parse(file.read(policies.MOST_BYTES + 1), path)
        finally:
            os.close(fd)
    except SettingsError as exc:
        return Policy(invalid=str(exc))
    except OSError as exc:
        return Policy(invalid=f"{path}: {exc.strerror}")


def _check_owner(path: str, found: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    """Nobody but root and the agent's user may be able to write rules."""
    if not is_kind(found.st_mode):
        raise SettingsError(f"{path}: not a plain file")
    if found.st_uid not in (0, os.geteuid()):
        raise SettingsError(f"{path}: belongs to user {found.st_uid}, neither to root nor to the agent's user")
    if found.st_mode & 0o022:
        mode = stat.S_IMODE(found.st_mode)
        raise SettingsError(f"{path}: its mode is {mode:o}, so others can write the rules (chmod go-w {path})")


def _entry(
    who: Principal,
    action: str,
    verdict: Verdict,
    resource: str = "",
    rule: str = "",
    policy: str = "",
    detail: Detail | None = None,
) -> Entry:
    return Entry(
        action=action,
        decision=verdict,
        principal=who.name,
        key=who.fingerprint,
        source=who.source,
        resource=_short(resource),
        rule=rule,
        policy=policy,
        detail=detail or {},
    )


def command_detail(spec: JobSpec, body: Body) -> Detail:
    """A command as it is recorded: its program in words, its arguments as a digest."""
    digest = hashlib.sha256(b"\0".join(body.argv)).hexdigest()
    program = "sh" if spec.shell else _short(body.argv[0][:TEXT_CHARS].decode("utf-8", "backslashreplace"))
    detail: Detail = {"program": program, "arguments": len(body.argv) - 1, "argv_sha256": digest}
    if spec.shell:
        detail["shell"] = True
    if spec.user is not None:
        detail["user"] = spec.user
    if spec.retry_of is not None:
        detail["retry_of"] = spec.retry_of
    return detail


def _short(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else text[:TEXT_CHARS]


def _not_recorded(reason: str) -> Refused:
    text = clip(f"not done, since it cannot be recorded: {reason}")
    return Refused(text, code=ErrorCode.DISK_FULL, retry_after_s=10.0)
