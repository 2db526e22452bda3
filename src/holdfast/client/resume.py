"""When to connect again after a cut, and what to ask then; pure.

Nothing is replayed: a resumed job is asked for by its id and the offset of the next byte wanted, and a job whose id
never came here is asked for by its start key (docs/spec/protocol.md, "Resuming").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from holdfast.client.calls import RunRequest
from holdfast.wire.messages import Read, Request, Wait

FIRST_MOST_S: Final = 0.05
"""The first retry comes after 0 to 50 ms: most cuts are over at once, and a crowd must not come at one instant."""
LEAST_S: Final = 0.1
GROWTH: Final = 3.0
CEILING_S: Final = 15.0


class Backoff:
    """Delays between attempts to connect: random, growing, and starting over with the first sign of progress.

    Args:
        random: Uniform numbers from 0 (included) to 1 (excluded).
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._last_s = 0.0

    def next_delay(self, retry_after_s: float | None = None) -> float:
        """Seconds until the next attempt; what the peer has asked for goes first."""
        if retry_after_s is not None:
            self._last_s = min(CEILING_S, max(LEAST_S, retry_after_s))
            return retry_after_s
        if not self._last_s:
            self._last_s = FIRST_MOST_S
            return self._random() * FIRST_MOST_S
        most = min(CEILING_S, self._last_s * GROWTH)
        delay = LEAST_S + self._random() * max(0.0, most - LEAST_S)
        self._last_s = max(delay, LEAST_S)
        return min(delay, CEILING_S)

    def progress(self) -> None:
        """A new byte or an answer has come: the next cut is a new one."""
        self._last_s = 0.0


class Ask(msgspec.Struct, frozen=True):
    """One request of a resume. ``offsets``: the channels that it opens, each with its next byte."""

    request: Request
    body: bytes = b""
    offsets: Mapping[int, int] = {}


def ask_again(
    run: RunRequest | None,
    job: str | None,
    wanted: Mapping[int, int],
    *,
    lease: bool,
    follow: bool,
    credit: int,
    incarnation: str | None,
) -> Ask:
    """What to ask on a new connection about one job.

    Args:
        run: The request that has started it, if it was ours.
        job: Its id, if that has come here.
        wanted: Channels whose end has not been seen, each with the offset of its next byte.
        lease: Count as an attached client.
        follow: Go on to the job's end.
        credit: First credit of each channel, in bytes.
        incarnation: The journal that has seen ``run`` first, if it was sent before: another one must not start it.
    """
    if job is None:
        if run is None:
            raise ValueError("neither a job nor a request to start one")
        request = run.request
        if incarnation is not None or credit != request.credit:
            request = msgspec.structs.replace(request, incarnation=incarnation, credit=credit)
        return Ask(request, run.body, dict.fromkeys(wanted, 0))
    if not wanted:
        return Ask(Wait(job, lease))
    offsets = {str(channel): offset for channel, offset in wanted.items()}
    return Ask(Read(job, offsets, credit=credit, follow=follow, lease=lease), offsets=wanted)  # type: ignore[arg-type]
