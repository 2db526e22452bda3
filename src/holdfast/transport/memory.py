"""A connection without a socket, for tests: two ends, and a cut after any byte of either direction. Pure."""

from __future__ import annotations

from collections import deque


class End:
    """One end: what is written here is read at the other, until the cut.

    Attributes:
        limit: Bytes that may still be written here; the byte after them cuts the connection, both ways. None: any.
    """

    def __init__(self) -> None:
        self.limit: int | None = None
        self.other: End = self
        self._arrived: deque[bytes] = deque()
        self._broken = False

    def write(self, data: bytes) -> None:
        """Send bytes; what lies beyond the cut is lost without a word, as it is with a real one."""
        if self._broken or not data:
            return
        if self.limit is not None:
            passed, self.limit = data[: self.limit], max(0, self.limit - len(data))
            if passed:
                self.other._arrived.append(passed)
            if len(passed) < len(data):
                self.cut()
            return
        self.other._arrived.append(data)

    def read(self) -> bytes | None:
        """The next piece; ``b""`` once cut and empty; None while there is nothing."""
        if self._arrived:
            return self._arrived.popleft()
        return b"" if self._broken else None

    def cut(self) -> None:
        """Break the connection; what has arrived can still be read."""
        self._broken = self.other._broken = True


def pair(*, cut_after: int | None = None, answer_cut_after: int | None = None) -> tuple[End, End]:
    """Client's end and agent's end.

    Args:
        cut_after: Cut at the first byte after so many from the client.
        answer_cut_after: Cut at the first byte after so many from the agent.
    """
    client, agent = End(), End()
    client.other, agent.other = agent, client
    client.limit, agent.limit = cut_after, answer_cut_after
    return client, agent
