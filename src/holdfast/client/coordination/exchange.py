"""A numbered request on its way: asked anew on each connection, and answered once. Pure."""

from __future__ import annotations

from typing import Generic, TypeVar

from holdfast.client.calls import Call
from holdfast.client.coordination.asks import Ask
from holdfast.client.exchange import CallExchange
from holdfast.wire.messages import Numbered

T = TypeVar("T")


class AskExchange(CallExchange[bytes], Generic[T]):
    """One request about a shared object."""

    __slots__ = ("_ask", "_body", "request")

    def __init__(self, ask: Ask[T], request: Numbered) -> None:
        super().__init__(Call(request, lambda header: header, ask.body, patient=True))
        self.request = request
        self._ask = ask
        self._body = b""

    def answer_body(self, stream: int, body: bytes) -> None:
        self._body = body

    def poll_answer(self) -> tuple[bytes, bytes] | None:
        """The answer's header and body, once it has come.

        Raises:
            HoldfastError: it was refused.
        """
        header = self.poll()
        return None if header is None else (header, self._body)
