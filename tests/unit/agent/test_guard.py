"""The guard (S23): records before acts, refusals, the policy as it is now, an audit that cannot be written."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.access import Principal, Role
from holdfast.agent.guard import Guard, read_policy
from holdfast.errors import Refused
from holdfast.keeper import messages
from holdfast.store.audit import Record, read, verify
from holdfast.wire import messages as m
from holdfast.wire.messages import ErrorCode
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.world import Client, World

ANNA, BERT = "anna@laptop", "bert@desk"


def records(world: World, *actions: str) -> list[Record]:
    """What the audit holds of these actions (none: of all but its own)."""
    every = [record for record, _ in read(str(world.state_dir / "audit"))]
    return [record for record in every if (record.action in actions if actions else record.action != "audit.file")]


def write_policy(world: World, text: str) -> None:
    world.policy_path.write_text(text)
    world.policy_path.chmod(0o600)


# --- records ---------------------------------------------------------------------------------------------------------


def test_a_start_is_recorded_with_program_and_digest_of_its_arguments(world: World) -> None:
    anna = world.remote(ANNA)
    stream, _ = world.start(anna, "/bin/login", "hunter2", env=("TOKEN=canary",), key="my-key")
    (record,) = records(world, "run")
    assert (record.principal, record.key, record.source) == (ANNA, f"hf:{ANNA}", "192.0.2.1:4242")
    assert (record.decision, record.rule, record.policy) == ("allow", "role operator", "")
    assert record.resource == anna.accepted(stream).job
    digest = hashlib.sha256(b"/bin/login\0hunter2").hexdigest()
    assert record.detail == {"program": "/bin/login", "arguments": 1, "argv_sha256": digest}
    kept = b"".join(path.read_bytes() for path in (world.state_dir / "audit").iterdir())
    for secret in (b"hunter2", b"canary", b"TOKEN", b"my-key"):
        assert secret not in kept


def test_a_shell_command_is_a_secret_of_its_caller_too(world: World, client: Client) -> None:
    world.start(client, "login --password hunter2", shell=True)
    (record,) = records(world, "run")
    assert record.detail["program"] == "sh"
    assert record.detail["shell"] is True


def test_what_changes_something_is_recorded_before_it_happens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = world.remote(ANNA)
    boss = world.remote("boss@desk", Role.ADMIN)
    stream, shim = world.start(anna, stdin=True)
    job = anna.accepted(stream).job
    seen: list[tuple[str, str]] = []
    real = world.board.step

    def step(live: Any, stimulus: Any) -> None:
        last = records(world)[-1]
        seen.append((type(stimulus).__name__, f"{last.action} {last.principal} {last.resource == job}"))
        real(live, stimulus)

    monkeypatch.setattr(world.board, "step", step)
    boss.ask(m.Signal(job=job, signum=10, scope="tree"))
    anna.ask(m.Stop(job=job))
    assert seen == [("SignalAsked", "signal boss@desk True"), ("StopAsked", "stop anna@laptop True")]
    monkeypatch.undo()
    world.finish(shim)
    anna.ask(m.Forget(job=job))
    assert [record.action for record in records(world)][-4:] == ["run", "signal", "stop", "forget"]
    assert records(world, "signal")[0].detail == {"signal": 10, "scope": "tree", "owner": ANNA}


def test_looks_are_counted_and_looks_at_the_output_of_others_recorded(world: World) -> None:
    anna, boss = world.remote(ANNA), world.remote("boss@desk", Role.ADMIN)
    job = world.job_done(anna, out=b"x")
    for _ in range(3):
        anna.ask(m.Get(job=job))
    anna.ask(m.List())
    anna.read(job)
    assert records(world, "read") == []
    boss.read(job)
    (record,) = records(world, "read")
    assert (record.principal, record.resource, record.detail) == ("boss@desk", job, {"owner": ANNA})
    anna.cut()
    (closed,) = records(world, "connection.closed")
    assert closed.principal == ANNA
    assert closed.detail == {"get": 3, "list": 1, "read": 1, "run": 1}
    assert len(records(world, "connection.opened")) == 2


def test_an_admin_act_and_its_refusal_are_recorded(world: World) -> None:
    anna, client = world.remote(ANNA), world.client()
    for request in (m.Leftovers(), m.Shutdown(jobs=True), m.Invite(), m.Principals(), m.Revoke(principal=BERT)):
        failure = anna.failure(anna.ask(request))
        assert (failure.code, failure.ran) == (ErrorCode.FORBIDDEN, "no")
        assert "admin" in failure.text
    denied = [record for record in records(world) if record.decision == "deny"]
    assert [record.action for record in denied] == ["leftovers", "shutdown", "invite", "principals", "revoke"]
    assert denied[-1].resource == BERT
    assert not world.log
    assert client.failure(client.ask(m.Invite())).code == ErrorCode.INVALID
    assert records(world, "invite")[-1].decision == "allow"


def test_changes_of_keys_wait_until_their_record_is_flushed(world: World) -> None:
    asked: list[m.Request] = []

    def operation(peer: Any, stream: int, request: Any, body: bytes) -> None:
        asked.append(request)
        peer.link.respond(stream, m.DoneAnswer())

    world.service.offer({m.Invite: operation, m.Revoke: operation})
    client = world.client()
    world.loop.hold_threads = True
    stream = client.ask(m.Invite())
    assert client.is_open(stream)
    assert asked == []
    world.loop.run_threads()
    world.settle()
    assert client.answer(stream, m.DoneAnswer)
    world.loop.hold_threads = False
    boss = world.remote("boss@desk", Role.ADMIN)
    world.audit._flush = _fails
    assert boss.failure(boss.ask(m.Revoke(principal=ANNA))).code == ErrorCode.DISK_FULL
    assert client.answer(client.ask(m.Revoke(principal=ANNA)), m.DoneAnswer), "the owner can always revoke"
    assert len(asked) == 2


def _fails(fd: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_many_refusals_are_counted_instead_of_recorded_one_by_one(world: World) -> None:
    bert, anna = world.remote(BERT), world.remote(ANNA)
    for _ in range(700):
        bert.link.request(m.Get(job="zzzzzzzzzzzz"))
    world.settle()
    mine = [record for record in records(world, "get") if record.principal == BERT]
    assert 500 <= len(mine) < 520
    anna.ask(m.Get(job="zzzzzzzzzzzz"))
    assert records(world, "get")[-1].principal == ANNA, "one who asks too much hides nobody else"
    world.advance(10.0)
    bert.ask(m.Get(job="zzzzzzzzzzzz"))
    assert 180 < int(records(world, "get")[-1].detail["refusals_not_recorded"]) <= 200
    assert world.guard.counters["refused"] == 702


def test_strangers_are_recorded_and_enrolment_is_flushed(world: World) -> None:
    world.guard.refused_stranger("198.51.100.7:999", "an unknown key")
    (record,) = records(world, "connection.refused")
    assert (record.decision, record.source, record.detail) == (
        "deny", "198.51.100.7:999", {"reason": "an unknown key"},
    )  # fmt: skip
    world.guard.change(None, "principal.enrolled", ANNA, {"role": "operator"})
    assert records(world, "principal.enrolled")[0].resource == ANNA
    world.audit._flush = _fails
    with pytest.raises(Refused, match="cannot be recorded"):
        world.guard.change(None, "principal.enrolled", BERT)
    world.guard.change(Principal("eve", Role.ADMIN, "unix"), "principal.revoked", BERT)


def test_the_head_is_kept_within_a_second(world: World) -> None:
    world.client()
    world.advance(1.1)
    kept = (world.state_dir / "audit" / "head").read_text()
    assert kept.strip().endswith(world.audit.head.hash)
    assert verify(str(world.state_dir / "audit")).problem == ""


# --- an audit that cannot be written ----------------------------------------------------------------------------------


def test_on_a_full_disk_nothing_from_outside_happens_and_the_owner_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, client = world.remote(ANNA), world.client()
    stream, shim = world.start(anna)
    job = anna.accepted(stream).job

    monkeypatch.setattr(world.audit, "append", _finds_no_room)
    before = len(world.board.jobs)
    for refused in (anna.run("true", attach=False), anna.ask(m.Stop(job=job)), anna.ask(m.Signal(job=job, signum=9))):
        failure = anna.failure(refused)
        assert (failure.code, failure.ran) == (ErrorCode.DISK_FULL, "no")
        assert "cannot write the audit" in failure.text
        assert failure.retry_after_s
    assert len(world.board.jobs) == before
    assert world.board.admission.running == before
    assert not [message for message in shim.heard if isinstance(message, (messages.Signal, messages.Stop))]
    assert anna.answer(anna.ask(m.Get(job=job)), m.JobAnswer), "looking changes nothing"
    assert len([line for line in world.log if "until it can" in line]) == 1
    assert client.accepted(client.run("true")).job
    client.ask(m.Stop(job=job))
    assert [message for message in shim.heard if isinstance(message, messages.Stop)]


def world_full() -> Exception:
    from holdfast.store.faults import storage_error

    return storage_error("write the audit in", OSError(errno.ENOSPC, "No space left on device"), "/x")


def test_without_an_audit_nothing_from_outside_happens(world: World) -> None:
    anna = world.remote(ANNA)
    world.guard._audit = None
    stream = anna.run("true", attach=False)
    world.guard._audit = world.audit
    assert (anna.failure(stream).code, anna.failure(stream).ran) == (ErrorCode.JOURNAL_FAILED, "no")


def test_starts_of_one_turn_are_recorded_with_one_write_and_before_the_journal_has_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, client = world.remote(ANNA), world.client()
    order: list[str] = []
    append, submit = world.audit.append, world.journal.submit

    def appended(*entries: Any) -> Any:
        order.append(f"audit {len(entries)}")
        return append(*entries)

    def submitted(writes: Any, **more: Any) -> Any:
        order.append(type(writes[0]).__name__)
        return submit(writes, **more)

    monkeypatch.setattr(world.audit, "append", appended)
    monkeypatch.setattr(world.journal, "submit", submitted)
    for who in (anna, client):
        for _ in range(5):
            who.link.request(m.Run(key=world.fresh_key(), argc=1, attach=False), m.pack_items((b"true",)))
    world.settle()
    first_insert = order.index("InsertJob")
    assert order[:first_insert][0].startswith("audit")
    recorded = inserted = 0
    for event in order:
        recorded += int(event.removeprefix("audit ")) if event.startswith("audit") else 0
        inserted += event == "InsertJob"
        assert inserted <= recorded, order
    assert (recorded, inserted) == (10, 10)
    assert len([event for event in order if event.startswith("audit")]) < 6


def test_of_starts_that_cannot_be_recorded_together_only_the_owners_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, client = world.remote(ANNA), world.client()
    monkeypatch.setattr(world.audit, "append", _finds_no_room)
    streams = []
    for who in (client, anna, client, anna, client, anna):
        request = m.Run(key=world.fresh_key(), argc=1, attach=False)
        streams.append((who, who.link.request(request, m.pack_items((b"true",)))))
    world.settle()
    for who, stream in streams:
        if who is client:
            assert who.answer(stream, m.AcceptedAnswer).job
        else:
            assert (who.failure(stream).code, who.failure(stream).ran) == (ErrorCode.DISK_FULL, "no")
    assert {live.principal for live in world.board.jobs.values()} == {"eve"}
    assert not world.guard._unrecorded


def _finds_no_room(*entries: Any) -> None:
    raise world_full()


# --- starts ----------------------------------------------------------------------------------------------------------


def test_a_runner_gets_what_the_profile_says(world: World) -> None:
    write_policy(
        world,
        f'[principals."{ANNA}"]\nprofiles = ["p"]\n[profiles.p]\nprogram = "/bin/do"\n'
        'arguments = [{ one_of = ["a"] }]\ndirectory = "/srv"\nmax_time = "10m"',
    )
    anna = world.remote(ANNA, Role.RUNNER)
    _, shim = world.start(anna, "/bin/do", "a")
    assert shim.run is not None
    assert (shim.run.argv, shim.run.cwd, shim.run.timeout_ms) == ((b"/bin/do", b"a"), b"/srv", 600_000)
    refused = anna.failure(anna.run("/bin/do", "b"))
    assert (refused.code, refused.ran) == (ErrorCode.FORBIDDEN, "no")
    assert "argument 1 is not one of a" in refused.text
    assert anna.failure(anna.run("/bin/rm")).code == ErrorCode.FORBIDDEN
    assert [(r.decision, r.rule) for r in records(world, "run")] == [
        ("allow", "profile p"), ("deny", "no profile"), ("deny", "no profile"),
    ]  # fmt: skip


def test_a_retry_is_judged_as_a_start(world: World) -> None:
    write_policy(world, f'[principals."{BERT}"]\nprofiles = ["p"]\nsees = ["*"]\n[profiles.p]\nprogram = "/bin/do"')
    anna, bert = world.remote(ANNA), world.remote(BERT, Role.RUNNER)
    for command, allowed in (("/bin/do", True), ("/bin/other", False)):
        stream, shim = world.start(anna, command)
        world.finish(shim)
        retried = bert.ask(m.Retry(job=anna.receipt(stream).job, key=world.fresh_key()))
        if allowed:
            assert bert.answer(retried, m.AcceptedAnswer).job
        else:
            assert bert.failure(retried).code == ErrorCode.FORBIDDEN


def test_who_may_not_start_it_any_more_still_gets_what_their_key_has_started(world: World) -> None:
    anna = world.remote(ANNA)
    key = world.fresh_key()
    stream, shim = world.start(anna, "deploy", key=key, user_key=False)
    write_policy(world, f'[principals."{ANNA}"]\nrole = "viewer"')
    again = world.remote(ANNA)
    assert again.accepted(again.run("deploy", key=key, user_key=False)).deduplicated
    shim.write(1, b"out", told=False)
    world.finish(shim)
    late = world.remote(ANNA)
    repeated = late.run("deploy", key=key, user_key=False)
    assert late.receipt(repeated).job == anna.receipt(stream).job
    assert late.data(repeated) == b"out"
    fresh = late.failure(late.run("deploy"))
    assert (fresh.code, fresh.ran) == (ErrorCode.FORBIDDEN, "no")


def test_where_nothing_is_allowed_a_repeated_start_says_that_it_may_have_run(world: World) -> None:
    anna = world.remote(ANNA)
    key = world.fresh_key()
    world.start(anna, "deploy", key=key, user_key=False)
    write_policy(world, "nonsense = 1")
    assert anna.failure(anna.run("deploy", key=key, user_key=False)).ran == "unknown"
    assert anna.failure(anna.run("deploy")).ran == "no"


def test_users_are_refused_before_anybody_looks_whether_they_exist(world: World) -> None:
    anna = world.remote(ANNA)
    answers = [anna.failure(anna.run("id", user=user)) for user in ("root", "no-such-user")]
    assert [answer.code for answer in answers] == [ErrorCode.FORBIDDEN] * 2
    assert answers[0].text.replace("root", "X") == answers[1].text.replace("no-such-user", "X")


def test_prune_takes_ones_own_jobs_and_an_admins_all(world: World) -> None:
    anna, bert, client = world.remote(ANNA), world.remote(BERT), world.client()
    for who in (anna, bert, client):
        world.job_done(who)
    world.advance(1.0)
    assert anna.answer(anna.ask(m.Prune(older_than_s=0)), m.PruneAnswer).jobs == 1
    viewer = world.remote(BERT, Role.VIEWER)
    assert viewer.failure(viewer.ask(m.Prune(older_than_s=0))).code == ErrorCode.FORBIDDEN
    assert client.answer(client.ask(m.Prune(older_than_s=0)), m.PruneAnswer).jobs == 2


# --- the policy file -------------------------------------------------------------------------------------------------


def test_a_policy_holds_from_the_moment_it_is_written_and_is_recorded_whole(world: World) -> None:
    anna = world.remote(ANNA)
    assert anna.accepted(anna.run("a")).job
    text = f'[principals."{ANNA}"]\nrole = "viewer"\n'
    write_policy(world, text)
    assert anna.failure(anna.run("b")).code == ErrorCode.FORBIDDEN
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert [record.detail["digest"] for record in records(world, "policy")] == [digest]
    assert records(world, "run")[-1].policy == digest[:16]
    assert world.guard.policy_state == digest[:16]
    os.unlink(world.policy_path)
    assert anna.accepted(anna.run("c")).job
    assert world.guard.policy_state == ""


def test_a_policy_that_is_edited_twice_in_one_tick_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems count time in ticks: two versions of one length may look the same (here: all of them)."""
    real = os.stat
    write_policy(world, 'on_revoke = "keep"')
    first = real(world.policy_path)
    world.unix_shift = first.st_ctime - world.unix_s() + 0.05
    monkeypatch.setattr(
        os, "stat", lambda path, **more: first if path == str(world.policy_path) else real(path, **more)
    )
    for on_revoke in ("keep", "stop", "keep"):
        write_policy(world, f'on_revoke = "{on_revoke}"')
        assert world.guard.policy().on_revoke == on_revoke
    world.unix_shift += 1.0
    world.guard.policy()
    write_policy(world, 'on_revoke = "stop"')
    assert world.guard.policy().on_revoke == "keep", "this one looks as old as it is, and is not read for each request"


def test_an_unusable_policy_is_told_to_its_owner_and_bars_everybody_from_outside(world: World) -> None:
    write_policy(world, '[principals."anna@laptop"]\nrolle = "viewer"')
    anna, boss, client = world.remote(ANNA), world.remote("boss@desk", Role.ADMIN), world.client()
    for remote in (anna, boss):
        for request in (m.Get(job="abcdabcdabcd"), m.List(), m.Status(), m.Shutdown()):
            failure = remote.failure(remote.ask(request))
            assert (failure.code, failure.ran) == (ErrorCode.FORBIDDEN, "no")
            assert "policy cannot be used" in failure.text
    status = client.answer(client.ask(m.Status()), m.StatusAnswer)
    assert "rolle" in status.policy
    assert client.accepted(client.run("true")).job
    assert len([line for line in world.log if "rolle" in line]) == 1


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_policy_that_others_can_write_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("")
    path.chmod(mode)
    assert "chmod go-w" in read_policy(str(path)).invalid
    path.chmod(0o644)
    assert read_policy(str(path)).invalid == ""


def test_a_policy_in_a_directory_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "open" / "policy.toml"
    path.parent.mkdir()
    path.write_text("")
    path.chmod(0o600)
    path.parent.chmod(0o777)
    assert "chmod go-w" in read_policy(str(path)).invalid


def test_what_is_no_plain_file_of_ours_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "not a plain file" in read_policy(str(tmp_path / "fifo")).invalid
    assert read_policy(str(tmp_path)).invalid
    path = tmp_path / "policy.toml"
    path.write_text("")
    path.chmod(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if os.getuid() == 0:  # whose files anybody may use
        os.chown(path, 4321, -1)
    assert "belongs to user" in read_policy(str(path)).invalid


def test_access_that_has_expired_ends(world: World) -> None:
    write_policy(world, f'[principals."{ANNA}"]\nexpires = 2023-11-14T22:20:00Z')  # 400 s from the world's beginning
    anna = world.remote(ANNA)
    assert anna.accepted(anna.run("a")).job
    world.unix_shift = 401.0
    failure = anna.failure(anna.run("b"))
    assert failure.code == ErrorCode.FORBIDDEN
    assert "expired" in failure.text


def test_who_is_greeted_hears_of_the_role_that_holds(world: World, make_world: MakeWorld) -> None:
    write_policy(world, f'[principals."{ANNA}"]\nrole = "viewer"')
    anna, bert, client = world.remote(ANNA), world.remote(BERT, Role.RUNNER), world.client()
    welcomes = [who.link.welcomed for who in (anna, bert, client)]
    assert [welcome.roles for welcome in welcomes if welcome is not None] == [("viewer",), ("runner",), ("admin",)]


def test_nobody_is_nobody(world: World) -> None:
    client = world.client()
    client.peer.who = None
    assert client.failure(client.ask(m.List())).code == ErrorCode.UNAUTHENTICATED


def test_closing_twice_is_one_closing(world: World) -> None:
    guard: Guard = world.guard
    guard.close()
    guard.close()
    world.guard = guard
