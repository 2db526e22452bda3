"""Both faces of the client against a real agent over TLS: enrolment, refusals that are final, cuts that are not."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.client import aio, sync
from holdfast.client.enrol import enrol
from holdfast.client.hosts import HostEntry, Hosts
from holdfast.errors import ConnectFailed, HoldfastError, InvitationError, KeyChanged, SettingsError, Unauthorized
from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually
from tests.e2e.harness import sshd
from tests.e2e.test_net_agent import NetAgent
from tests.unit.client.conftest import Lifted

MIB = 1 << 20


class Cutter:
    """A TCP proxy whose connections end, by RST, after so many bytes of either side.

    Attributes:
        plan: For each connection to come: bytes from the client and bytes from the agent that still pass.
        served: Connections so far.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.plan: list[tuple[int, int]] = []
        self.served = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.held = threading.Event()
        self.held.set()
        self._start(self._accept)

    def cut(self) -> None:
        """Break every connection."""
        for pair in list(self._pairs):
            _break(*pair)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.held.set()
        self.cut()
        for thread in self._threads:
            thread.join()
        for pair in self._pairs:
            for sock in pair:
                sock.close()

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.served += 1
            self.held.wait()
            there, back = self.plan.pop(0) if self.plan else (1 << 60, 1 << 60)
            try:
                agent = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self._pairs.append((client, agent))
            self._start(self._carry, client, agent, there)
            self._start(self._carry, agent, client, back)

    def _carry(self, source: socket.socket, sink: socket.socket, left: int) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data[:left])
                left -= len(data)
                if left <= 0:
                    break
        except OSError:
            pass
        _break(source, sink)


def _break(*socks: socket.socket) -> None:
    for sock in socks:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


@pytest.fixture(scope="module", autouse=True)
def warm_uvloop() -> None:
    """libuv keeps a pipe for signals from its first loop on, for as long as the process lives."""
    uvloop = pytest.importorskip("uvloop")

    async def nothing_yet() -> None:
        pass

    uvloop.run(nothing_yet())


@pytest.fixture
def config_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return str(tmp_path / "config" / "holdfast")


@pytest.fixture
def net(agent: AgentUnderTest, config_dir: str, time_limit: None) -> Iterator[NetAgent]:
    made = NetAgent(agent)
    yield made
    made.stop()


@pytest.fixture
def cutter(net: NetAgent) -> Iterator[Cutter]:
    made = Cutter(net.port)
    yield made
    made.close()


def admit(net: NetAgent, config_dir: str, *, port: int | None = None, role: str = "operator") -> str:
    """Enrol this user as ``web1``; the name that the agent has given."""
    with net.owner() as host:
        invitation = host.invite(role=role).invitation  # type: ignore[arg-type]
    address = f"tls://127.0.0.1:{net.port if port is None else port}"
    result, _ = enrol("web1", invitation, address=address, config_dir=config_dir, as_name="anna@box", timeout_s=10)
    return result.principal


@asynccontextmanager
async def _connect_sync(address: str, **options: Any) -> AsyncIterator[Any]:
    host = await asyncio.to_thread(sync.connect, address, **options)
    try:
        yield Lifted(host)
    finally:
        await asyncio.to_thread(host.close)


Scenario = Callable[[Any], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture(params=["sync", "aio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a scenario, written once, on a connection of each face; ``aio`` on both loops."""
    connect: Any = _connect_sync if request.param == "sync" else aio.connect
    run: Any = asyncio.run
    if request.param == "uvloop":
        run = pytest.importorskip("uvloop").run

    def played(scenario: Scenario, address: str = "web1", **options: Any) -> None:
        async def whole() -> None:
            async with connect(address, **{"timeout": 10.0, **options}) as host:
                await asyncio.wait_for(scenario(host), 60)

        run(whole())

    return played


async def nothing(host: Any) -> None:
    """A scenario that is never reached, or asks for nothing."""


# --- getting in ------------------------------------------------------------------------------------------------------


def test_a_host_is_reached_by_its_name_and_by_its_address(net: NetAgent, config_dir: str, play: Play) -> None:
    assert admit(net, config_dir) == "anna@box"

    async def scenario(host: Any) -> None:
        assert (await host.run(["cat"], input=b"hello")).stdout == b"hello"

    play(scenario)
    play(scenario, f"tls://127.0.0.1:{net.port}")


def test_a_name_may_stand_for_a_socket(net: NetAgent, config_dir: str, play: Play) -> None:
    Hosts.load(config_dir).add(HostEntry("here", f"unix://{net.under_test.socket_path}"))

    async def scenario(host: Any) -> None:
        assert (await host.run(["echo", "x"])).stdout == b"x\n"

    play(scenario, "here")


def test_an_agent_that_was_not_enrolled_with_is_not_asked(config_dir: str, play: Play) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with pytest.raises(Unauthorized, match="not enrolled with tls:") as caught:
            play(nothing, f"tls://127.0.0.1:{listener.getsockname()[1]}")
        assert (caught.value.code, caught.value.ran) == (200, "no")
        with pytest.raises(BlockingIOError):
            listener.accept()
    with pytest.raises(ConnectFailed, match="unknown host 'web9'") as unknown:
        play(nothing, "web9")
    assert unknown.value.layer == "name"


def test_an_invitation_of_another_agent_sends_nothing(net: NetAgent, config_dir: str, tmp_path: Path) -> None:
    with net.owner() as host:
        invitation = host.invite().invitation
    other_dir = tmp_path / "other"
    other_dir.mkdir(mode=0o700)
    other = NetAgent(AgentUnderTest(other_dir))
    try:
        address = f"tls://127.0.0.1:{other.port}"
        with pytest.raises(Unauthorized, match="is not the one of the invitation"):
            enrol("web1", invitation, address=address, config_dir=config_dir, timeout_s=10)
        assert not list(Hosts.load(config_dir))
    finally:
        other.stop()
    result, entry = enrol("web1", invitation, config_dir=config_dir, timeout_s=10)
    assert (result.role, entry.address) == ("operator", f"tls://127.0.0.1:{net.port}")


def test_an_invitation_is_not_used_up_for_a_name_that_is_taken(net: NetAgent, config_dir: str) -> None:
    Hosts.load(config_dir).add(HostEntry("web1", "local"))
    with net.owner() as host:
        invitation = host.invite().invitation
        with pytest.raises(SettingsError, match="stands for local already"):
            enrol("web1", invitation, config_dir=config_dir, timeout_s=10)
        with pytest.raises(SettingsError, match="cannot name a host"):
            enrol("we b", invitation, config_dir=config_dir, timeout_s=10)
        assert not host.principals()
    with pytest.raises(InvitationError):
        enrol("web2", invitation[:-3], config_dir=config_dir, timeout_s=10)
    enrol("web2", invitation, config_dir=config_dir, timeout_s=10)


# --- what is final ---------------------------------------------------------------------------------------------------


def test_a_revoked_client_is_told_and_does_not_try_again(net: NetAgent, config_dir: str, play: Play) -> None:
    principal = admit(net, config_dir)
    changes: list[holdfast.LinkChange] = []

    async def scenario(host: Any) -> None:
        job = await host.start(["sleep", "60"])

        def revoke() -> None:
            with net.owner() as owner:
                owner.revoke(principal)

        await asyncio.to_thread(revoke)
        before = time.monotonic()
        with pytest.raises(Unauthorized) as caught:
            await job.wait(timeout=5)
        assert time.monotonic() - before < 2
        assert caught.value.code in (200, 202)
        with pytest.raises(Unauthorized):
            await host.status()
        assert changes == []

    play(scenario, on_link_event=changes.append)
    with pytest.raises(Unauthorized) as again:
        play(nothing)
    assert again.value.ran == "no"


def test_one_who_was_revoked_meanwhile_finds_out_when_the_line_is_back(
    net: NetAgent, cutter: Cutter, config_dir: str, play: Play
) -> None:
    principal = admit(net, config_dir, port=cutter.port)

    async def scenario(host: Any) -> None:
        job = await host.start(["sleep", "60"])
        cutter.held.clear()
        cutter.cut()

        def revoke() -> None:
            with net.owner() as owner:
                owner.revoke(principal)

        await asyncio.to_thread(revoke)
        cutter.held.set()
        with pytest.raises(Unauthorized):
            await job.wait(timeout=20)
        served = cutter.served
        await asyncio.sleep(1.0)
        assert cutter.served == served

    play(scenario)


def test_another_key_at_the_same_address_is_never_accepted(
    net: NetAgent, cutter: Cutter, config_dir: str, tmp_path: Path, play: Play
) -> None:
    """S6, also in the middle of a resume."""
    admit(net, config_dir, port=cutter.port)
    other_dir = tmp_path / "other"
    other_dir.mkdir(mode=0o700)
    other = NetAgent(AgentUnderTest(other_dir))
    try:

        async def scenario(host: Any) -> None:
            job = await host.start(["sleep", "60"])
            cutter.target = other.port
            cutter.cut()
            with pytest.raises(KeyChanged, match="holdfast host rm web1"):
                await job.wait(timeout=20)

        play(scenario)
        with pytest.raises(KeyChanged, match="holdfast host add web1 INVITE"):
            play(nothing)
    finally:
        cutter.target = net.port
        other.stop()


# --- what is not -----------------------------------------------------------------------------------------------------


def test_a_stream_goes_on_after_cuts_at_any_place(net: NetAgent, cutter: Cutter, config_dir: str, play: Play) -> None:
    admit(net, config_dir, port=cutter.port)
    cutter.plan = [
        (1 << 60, 700_000),
        (1 << 60, 90),
        (300, 1 << 60),
        (1 << 60, 1_200),
        (1 << 60, 2 * MIB),
        (2_000, 2_000),
    ]
    changes: list[str] = []

    async def scenario(host: Any) -> None:
        job = await host.start(["sh", "-c", "i=0; while [ $i -lt 400000 ]; do echo line $i; i=$((i+1)); done"])
        got = b"".join([chunk async for _, chunk in job.output()])
        assert got == b"".join(b"line %d\n" % n for n in range(400_000))
        assert await job.wait() == 0

    play(scenario, on_link_event=lambda change: changes.append(change.kind))
    assert changes.count("lost") >= 2
    assert changes[-1] == "resumed"
    assert cutter.plan == []


@pytest.mark.parametrize("passed", [(1, 1 << 60), (200, 1 << 60), (1 << 60, 1), (1 << 60, 300), (600, 1 << 60)])
def test_a_cut_before_the_welcome_is_tried_again(
    net: NetAgent, cutter: Cutter, config_dir: str, play: Play, passed: tuple[int, int]
) -> None:
    admit(net, config_dir, port=cutter.port)
    cutter.plan = [passed]
    before = cutter.served

    async def scenario(host: Any) -> None:
        assert (await host.run(["echo", "x"])).stdout == b"x\n"

    play(scenario)
    assert cutter.served == before + 2


def test_a_restarted_agent_is_found_again(net: NetAgent, config_dir: str, play: Play) -> None:
    admit(net, config_dir)
    port = net.port

    async def scenario(host: Any) -> None:
        job = await host.start(["sh", "-c", "read line; echo $line"], stdin=True)

        def restart() -> None:
            net.process.kill()
            net.process.wait()
            net.flags = ("--listen", f"tls://127.0.0.1:{port}")
            eventually(net.answers)

        await asyncio.to_thread(restart)
        await job.stdin.write(b"still here\n")
        assert b"".join([chunk async for _, chunk in job.output()]) == b"still here\n"

    play(scenario)


# --- what does not answer --------------------------------------------------------------------------------------------


@pytest.fixture
def pinned(net: NetAgent, config_dir: str) -> HostEntry:
    """Enrolled; where it is reached is for the test to say."""
    admit(net, config_dir)
    return Hosts.load(config_dir).find("web1")


def point(config_dir: str, entry: HostEntry, port: int) -> None:
    Hosts.load(config_dir).replace(HostEntry(entry.name, f"tls://127.0.0.1:{port}", entry.key))


def test_one_limit_holds_for_all_of_connecting(pinned: HostEntry, config_dir: str, play: Play) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        point(config_dir, pinned, mute.getsockname()[1])
        before = time.monotonic()
        with pytest.raises(ConnectFailed, match="the TLS handshake does not end") as caught:
            play(nothing, timeout=0.5)
        assert 0.4 < time.monotonic() - before < 1.5
        assert caught.value.layer == "tls"


def test_a_closed_port_is_told_at_once(pinned: HostEntry, config_dir: str, play: Play) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        point(config_dir, pinned, closed.getsockname()[1])
    before = time.monotonic()
    with pytest.raises(ConnectFailed, match="connection refused") as caught:
        play(nothing)
    assert time.monotonic() - before < 1
    assert (caught.value.layer, caught.value.ran) == ("port", "no")


def test_something_else_that_listens_is_named(pinned: HostEntry, config_dir: str, play: Play) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        point(config_dir, pinned, other.getsockname()[1])

        def answer() -> None:
            peer, _ = other.accept()
            with peer:
                peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                while peer.recv(4096):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConnectFailed, match="the TLS handshake failed") as caught:
            play(nothing)
        thread.join()
        assert caught.value.layer == "tls"


# --- through ssh -----------------------------------------------------------------------------------------------------


@pytest.fixture
def far(
    agent: AgentUnderTest, tmp_path: Path, config_dir: str, monkeypatch: pytest.MonkeyPatch, time_limit: None
) -> Iterator[sshd.Sshd]:
    if sshd.missing():
        pytest.skip(sshd.missing())
    agent.connect()
    with sshd.Sshd(tmp_path / "sshd", agent.state_dir) as running:
        monkeypatch.setenv("PATH", f"{running.bin_dir}:{os.environ['PATH']}")
        yield running


def test_a_host_behind_ssh_is_resumed_and_leaves_no_process(far: sshd.Sshd, config_dir: str, play: Play) -> None:
    changes: list[str] = []

    async def scenario(host: Any) -> None:
        job = await host.start(["sh", "-c", "for i in $(seq 30); do echo $i; sleep 0.05; done"])
        got = b""
        async for _, chunk in job.output():
            if not got:
                far.cut()
            got += chunk
        assert got == b"".join(b"%d\n" % number for number in range(1, 31))

    play(scenario, f"ssh://{sshd.HOST}", on_link_event=lambda change: changes.append(change.kind))
    assert changes == ["lost", "resumed"]


def test_what_ssh_says_is_the_message(far: sshd.Sshd, play: Play) -> None:
    with pytest.raises(ConnectFailed, match="Permission denied") as caught:
        play(nothing, "ssh://stranger")
    assert (caught.value.layer, caught.value.ran) == ("ssh", "no")


# --- processes and numbers -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")  # what is tested is just that
def test_a_forked_child_has_no_handles_and_spoils_none(net: NetAgent, config_dir: str) -> None:
    admit(net, config_dir)
    with holdfast.connect("web1") as host:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                try:
                    host.status()
                    word = b"no error"
                except holdfast.ClosedError:
                    word = b"closed"
                host.close()
                with holdfast.connect("web1") as own:
                    word += b" " + own.run(["echo", "mine"]).stdout
                os.write(write, word)
            except BaseException as error:
                os.write(write, repr(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read, "rb") as said:
            assert said.read() == b"closed mine\n"
        assert host.run(["echo", "ours"]).stdout == b"ours\n"


def test_threads_share_one_connection_while_it_is_cut(net: NetAgent, cutter: Cutter, config_dir: str) -> None:
    admit(net, config_dir, port=cutter.port)
    wrong: list[object] = []

    def work(host: holdfast.Host, number: int) -> None:
        for turn in range(8):
            data = os.urandom(50_000) + b"%d %d" % (number, turn)
            done = host.run(["cat"], input=data)
            if done.stdout != data:
                wrong.append((number, turn))

    with holdfast.connect("web1") as host:
        threads = [threading.Thread(target=work, args=(host, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            time.sleep(0.2)
            cutter.cut()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_hundred_connections_at_once(net: NetAgent, config_dir: str, loop: str) -> None:
    """More than the agent lets in at one moment: those it sheds come again."""
    admit(net, config_dir)

    async def one() -> bytes:
        async with aio.connect("web1", timeout=20.0) as host:
            return bytes((await host.run(["echo", "x"])).stdout or b"")

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*[one() for _ in range(100)])

    run = asyncio.run if loop == "asyncio" else pytest.importorskip("uvloop").run
    assert run(all_of_them()) == [b"x\n"] * 100


def test_closing_does_not_wait_for_a_connection_that_is_being_made(
    net: NetAgent, cutter: Cutter, config_dir: str, play: Play
) -> None:
    admit(net, config_dir, port=cutter.port)

    async def scenario(host: Any) -> None:
        await host.start(["sleep", "60"])
        served = cutter.served
        cutter.held.clear()
        cutter.cut()
        await asyncio.to_thread(eventually, lambda: cutter.served > served)
        before = time.monotonic()
        await host.close()
        assert time.monotonic() - before < 1.0
        cutter.held.set()

    play(scenario)


def test_the_command_line_takes_names(net: NetAgent, config_dir: str) -> None:
    admit(net, config_dir)
    cli = Cli(net.under_test.state_dir, XDG_CONFIG_HOME=str(Path(config_dir).parent))
    done = cli("run", "web1", "--", "echo", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")
    done = cli("run", "tls://127.0.0.1:1", "--", "true")
    assert done.returncode == 255
    assert done.stderr.startswith(b"holdfast: not enrolled with tls://127.0.0.1:1")


def test_errors_of_both_faces_are_the_same_class() -> None:
    assert issubclass(KeyChanged, Unauthorized)
    assert issubclass(Unauthorized, HoldfastError)
