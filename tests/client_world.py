"""A ``Session`` and a ``MemoryAgent`` joined by connections that are cut where a test says, on a clock it moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from holdfast.client.exchange import Exchange
from holdfast.client.session import Phase, Session
from holdfast.transport.memory import End, pair
from tests.memory_agent import AgentConnection, MemoryAgent

T = TypeVar("T")


class World:
    """Runs both sides until nothing moves, connecting again whenever the session wants it.

    Args:
        agent: The agent.
        cuts: For each connection in turn, the bytes after which it is cut: (from the client, from the agent).
        chunk: Longest piece that either side is given at once.
    """

    def __init__(
        self,
        agent: MemoryAgent,
        *,
        cuts: Iterator[tuple[int | None, int | None]] | None = None,
        chunk: int = 1 << 20,
        reconnect_s: float | None = 100.0,
    ) -> None:
        self.agent = agent
        self.now = 1000.0
        self.connections = 0
        self.session = Session(
            instance="c" * 32, software="holdfast/0.1.0", random=lambda: 0.5, reconnect_s=reconnect_s
        )
        self.sent_bytes = 0
        self.answered_bytes = 0
        self._cuts = cuts
        self._chunk = chunk
        self._client: End | None = None
        self._server: End | None = None
        self._peer: AgentConnection | None = None
        self.session.open(now=self.now)

    def submit(self, exchange: Exchange) -> None:
        self.session.submit(exchange, now=self.now)

    def run(self, until: Callable[[], T | None], rounds: int = 20_000) -> T:
        """Let everything happen until ``until`` has an answer."""
        for _ in range(rounds):
            if (value := until()) is not None:
                return value
            if not self.step():
                deadline = self.session.next_deadline()
                assert deadline is not None, f"nothing moves in phase {self.session.phase}"
                self.now = max(self.now, deadline)
                self.session.handle_timeout(now=self.now)
        raise AssertionError("it goes on forever")

    def cut(self) -> None:
        assert self._client is not None
        self._client.cut()

    def step(self) -> bool:
        """One round of both sides; False if nothing moved."""
        if self.session.wants_connection(now=self.now):
            self._connect()
            return True
        if self._client is None or self._server is None or self._peer is None:
            return False
        moved = False
        if data := self.session.data_to_send():
            self.sent_bytes += len(data)
            self._client.write(data)
            moved = True
        while (piece := self._server.read()) is not None:
            for part in self._parts(piece):
                answer = self._peer.receive(part, self.now)
                self.answered_bytes += len(answer)
                self._server.write(answer)
            moved = True
            if not piece:
                self._server = None
                break
        if self._server is not None and (more := self._peer.pump()):
            self.answered_bytes += len(more)
            self._server.write(more)
            moved = True
        while self._client is not None and (piece := self._client.read()) is not None:
            moved = True
            for part in self._parts(piece):
                self.session.receive_data(part, now=self.now)
            if not piece or not self.session.transport_wanted:
                self._client.cut()
                self._client = None
        return moved

    def _parts(self, piece: bytes) -> list[bytes]:
        if not piece:
            return [b""]
        return [piece[start : start + self._chunk] for start in range(0, len(piece), self._chunk)]

    def _connect(self) -> None:
        there, back = next(self._cuts, (None, None)) if self._cuts is not None else (None, None)
        self._client, self._server = pair(cut_after=there, answer_cut_after=back)
        self._peer = self.agent.connect(self.now)
        self.connections += 1
        self.session.connected(now=self.now)
        assert self.session.phase is Phase.GREETING
