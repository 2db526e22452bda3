"""The chaos proxy passes bytes on untouched, and its cuts are what they are called."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.lab.chaos import ChaosProxy, run_proxy
from holdfast.lab.chaos_plan import CLEAN, ConnectionPlan, Cut, Kind, Options, SeededPlan
from holdfast.lab.proxy import Event
from tests.e2e.harness.echo import Echo, ask, connect, ending, reset


@pytest.fixture(params=["tls", "unix"])
def echo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Echo]:
    """One that listens on TCP (its address says tls://: any TCP) or on a Unix socket."""
    if request.param == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "echo.sock"))
        listener.listen()
        made = Echo(listener, f"unix://{tmp_path}/echo.sock")
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        made = Echo(listener, f"tls://127.0.0.1:{listener.getsockname()[1]}")
    yield made
    made.close()


@pytest.fixture
def listen(echo: Echo, tmp_path: Path) -> str:
    """Where a proxy may listen: the same kind of address."""
    return f"unix://{tmp_path}/proxy.sock" if echo.address.startswith("unix") else "tls://127.0.0.1:0"


class Scripted:
    """The plans of the first connections; later ones are left alone."""

    def __init__(self, *plans: ConnectionPlan) -> None:
        self._plans: Sequence[ConnectionPlan] = plans

    def connection(self, number: int) -> ConnectionPlan:
        return self._plans[number] if number < len(self._plans) else CLEAN


def cut(kind: Kind, **options: object) -> Scripted:
    return Scripted(ConnectionPlan(Cut(kind, **options)))  # type: ignore[arg-type]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def refused(address: str) -> bool:
    """Whether a connection ends at once, perhaps while it is made."""
    try:
        with connect(address) as conn:
            return ending(conn) in ((b"", "fin"), (b"", "rst"))
    except ConnectionError:
        return True


def test_bytes_pass_untouched_and_ends_are_passed_on(echo: Echo, listen: str) -> None:
    data = os.urandom(3_000_000)
    events: list[Event] = []
    with ChaosProxy(listen, echo.address, on_event=events.append) as proxy:
        with connect(proxy.address) as conn:
            assert ask(conn, data) == data
            conn.shutdown(socket.SHUT_WR)
            assert ending(conn) == (b"", "fin")
        eventually(lambda: proxy.summary.closed == 1)
        eventually(lambda: echo.ends == ["fin"])
    assert bytes(echo.got) == data
    assert (proxy.summary.to_agent, proxy.summary.to_client) == (len(data), len(data))
    assert [(event.connection, event.what) for event in events] == [(0, "open"), (0, "closed")]
    assert (events[1].to_agent, events[1].to_client) == (len(data), len(data))


def test_a_reset_of_one_end_is_a_reset_for_the_other(echo: Echo, listen: str) -> None:
    with ChaosProxy(listen, echo.address) as proxy:
        conn = connect(proxy.address)
        assert ask(conn, b"x") == b"x"
        reset(conn)
        eventually(lambda: len(echo.ends) == 1)
    assert echo.ends == ["fin" if listen.startswith("unix") else "rst"]


@pytest.mark.parametrize(
    ("kind", "seen"), [(Kind.RST, "rst"), (Kind.FIN, "fin"), (Kind.TORN, "fin"), (Kind.SILENCE, "rst")]
)
def test_a_cut_comes_after_exactly_so_many_bytes(echo: Echo, listen: str, kind: Kind, seen: str) -> None:
    if listen.startswith("unix"):
        seen = "fin"  # there is no RST
    plan = cut(kind, to_client=1000, exact=True, silence_s=0.05)
    with ChaosProxy(listen, echo.address, plan) as proxy:
        with connect(proxy.address) as conn:
            assert ask(conn, b"a" * 1000) == b"a" * 1000
            assert ending(conn)[1] == seen
        with connect(proxy.address) as conn:
            assert ask(conn, b"again") == b"again"
        eventually(lambda: len(echo.ends) == 2)
    assert proxy.summary.cuts[kind] == proxy.summary.all_cuts == 1
    assert seen in echo.ends


def test_a_cut_that_is_not_exact_passes_on_what_has_come(echo: Echo, listen: str) -> None:
    with ChaosProxy(listen, echo.address, cut(Kind.FIN, to_agent=1)) as proxy, connect(proxy.address) as conn:
        conn.sendall(b"b" * 5000)
        ending(conn)
        eventually(lambda: len(echo.ends) == 1)
    assert bytes(echo.got) == b"b" * 5000


def test_the_side_that_reaches_its_number_first_decides(echo: Echo, listen: str) -> None:
    plan = cut(Kind.FIN, to_agent=10, to_client=1 << 40, exact=True)
    with ChaosProxy(listen, echo.address, plan) as proxy, connect(proxy.address) as conn:
        conn.sendall(b"0123456789abcdef")
        ending(conn)
        eventually(lambda: len(echo.ends) == 1)
    assert bytes(echo.got) == b"0123456789"


def test_an_endless_silence_keeps_both_sides_open_and_passes_nothing_on(echo: Echo, listen: str) -> None:
    plan = cut(Kind.SILENCE, to_client=5, exact=True, silence_s=None)
    with ChaosProxy(listen, echo.address, plan) as proxy:
        conn = connect(proxy.address)
        assert ask(conn, b"hello") == b"hello"
        eventually(lambda: proxy.summary.endless_silences == 1)
        conn.sendall(b"lost")
        conn.settimeout(0.1)
        assert ending(conn) == (b"", "nothing")
        reset(conn)
        time.sleep(0.1)
        assert echo.ends == [], "the other side has to find out by itself"
    eventually(lambda: len(echo.ends) == 1)
    assert bytes(echo.got) == b"hello"


def test_a_silence_ends(echo: Echo, listen: str) -> None:
    plan = cut(Kind.SILENCE, to_client=5, exact=True, silence_s=0.2)
    with ChaosProxy(listen, echo.address, plan) as proxy, connect(proxy.address) as conn:
        assert ask(conn, b"hello") == b"hello"
        begin = time.monotonic()
        assert ending(conn)[0] == b""
        assert 0.15 < time.monotonic() - begin < 2


def test_delay_and_rate(echo: Echo, listen: str) -> None:
    plan = Scripted(ConnectionPlan(delay_s=0.1), ConnectionPlan(rate_bytes_s=20_000))
    with ChaosProxy(listen, echo.address, plan) as proxy:
        for size in (1, 2000):
            with connect(proxy.address) as conn:
                begin = time.monotonic()
                assert ask(conn, b"x" * size) == b"x" * size
                assert ask(conn, b"y" * size) == b"y" * size
                assert time.monotonic() - begin >= (0.4 if size == 1 else 0.1)  # 0.1 s a way; or for the bytes before
        assert (proxy.summary.delayed, proxy.summary.throttled) == (1, 1)


def test_cuts_end_after_so_many(echo: Echo, listen: str) -> None:
    plan = SeededPlan(Options(seed=5, mean_bytes=100, kinds=(Kind.FIN, Kind.RST, Kind.TORN), early_share=0.0))
    with ChaosProxy(listen, echo.address, plan, most_cuts=7) as proxy:
        for _ in range(12):
            with connect(proxy.address) as conn:
                ask(conn, b"z" * 5000)
                conn.shutdown(socket.SHUT_WR) if conn.fileno() >= 0 and proxy.summary.all_cuts == 7 else None
        eventually(lambda: proxy.summary.all_cuts == 7)
        with connect(proxy.address) as conn:
            assert ask(conn, b"z" * 5000) == b"z" * 5000
    assert proxy.summary.all_cuts == 7


def test_a_cut_can_be_ordered_and_the_link_stays_down(echo: Echo, listen: str) -> None:
    with ChaosProxy(listen, echo.address) as proxy:
        with connect(proxy.address) as conn:
            assert ask(conn, b"x") == b"x"
            assert proxy.cut() == 1
            assert ending(conn) == (b"", "fin")
        assert proxy.cut(down_s=60) == 0
        assert refused(proxy.address)
        proxy.cut()
        with connect(proxy.address) as conn:
            assert ask(conn, b"up again") == b"up again"
        assert proxy.served == 2
        assert proxy.summary.cuts[Kind.FIN] == 1


def test_a_target_that_is_not_there_is_a_closed_connection(tmp_path: Path) -> None:
    with ChaosProxy(f"unix://{tmp_path}/proxy.sock", f"unix://{tmp_path}/nobody.sock") as proxy:
        assert refused(proxy.address)
        eventually(lambda: proxy.summary.refused == 1)
    assert (proxy.summary.refused, proxy.served) == (1, 0)


def test_its_socket_is_for_its_owner_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    with ChaosProxy(f"unix://{path}", f"unix://{tmp_path}/nobody.sock"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


@pytest.mark.parametrize("address", ["ssh://host", "local", "word", "tls://256.256.256.256:1", "unix:///no/such/dir/x"])
def test_an_address_that_will_not_do_is_one_line(tmp_path: Path, address: str) -> None:
    for start in (ChaosProxy, run_proxy):
        with pytest.raises(HoldfastError) as caught:
            start(address, f"unix://{tmp_path}/x", SeededPlan(Options()))
        assert "\n" not in str(caught.value)


def test_the_table_names_every_kind() -> None:
    with ChaosProxy("tls://127.0.0.1:0", "tls://127.0.0.1:1") as proxy:
        pass
    names = [name for name, _ in proxy.summary.rows()]
    assert [f"cut by {kind}" for kind in Kind] == [name for name in names if name.startswith("cut by ")]
