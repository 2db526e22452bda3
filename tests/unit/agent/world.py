"""An agent without processes: real board and service, a journal in memory, scripted shims, clients in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from holdfast.agent.access import Principal
from holdfast.agent.access import Role as AccessRole
from holdfast.agent.board import Board
from holdfast.agent.guard import Guard
from holdfast.agent.held import Held
from holdfast.agent.housekeeping import Housekeeping
from holdfast.agent.peer import Peer
from holdfast.agent.recorded import RecordedClock
from holdfast.agent.recover import Recovery
from holdfast.agent.service import Service
from holdfast.agent.shared import Shared
from holdfast.client.calls import uuid7
from holdfast.config import Settings
from holdfast.jobs.admission import Admission
from holdfast.store.audit import Audit
from holdfast.store.interface import Finished
from holdfast.store.memory import MemoryJournal
from holdfast.types import JobId, Receipt
from holdfast.wire import messages as m
from holdfast.wire.events import (
    AckReceived,
    Answered,
    DataReceived,
    EndReceived,
    EventReceived,
    Failed,
    GapReceived,
    LinkEvent,
)
from holdfast.wire.link import Link
from holdfast.wire.phases import Role
from tests.unit.agent.fake_shims import FakeKeeper, FakeShim
from tests.unit.agent.manual_loop import ManualLoop

T = TypeVar("T")
EPOCH = 1_700_000_000.0
CREDIT = 4 * 1024 * 1024


class FakeTransport:
    """Collects what the agent writes; ``peer.pause_writing`` is the test's to call."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.total = 0
        self.closed = False
        self.aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.out += data
        self.total += len(data)

    def writelines(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class Client:
    """One connection of a client, with everything it was told."""

    def __init__(self, world: World, instance: str, who: Principal) -> None:
        self._world = world
        self.link = Link(Role.CLIENT, now=world.loop.now, hello=m.Hello(1, 1, instance))
        self.peer = Peer(world.service, None, world.loop.now)
        self.peer.who = who
        world.service.peers.add(self.peer)
        self.transport = FakeTransport()
        self.peer.connection_made(self.transport)  # type: ignore[arg-type]
        self.events: list[LinkEvent] = []
        self.gone = False

    def pump(self) -> bool:
        """Move bytes both ways; whether there were any."""
        if self.gone:
            return False
        now = self._world.loop.now
        out, arrived = self.link.data_to_send(), bytes(self.transport.out)
        self.transport.out.clear()
        if out:
            self.peer.data_received(out)
        if arrived:
            self.link.receive_data(arrived, now=now)
        while (event := self.link.next_event()) is not None:
            self.events.append(event)
        if self.transport.closed or self.transport.aborted:
            self.cut()
            return True
        return bool(out or arrived)

    def cut(self) -> None:
        """The connection breaks."""
        if not self.gone:
            self.gone = True
            self.peer.connection_lost(None)

    def ask(
        self,
        request: m.Request,
        body: bytes = b"",
        reads: Mapping[int, tuple[int, int]] | None = None,
        *,
        feeds: int | None = None,
    ) -> int:
        """Send a request and let everything happen; its stream. ``feeds``: it writes stdin from this offset."""
        stream = self.link.request(request, body, reads=reads)
        if feeds is not None:
            self.link.open_out(stream, 0, offset=feeds, limit=feeds)
        self._world.settle()
        self._world.advance(0.01)  # events wait that long for company
        return stream

    def run(self, *argv: str, **options: Any) -> int:
        """RUN; its stream."""
        env = [item.encode() for item in options.pop("env", ())]
        cwd = options.pop("cwd", None)
        key = options.pop("key", None)
        user_key = key is not None
        options.setdefault("credit", CREDIT)
        if key is None:
            key = self._world.fresh_key()
        request = m.Run(
            key=key, argc=len(argv), envc=len(env), has_cwd=cwd is not None,
            user_key=options.pop("user_key", user_key), **options,
        )  # fmt: skip
        body = m.pack_items(tuple(item.encode() for item in argv), tuple(env), cwd)
        if request.attach:
            return self.ask(
                request, body, {1: (0, request.credit), 2: (0, request.credit)}, feeds=0 if request.stdin else None
            )
        return self.ask(request, body)

    def read(self, job: str, *, credit: int = CREDIT, **options: Any) -> int:
        """READ; its stream."""
        offsets = options.pop("offsets", {"1": 0, "2": 0})
        reads = {int(channel): (offset, offset + credit) for channel, offset in offsets.items()}
        return self.ask(m.Read(job=job, offsets=offsets, credit=credit, **options), reads=reads)

    # --- what it was told --------------------------------------------------------------------------------------------

    def _all(self, kind: type[T], stream: int) -> list[T]:
        return [event for event in self.events if type(event) is kind and getattr(event, "stream", 0) == stream]

    def answer(self, stream: int, kind: type[T]) -> T:
        """The answer of a stream, decoded."""
        answers = self._all(Answered, stream)
        assert answers, f"stream {stream} has no answer; failures: {self._all(Failed, stream)}"
        return m.decode(answers[0].header, kind)

    def receipt(self, stream: int) -> Receipt:
        """The receipt that ended an attached RUN or a WAIT."""
        return self.answer(stream, m.ResultAnswer).receipt

    def failure(self, stream: int) -> m.Failure:
        """Why a request was refused."""
        failures = self._all(Failed, stream)
        assert failures, f"stream {stream} was not refused"
        return failures[0].failure

    def is_open(self, stream: int) -> bool:
        """Whether neither answer nor refusal has come."""
        return not self._all(Answered, stream) and not self._all(Failed, stream)

    def told(self, stream: int) -> list[Any]:
        """Events of a stream."""
        return [event.event for event in self._all(EventReceived, stream)]

    def accepted(self, stream: int) -> m.Accepted:
        """The acceptance of an attached RUN."""
        found = [event for event in self.told(stream) if isinstance(event, m.Accepted)]
        assert len(found) == 1, self.events
        return found[0]

    def data(self, stream: int, channel: int = 1) -> bytes:
        """Bytes of a channel, in order."""
        return b"".join(event.data for event in self._all(DataReceived, stream) if event.channel == channel)

    def end(self, stream: int, channel: int = 1) -> EndReceived | None:
        """How a channel ended."""
        return next((event for event in self._all(EndReceived, stream) if event.channel == channel), None)

    def gap(self, stream: int, channel: int = 1) -> int | None:
        """Where a channel went on after a gap."""
        return next((event.offset for event in self._all(GapReceived, stream) if event.channel == channel), None)

    def acked(self, stream: int) -> int:
        """What of stdin is committed."""
        return max((event.offset for event in self._all(AckReceived, stream)), default=0)

    def order(self, stream: int) -> list[str]:
        """Names of all that came on a stream, in order."""
        return [type(event).__name__ for event in self.events if getattr(event, "stream", 0) == stream]


class World:
    """The whole agent.

    Attributes:
        hold_journal: Commits are answered only by ``commit``.
        log: Lines of the agent's log.
    """

    def __init__(self, state_dir: Path, *, slots: int = 1000, queue: int = 10_000, **settings: Any) -> None:
        self.state_dir = state_dir
        self.loop = ManualLoop()
        self.log: list[str] = []
        self.hold_journal = False
        self._answers: list[Finished] = []
        self._keys = 0
        self._limits = (slots, queue)
        self.settings = Settings(state_dir=str(state_dir), config_dir="", cache_dir="", **settings)
        self.journal = MemoryJournal(boot_id="boot", random_bytes=os.urandom, on_group=self._on_group)
        self.keeper = FakeKeeper(state_dir)
        self.old_keepers: list[FakeKeeper] = []
        self.clients: list[Client] = []
        self.unix_shift = 0.0
        self.policy_path = state_dir / "policy.toml"
        self._assemble()
        self.join()
        self._serve()

    def _assemble(self) -> None:
        slots, queue = self._limits
        self.board = Board(
            self.loop,
            state_dir=str(self.state_dir),
            journal=self.journal,
            admission=Admission(slots=slots, queue=queue),
            host="here",
            boot_id=self.journal.boot_id,
            agent_id="a" * 16,
            now_unix_s=self.unix_s,
            log=self.log.append,
        )
        self.clock = RecordedClock(self.journal, self.loop.time)
        self.shared = Shared(self.journal, loop=self.loop, clock=self.clock, log=self.log.append)
        self.shared.restore()
        self.held = Held(self.board, self.shared)

    def _serve(self) -> None:
        self.audit = Audit(str(self.state_dir / "audit"), now_unix_s=self.unix_s)
        self.guard = Guard(
            str(self.policy_path),
            self.audit,
            loop=self.loop,
            now_unix_s=self.unix_s,
            own_user="eve",
            log=self.log.append,
        )
        self.service = Service(
            self.board, self.guard, self.held, agent_id="a" * 16, host="here", socket_path="sock", log=self.log.append
        )
        self.housekeeping = self.service.housekeeping = Housekeeping(self.board, self.settings)
        self.shared.start()
        self.held.recover()
        self.clock.keep()
        self.settle()

    def unix_s(self) -> float:
        """The wall clock."""
        return EPOCH + self.loop.now - 1000.0 + self.unix_shift

    def fresh_key(self) -> str:
        """A generated start key, born now."""
        self._keys += 1
        return uuid7(int((self.unix_s()) * 1000), self._keys.to_bytes(10, "big"))

    def join(self, keeper: FakeKeeper | None = None) -> None:
        """Work with the (another) keeper."""
        if keeper is not None:
            self.old_keepers.append(self.keeper)
            self.keeper = keeper
        self.board.crew.join(self.keeper.socket(), self.keeper.pid)

    # --- time --------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything happen that follows from what has happened."""
        quiet = 0
        while quiet < 2:
            self.loop.settle()
            active = self.keeper.pump()
            for keeper in self.old_keepers:
                active = keeper.pump() or active
            for client in self.clients:
                active = client.pump() or active
            quiet = 0 if active else quiet + 1

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.now += seconds
        self.settle()

    # --- the journal -------------------------------------------------------------------------------------------------

    def _on_group(self, finished: list[Finished]) -> None:
        if self.hold_journal:
            self._answers += finished
        else:
            for done, error in finished:
                done(error)

    def commit(self) -> None:
        """Answer every submit that was held."""
        answers, self._answers = self._answers, []
        for done, error in answers:
            done(error)
        self.settle()

    # --- people and things -------------------------------------------------------------------------------------------

    def client(self, instance: str = "i" * 16, principal: str = "eve") -> Client:
        """A connected client at the agent's own socket."""
        return self.client_of(Principal(principal, AccessRole.ADMIN, "unix"), instance)

    def remote(self, name: str, role: AccessRole = AccessRole.OPERATOR) -> Client:
        """A connected client with an enrolled key."""
        return self.client_of(Principal(name, role, "tls", f"hf:{name}", "192.0.2.1:4242"), name.ljust(16, "_"))

    def client_of(self, who: Principal, instance: str) -> Client:
        """A connected client that is this principal."""
        client = Client(self, instance, who)
        self.clients.append(client)
        self.settle()
        return client

    def shim_of(self, job: str) -> FakeShim:
        """The shim that was given this job last."""
        for keeper in (self.keeper, *self.old_keepers):
            for shim in reversed(keeper.shims):
                if shim.run is not None and shim.run.job == job:
                    return shim
        raise AssertionError(f"no shim was given {job}")

    def start(self, client: Client, *argv: str, **options: Any) -> tuple[int, FakeShim]:
        """An attached job that runs: its stream and its shim."""
        stream = client.run(*(argv or ("cmd",)), **options)
        shim = self.shim_of(client.accepted(stream).job)
        shim.start()
        self.settle()
        self.advance(0.01)  # events wait that long for company
        return stream, shim

    def finish(self, shim: FakeShim, code: int = 0, **more: Any) -> None:
        """The shim's job ends."""
        shim.exit(code, **more)
        self.settle()

    def job_done(self, client: Client, *, out: bytes = b"", err: bytes = b"", code: int = 0, **options: Any) -> str:
        """A job from start to end; its id."""
        stream, shim = self.start(client, **options)
        if out:
            shim.write(1, out, told=False)
        if err:
            shim.write(2, err, told=False)
        self.finish(shim, code)
        return client.receipt(stream).job

    # --- restarts ----------------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """The agent dies: its connections break, nothing more is written."""
        for client in self.clients:
            client.gone = True
        self.clients.clear()
        self._answers.clear()
        self.hold_journal = False
        self.board.crew._unsaid.clear()
        for live in self.board.jobs.values():
            live.close()
            if live.stdin is not None and live.stdin.spool is not None:
                live.stdin.spool.close()
        self.board._lazy.clear()
        self.board.close()
        self.held.close()
        self.shared.close()
        self.housekeeping.close()
        self.guard.close()

    def recover(self, *, keeper: FakeKeeper | None = None, boot_id: str | None = None) -> dict[str, int]:
        """Another agent comes up; the counts of its recovery."""
        self.journal = self.journal.reopened(boot_id=boot_id or self.journal.boot_id)
        self._assemble()
        recovery = Recovery(self.board)
        self.board.on_keeper_word = recovery.keeper_said
        self.join(keeper)
        counts = recovery.run()
        self.board.on_keeper_word = None
        self._serve()
        for live in list(self.board.jobs.values()):
            self.board.on_growth(live)
        self.settle()
        return counts

    def restart(self, **options: Any) -> dict[str, int]:
        """Crash and recovery."""
        self.crash()
        return self.recover(**options)

    def row_state(self, job: str) -> str:
        """What the journal says of a job."""
        row = self.journal.job(JobId(job))
        assert row is not None
        return row.state.value

    def check(self) -> None:
        """Every invariant of admission and jobs, and no callback has raised."""
        self.board.admission.validate()
        for live in self.board.jobs.values():
            live.job.validate()
        assert not self.loop.failures, self.loop.failures

    def close(self) -> None:
        """Let go of everything."""
        for client in self.clients:
            client.cut()
        for live in self.board.jobs.values():
            live.close()
            if live.stdin is not None and live.stdin.spool is not None:
                live.stdin.spool.close()
        self.housekeeping.close()
        self.guard.close()
        self.board.close()
        self.held.close()
        self.shared.close()
        self.keeper.close()
        for keeper in self.old_keepers:
            keeper.close()
        self.loop.settle()
        self.loop.close()
