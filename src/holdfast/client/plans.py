"""Plans of a host, blocking: starts that wait for a time, a turn in a group, the good end of others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from holdfast.client.calls import Call
from holdfast.wire import limits
from holdfast.wire.messages import (
    Group,
    GroupInfo,
    Groups,
    GroupsAnswer,
    Plan,
    PlanInfo,
    Plans,
    PlansAnswer,
    Replan,
    Unplan,
    decode,
)

if TYPE_CHECKING:
    from holdfast.client.sync import Host

_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def fresh_id() -> str:
    """An id that no plan has, and that no job's can be taken for."""
    value = int.from_bytes(os.urandom(5), "big")
    return "plan-" + "".join(_LETTERS[value >> shift & 31] for shift in range(0, 40, 5))


class HostPlans:
    """The plans of one host.

    Every method may raise what its agent's refusals are: ``NotFound``, ``Conflict``, ``LimitExceeded`` and the like.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._connection = host._connection

    def make(
        self,
        args: Sequence[str | bytes] | str | bytes,
        *,
        id: str | None = None,
        at: float | None = None,
        delay: float | None = None,
        every: float | None = None,
        skip_missed: bool = False,
        group: str | None = None,
        priority: float = 0.0,
        after: Sequence[str] = (),
        **options: Any,
    ) -> PlanInfo:
        """Keep a start for later; returns when it is on the host's disk.

        Args:
            args: Program and arguments; with ``shell=True`` one text.
            id: Asking again with the same one, and the same command, makes no other plan; None: a fresh one.
            at: Unix seconds before which it does not start.
            delay: Seconds before which it does not start.
            every: Start again and again, so many seconds apart.
            skip_missed: Leave out what could not start within a minute of its time.
            group: In whose line it stands; None: in none.
            priority: Lower ones come first in their group.
            after: Ids of plans and jobs that must have ended well before.
            **options: See ``calls.run_request``.

        Raises:
            ValueError: something is beyond its limit; nothing was sent.
        """
        id = fresh_id() if id is None else id
        for name, text, most in (("id", id, limits.NAME_CHARS), ("group", group, limits.NAME_CHARS)):
            if text is not None and not 1 <= len(text) <= most:
                raise ValueError(f"the {name} of a plan has {len(text)} characters; it may have 1 to {most}")
        if len(after) > limits.NAMES_AT_ONCE:
            raise ValueError(f"after {len(after)} others; {limits.NAMES_AT_ONCE} are the most")
        run = self._host._run_request(args, attach=False, stdin=False, options=options)  # type: ignore[arg-type]
        request = Plan(
            id=id,
            run=run.request,
            at_unix_s=at,
            delay_s=delay,
            every_s=every,
            skip_missed=skip_missed,
            group=group,
            priority=priority,
            after=tuple(after),
        )
        return self._connection.call(Call(request, _first, run.body, key=id))

    def cancel(self, id: str) -> PlanInfo:
        """Do not start it (again); a job that runs already is not touched."""
        return self._connection.call(Call(Unplan(id), _first))

    def retry(self, *, id: str | None = None, group: str | None = None) -> tuple[PlanInfo, ...]:
        """Start a failed plan again, or all failed ones of a group; never asked twice."""
        call = Call(Replan(id, group), lambda header: decode(header, PlansAnswer).plans, repeatable=False)
        return self._connection.call(call)

    def get(self, id: str) -> PlanInfo:
        """One plan, as it is now."""
        return self._connection.call(Call(Plans(id=id), _first))

    def all(self, *, group: str | None = None, over: bool = False) -> Iterator[PlanInfo]:
        """Plans in the order in which they would start; ``over``: also those that are over, at the end."""
        told: set[tuple[str, str]] = set()
        skip, more = 0, True
        while more:
            request = Plans(group=group, all=over, skip=skip)
            answer = self._connection.call(Call(request, lambda header: decode(header, PlansAnswer)))
            for info in answer.plans:  # between two pages some may have come, or gone
                if (info.principal, info.id) not in told:
                    told.add((info.principal, info.id))
                    yield info
            skip += len(answer.plans)
            more = answer.more

    def change_group(
        self, name: str, *, parallel: int | None = None, paused: bool | None = None, drain: bool | None = None
    ) -> GroupInfo:
        """Let a group behave otherwise; what is None stays."""
        request = Group(name, parallel, paused, drain)
        return self._connection.call(Call(request, lambda header: decode(header, GroupsAnswer).groups[0]))

    def groups(self) -> tuple[GroupInfo, ...]:
        """All groups."""
        return self._connection.call(Call(Groups(), lambda header: decode(header, GroupsAnswer).groups))


def _first(header: bytes) -> PlanInfo:
    return decode(header, PlansAnswer).plans[0]
