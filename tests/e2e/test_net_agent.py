"""A real agent on the network, against a client that shares no line with it (``net_oracle``)."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import Conflict, HoldfastError
from holdfast.wire.messages import StatusAnswer
from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually
from tests.e2e.net_oracle import CLOSE, HELLO, REQ, RES, Invited, Key, Line, enrol, refused

UNAUTHENTICATED, REVOKED, BUSY = 200, 202, 403


class NetAgent:
    """``holdfast agent run --listen tls://127.0.0.1:0`` and what is asked of it by its owner."""

    def __init__(self, under_test: AgentUnderTest, *flags: str, **env: str) -> None:
        self.under_test = under_test
        self.cli = Cli(under_test.state_dir, **env)
        self.flags = flags or ("--listen", "tls://127.0.0.1:0")
        self.errors = Path(under_test.state_dir).parent / "errors.txt"
        self.process = self.start()
        self.log = Path(under_test.state_dir) / "agent.log"
        self.port = int(self.status().listeners[0].rpartition(":")[2]) if "--listen" in self.flags else 0

    def start(self) -> subprocess.Popen[bytes]:
        """Start it and wait until it serves."""
        with open(self.errors, "ab") as errors:
            process = subprocess.Popen(
                self.cli.command("agent", "run", "--state-dir", self.under_test.state_dir, *self.flags),
                env=self.cli.env, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            )  # fmt: skip
        eventually(lambda: process.poll() is not None or self.answers())
        assert process.poll() is None, self.said()
        return process

    def answers(self) -> bool:
        """Whether it serves its owner."""
        try:
            self.status()
        except HoldfastError:
            return False
        return True

    def owner(self) -> holdfast.Host:
        """A connection over the local socket."""
        return holdfast.connect(state_dir=self.under_test.state_dir, start=False, timeout=5.0)

    def status(self) -> StatusAnswer:
        """What it says of itself."""
        with self.owner() as host:
            return host.status()

    def network(self, name: str) -> int:
        """One of its counters."""
        return self.status().network[name]

    def invite(self, role: str = "operator", ttl: float = 600.0) -> Invited:
        """A fresh invitation."""
        with self.owner() as host:
            return Invited(host.invite(role=role, ttl=ttl).invitation)  # type: ignore[arg-type]

    def enrolled(self, key: Key, name: str = "anna@box", role: str = "operator") -> str:
        """Enrol this key; its name there."""
        answer = enrol(self.port, self.invite(role), key, name)
        assert answer["enrol"] == "enrolled", answer
        return str(answer["principal"])

    def said(self) -> str:
        """All that it has written."""
        return self.errors.read_text()

    def stop(self) -> None:
        """End it, jobs too."""
        self.under_test.stop()
        self.process.wait(15)


@pytest.fixture
def net(agent: AgentUnderTest, time_limit: None) -> Iterator[NetAgent]:
    made = NetAgent(agent)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Key]:
    place = tmp_path_factory.mktemp("keys")
    return Key(place, "anna"), Key(place, "bert")


# --- who gets in -----------------------------------------------------------------------------------------------------


def test_an_invited_key_enrols_and_runs_a_command(net: NetAgent, keys: tuple[Key, Key]) -> None:
    anna, _ = keys
    invited = net.invite()
    assert invited.address == f"tls://127.0.0.1:{net.port}"
    assert enrol(net.port, invited, anna)["principal"] == "anna@box"
    with Line(net.port, anna) as line:
        assert line.socket.selected_alpn_protocol() == "holdfast/1"
        assert line.socket.version() == "TLSv1.3"
        assert line.greet()["principal"] == "anna@box"
        line.send(REQ, {"op": "list"}, stream=1)
        assert line.answer()[0] == RES
    with net.owner() as host:
        (principal,) = host.principals()
    assert (principal.name, principal.role, principal.state) == ("anna@box", "operator", "active")
    assert principal.seen_unix_s is not None
    assert re.fullmatch(r"tls://127\.0\.0\.1:[0-9]+", net.status().listeners[0])
    assert f"tls://127.0.0.1:{net.port}" in net.said(), "the log tells the real port"


def test_a_key_that_is_not_enrolled_is_refused_before_hello(net: NetAgent, keys: tuple[Key, Key]) -> None:
    """S5: no certificate, an unknown one, one issued by an enrolled key, older TLS, other or no ALPN."""
    anna, bert = keys
    net.enrolled(anna)
    issued = Key(Path(net.under_test.state_dir).parent, "issued", issuer=anna)
    assert refused(net.port, None) == f"CLOSE {UNAUTHENTICATED}"
    assert "UNKNOWN_CA" in refused(net.port, bert).upper()
    assert refused(net.port, issued) in (f"CLOSE {UNAUTHENTICATED}", "TLSV1_ALERT_UNKNOWN_CA")
    assert "VERSION" in refused(net.port, anna, version=ssl.TLSVersion.TLSv1_2)
    for alpn in (None, "h2", "holdfast/2"):
        assert refused(net.port, anna, alpn=alpn) in ("closed", "[Errno 104] Connection reset by peer"), alpn
    with Line(net.port, anna) as line:
        line.greet()


def test_no_session_can_be_resumed(net: NetAgent, keys: tuple[Key, Key]) -> None:
    net.enrolled(keys[0])
    with Line(net.port, keys[0]) as line:
        line.greet()
        line.send(REQ, {"op": "list"}, stream=1)
        line.answer()
        session = line.socket.session
        assert session is None or not session.has_ticket


def test_it_is_the_same_agent_after_a_restart(net: NetAgent, keys: tuple[Key, Key]) -> None:
    net.enrolled(keys[0])
    waiting = net.invite("viewer")
    with Line(net.port, keys[0]) as line:
        before = line.agent_der
    os.kill(net.process.pid, signal.SIGKILL)
    net.process.wait()
    eventually(net.answers)
    assert net.status().listeners == [f"tls://127.0.0.1:{net.port}"], "the keeper starts it on the same port"
    with Line(net.port, keys[0]) as line:
        assert line.greet()["principal"] == "anna@box"
        assert line.agent_der == before
    assert enrol(net.port, waiting, keys[1], "bert@box")["role"] == "viewer"


# --- invitations -----------------------------------------------------------------------------------------------------


def test_an_invitation_is_for_one_key_and_five_wrong_tries(net: NetAgent, keys: tuple[Key, Key]) -> None:
    """S17."""
    anna, bert = keys
    invited = net.invite()
    first = enrol(net.port, invited, anna)
    assert enrol(net.port, invited, anna)["principal"] == first["principal"]
    assert enrol(net.port, invited, bert)["code"] == UNAUTHENTICATED
    other = net.invite()
    for _ in range(5):
        assert enrol(net.port, other, bert, secret=bytes(16))["code"] == UNAUTHENTICATED
    assert enrol(net.port, other, bert)["code"] == UNAUTHENTICATED
    with net.owner() as host:
        assert [each.name for each in host.principals()] == ["anna@box"]


def test_an_invitation_ends(net: NetAgent, keys: tuple[Key, Key]) -> None:
    invited = net.invite(ttl=1.0)
    time.sleep(1.1)
    assert enrol(net.port, invited, keys[0])["code"] == UNAUTHENTICATED


def test_secrets_are_in_no_log_and_on_disk_for_the_owner_alone(net: NetAgent, keys: tuple[Key, Key]) -> None:
    invited = net.invite()
    enrol(net.port, invited, keys[0], secret=bytes(16))
    enrol(net.port, invited, keys[0])
    told = net.said() + net.log.read_text()
    assert invited.id in told
    assert invited.secret.hex() not in told
    assert "hf1." not in told
    state = Path(net.under_test.state_dir)
    for path in [state / "principals.json", state / "invitations.json", *(state / "identity").iterdir()]:
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert (state / "identity").stat().st_mode & 0o777 == 0o700


def test_a_name_is_not_given_to_another_key(net: NetAgent, keys: tuple[Key, Key]) -> None:
    """S7."""
    anna, bert = keys
    net.enrolled(anna)
    with net.owner() as host:
        host.revoke("anna@box")
    assert net.enrolled(bert, "anna@box") == "anna@box-2"
    assert enrol(net.port, net.invite(), anna)["code"] == REVOKED


def test_without_a_listener_nobody_is_invited(agent: AgentUnderTest, time_limit: None) -> None:
    with agent.connect() as host:
        assert host.status().listeners == []
        with pytest.raises(Conflict, match="--listen"):
            host.invite()
        assert host.principals() == ()
    assert not (Path(agent.state_dir) / "identity").exists()


# --- revoking --------------------------------------------------------------------------------------------------------


def test_revoking_ends_connections_within_a_second_and_waiting_jobs(net: NetAgent, keys: tuple[Key, Key]) -> None:
    """S8."""
    anna, bert = keys
    net.enrolled(anna)
    net.enrolled(bert, "bert@box")
    with Line(net.port, anna) as first, Line(net.port, anna) as second, Line(net.port, bert) as other:
        for line in (first, second, other):
            line.greet()
        with net.owner() as host:
            begin = time.monotonic()
            answer = host.revoke("anna@box")
        assert answer.connections == 2
        kind, header, _ = first.receive()
        assert (kind, header["code"]) == (CLOSE, REVOKED)
        assert first.closed_within(1.0)
        assert second.closed_within(1.0)
        assert time.monotonic() - begin <= 1.0
        assert refused(net.port, anna) != ""
        other.send(REQ, {"op": "list"}, stream=1)
        assert other.answer()[0] == RES
    with net.owner() as host:
        states = {each.name: each.state for each in host.principals()}
    assert states == {"anna@box": "revoked", "bert@box": "active"}


def test_a_peer_that_takes_nothing_is_ended_as_soon(net: NetAgent, keys: tuple[Key, Key]) -> None:
    net.enrolled(keys[0])
    with Line(net.port, keys[0]) as line:
        line.greet()
        for stream in range(1, 2001, 2):
            line.send(REQ, {"op": "status"}, stream=stream)  # answers that nobody reads
        with net.owner() as host:
            host.revoke("anna@box")
        begin = time.monotonic()
        eventually(lambda: net.network("remote_now") == 0)
        assert time.monotonic() - begin <= 1.0


# --- strangers -------------------------------------------------------------------------------------------------------


def test_handshakes_that_drag_on_are_ended_within_five_seconds(net: NetAgent, keys: tuple[Key, Key]) -> None:
    """L8 in small: 300 that send a byte a second, from twenty sources; an honest client beside them."""
    net.enrolled(keys[0])
    begin = time.monotonic()
    slow = []
    for number in range(300):
        try:
            slow.append(
                socket.create_connection(("127.0.0.1", net.port), 5, source_address=(f"127.0.1.{number % 20 + 1}", 0))
            )
        except OSError:
            continue  # shed by RST while it connected
    worst = 0.0
    hello = iter(bytes.fromhex("160301020001 0001fc0303") + bytes(500))  # a record and a ClientHello, as they begin
    while time.monotonic() - begin < 5.5:
        byte = bytes([next(hello)])
        for sock in slow:
            try:
                sock.send(byte)
            except OSError:
                continue
        start = time.monotonic()
        with Line(net.port, keys[0]) as line:
            line.greet()
        worst = max(worst, time.monotonic() - start)
        time.sleep(0.3)
    assert worst <= 0.5
    for sock in slow:
        assert _ends(sock), "a slow handshake is still open"
        sock.close()
    assert net.network("unauthenticated_now") == 0
    assert net.network("handshakes_slow") > 0


def test_a_greeting_that_does_not_come_is_not_waited_for(net: NetAgent, keys: tuple[Key, Key]) -> None:
    net.enrolled(keys[0])
    with Line(net.port, keys[0]) as line:
        begin = time.monotonic()
        assert line.closed_within(6.0)
        assert 4.5 <= time.monotonic() - begin <= 5.5
    with Line(net.port, alpn="holdfast-enrol/1") as line:
        net.invite()
    net.invite()
    with Line(net.port, alpn="holdfast-enrol/1") as line:
        begin = time.monotonic()
        assert line.closed_within(6.0)
        assert 4.5 <= time.monotonic() - begin <= 5.5


def test_a_flood_from_one_source_is_shed_before_tls(net: NetAgent, keys: tuple[Key, Key]) -> None:
    """L9 in small."""
    net.enrolled(keys[0])
    overflows = _listen_overflows()
    flood = []
    worst = 0.0
    for round_ in range(20):
        for _ in range(100):
            sock = socket.socket()
            sock.bind(("127.0.2.1", 0))
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", net.port))
            flood.append(sock)
        start = time.monotonic()
        with Line(net.port, keys[0]) as line:
            line.greet()
        worst = max(worst, time.monotonic() - start)
        if round_ % 5 == 4:
            for sock in flood:
                sock.close()
            flood.clear()
    assert worst <= 0.5
    assert net.network("shed_source_limit") > 1000
    assert _listen_overflows() == overflows


def test_connections_that_merely_end_cost_a_source_nothing(net: NetAgent, keys: tuple[Key, Key]) -> None:
    for number in range(1, 31):  # a few at a time, or a busy agent has more of them at once than a source may have
        socket.create_connection(("127.0.0.1", net.port), 5, source_address=("127.0.3.1", 0)).close()
        if number % 5 == 0:
            eventually(lambda: net.network("unauthenticated_now") == 0)
    assert net.network("shed_penalty") == 0
    net.enrolled(keys[0])
    with Line(net.port, keys[0], source="127.0.3.1") as line:
        line.greet()


def test_garbage_and_wrong_keys_cost_a_source_its_welcome_for_a_while(net: NetAgent, keys: tuple[Key, Key]) -> None:
    net.enrolled(keys[0])
    for _ in range(2):  # 10 s each
        with socket.create_connection(("127.0.0.1", net.port), 5, source_address=("127.0.4.1", 0)) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert _ends(sock)
    for _ in range(4):  # 5 s each, less what has passed; 15 s bite
        refused(net.port, keys[1], source="127.0.4.2")
    for source in ("127.0.4.1", "127.0.4.2"):
        assert "reset" in refused(net.port, keys[0], source=source).lower()
    assert net.network("shed_penalty") == 2
    with Line(net.port, keys[0]) as line:
        line.greet()


def test_a_principal_has_so_many_connections(agent: AgentUnderTest, keys: tuple[Key, Key], time_limit: None) -> None:
    config = Path(agent.state_dir).parent / "limits.toml"
    config.write_text("max_connections_per_principal = 3\n")
    net = NetAgent(agent, HOLDFAST_CONFIG=str(config))
    try:
        net.enrolled(keys[0])
        lines = [Line(net.port, keys[0]) for _ in range(3)]
        for line in lines:
            line.greet()
        assert refused(net.port, keys[0]) == f"CLOSE {BUSY}"
        lines.pop().socket.close()
        eventually(lambda: net.network("remote_now") == 2)
        with Line(net.port, keys[0]) as line:
            line.greet()
        for line in lines:
            line.socket.close()
    finally:
        net.stop()


def test_frames_before_hello_are_not_read(net: NetAgent, keys: tuple[Key, Key]) -> None:
    net.enrolled(keys[0])
    with Line(net.port, keys[0]) as line:
        line.send(REQ, {"op": "list"}, stream=1)
        kind, header, _ = line.receive()
        assert kind == CLOSE
        assert header["code"] == 100
        assert line.closed_within(2.0)
    with Line(net.port, keys[0]) as line:
        line.send(HELLO, {"lowest": 1, "highest": 1, "instance": "x" * 5000})
        assert line.receive()[0] == CLOSE


# --- descriptors -----------------------------------------------------------------------------------------------------


def test_without_descriptors_those_who_are_here_are_served(agent: AgentUnderTest, keys: tuple[Key, Key]) -> None:
    """R11 in small: a limit of 256 descriptors and more connections than that."""
    net = NetAgent.__new__(NetAgent)
    net.under_test, net.flags = agent, ("--listen", "tls://127.0.0.1:0")
    net.errors = Path(agent.state_dir).parent / "errors.txt"
    net.cli = Cli(agent.state_dir)
    command = net.cli.command
    net.cli.command = lambda *args: ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", *command(*args)]  # type: ignore[method-assign]
    net.process = net.start()
    net.port = int(net.status().listeners[0].rpartition(":")[2])
    try:
        net.enrolled(keys[0])
        with Line(net.port, keys[0]) as honest, net.owner() as host:
            honest.greet()
            local = [_local(agent.socket_path) for _ in range(300)]
            time.sleep(0.3)
            honest.send(REQ, {"op": "list"}, stream=1)
            assert honest.answer()[0] == RES
            assert host.run(["echo", "still here"]).stdout == b"still here\n"
            assert host.status().network["shed_descriptors"] > 0
            for sock in local:
                sock.close()
            begin = time.monotonic()
            eventually(net.answers)
            with Line(net.port, keys[0]) as line:
                line.greet()
            assert time.monotonic() - begin <= 2.0
    finally:
        net.stop()


# --- flags -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--listen", "tls://0.0.0.0:0"), "--any-address"),
        (("--listen", "tls://[::]:0"), "--any-address"),
        (("--listen", "unix:///tmp/x"), "tls://"),
        (("--listen", "tls://256.1.1.1:0"), "256.1.1.1"),
        (("--metrics", "9100"), "ADDR:PORT"),
        (("--metrics", "0.0.0.0:0"), "--any-address"),
    ],
)
def test_an_address_that_will_not_do_is_one_line(agent: AgentUnderTest, flags: tuple[str, ...], word: str) -> None:
    """S4."""
    cli = Cli(agent.state_dir)
    done = subprocess.run(
        cli.command("agent", "run", "--state-dir", agent.state_dir, *flags),
        env=cli.env,
        capture_output=True,
        timeout=20,
    )
    assert done.returncode != 0
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert word in lines[0]
    assert not (Path(agent.state_dir) / "journal.db").exists()


def test_every_address_is_served_when_that_is_said_and_is_warned_of(agent: AgentUnderTest, time_limit: None) -> None:
    net = NetAgent(agent, "--listen", "tls://0.0.0.0:0", "--any-address")
    try:
        assert "warning: tls://0.0.0.0:0 is every address" in net.said()
        with net.owner() as host, pytest.raises(HoldfastError, match="--address"):
            host.invite()
        with net.owner() as host:
            assert Invited(host.invite(address="box.example").invitation).address == f"tls://box.example:{net.port}"
            assert Invited(host.invite(address="tls://box.example:99").invitation).address == "tls://box.example:99"
    finally:
        net.stop()


def test_prometheus_reads_the_counters(agent: AgentUnderTest, time_limit: None) -> None:
    net = NetAgent(agent, "--listen", "tls://127.0.0.1:0", "--metrics", "127.0.0.1:0")
    try:
        refused(net.port, None)
        _, url = net.status().listeners
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/metrics", url)
        assert url in net.said(), "the log tells the real port"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        assert re.search(r"^holdfast_network_unauthenticated_total 1\.0$", text, re.MULTILINE)
        assert re.search(r"^holdfast_jobs 0\.0$", text, re.MULTILINE)
        told = set(re.findall(r"^holdfast_(\w+?)(?:_total)? ", text, re.MULTILINE))
        assert {*net.status().counters} - {"idle_shims"} <= told, "what the status counts"
    finally:
        net.stop()


def test_it_leaves_within_ten_seconds_with_clients_connected(net: NetAgent, keys: tuple[Key, Key]) -> None:
    net.enrolled(keys[0])
    with Line(net.port, keys[0]) as line, socket.create_connection(("127.0.0.1", net.port)):
        line.greet()
        net.process.terminate()
        begin = time.monotonic()
        assert net.process.wait(10) == 0
        assert time.monotonic() - begin <= 10


def test_when_a_key_was_last_seen_is_known_to_the_next_agent(net: NetAgent, keys: tuple[Key, Key]) -> None:
    net.enrolled(keys[0])
    with Line(net.port, keys[0]) as line:
        line.greet()
    eventually(lambda: net.network("remote_now") == 0)
    net.process.terminate()
    assert net.process.wait(10) == 0
    net.process = net.start()
    with net.owner() as host:
        (principal,) = host.principals()
    assert principal.seen_unix_s is not None
    assert 0 <= time.time() - principal.seen_unix_s < 60


def test_agent_and_keeper_leave_no_core_and_commands_keep_their_limit(net: NetAgent) -> None:
    """S19."""
    status = net.status()
    for pid in (status.agent["pid"], status.keeper["pid"]):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 ", limits), limits
    ours = subprocess.run(["sh", "-c", "ulimit -c"], capture_output=True, check=True).stdout
    with net.owner() as host:
        assert host.run(["sh", "-c", "ulimit -c"]).stdout == ours


def test_no_option_or_variable_turns_authentication_off() -> None:
    """S3: every option of ``agent run`` and every setting by name; a new one has to be looked at here."""
    from holdfast.cli.agent import run
    from holdfast.config import VARIABLES, Settings

    options = {name for parameter in run.params for name in parameter.opts}
    assert options == {"--state-dir", "--embedded", "--keeper-fd", "--listen", "--any-address", "--metrics"}
    network = {
        field
        for field in Settings.__struct_fields__
        if re.search("listen|address|metrics|connections|strangers", field)
    }
    assert network == {
        "listen", "any_address", "metrics", "max_connections", "max_connections_per_principal", "max_strangers",
        "max_strangers_per_source",
    }  # fmt: skip
    assert not [
        name for name in {*Settings.__struct_fields__, *VARIABLES} if re.search("(?i)auth|insecure|trust", name)
    ]


# --- helpers ---------------------------------------------------------------------------------------------------------


def _ends(sock: socket.socket, within_s: float = 1.0) -> bool:
    """Whether the agent has ended this connection, or does so in time."""
    sock.settimeout(within_s)
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def _local(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock


def _listen_overflows() -> int:
    """Connections that a full accept queue of any listener of this host has cost (proc(5), TcpExt ListenOverflows)."""
    names, values = [
        line.split() for line in Path("/proc/net/netstat").read_text().splitlines() if line.startswith("TcpExt:")
    ]
    return int(values[names.index("ListenOverflows")])
