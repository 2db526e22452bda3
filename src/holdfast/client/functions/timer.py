"""A call after some time, kept by the host: what both faces share. See their ``Timer``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from holdfast.client.calls import Call
from holdfast.client.functions.opening import coder_of, own_path
from holdfast.client.functions.settings import command
from holdfast.functions.setup import CALL, FirstCall, WorkerSetup, environment
from holdfast.wire.messages import Plan, PlanInfo, Plans, PlansAnswer, Unplan, decode

if TYPE_CHECKING:
    from holdfast.client.calls import JobOptions
    from holdfast.client.handles import HostBase

LOOK_S: Final = 0.02
"""How soon after its time a timer is looked at again, until its job is known; each look waits twice as long ..."""
LOOK_MOST_S: Final = 1.0
"""... up to this."""
OVER: Final = frozenset(("done", "failed", "cancelled", "skipped"))
"""States of a plan that starts nothing any more."""


def request(
    host: HostBase[Any],
    id: str,
    delay_s: float,
    function: Callable[..., object],
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
) -> Call[PlanInfo]:
    """What has the host make this call later; answered when it is on its disk.

    Raises:
        CallRefused: function or arguments cannot be sent.
        CallTooLarge: they are too long.
    """
    coder = coder_of(host)
    first = FirstCall(coder.function(function, sure=True), *coder.arguments(tuple(args), dict(kwargs)))
    setup = WorkerSetup(
        result="none",
        sys_path=own_path(local=host.is_local),
        argv=tuple(sys.argv) if host.is_local else (),
        name=f"Timer-{id}",
    )
    options: JobOptions = {"env": environment(setup, first), "label": "timer"}
    run = host.worker_request(command(host.welcome.worker, CALL), options, attach=False)
    return Call(Plan(id=id, run=run.request, delay_s=max(0.0, delay_s)), _first, run.body, key=id)


def cancel(id: str) -> Call[PlanInfo]:
    """What has the host not make it; one that is under way goes on."""
    return Call(Unplan(id), _first)


def look(id: str) -> Call[PlanInfo]:
    """What has become of it."""
    return Call(Plans(id=id), _first)


def _first(header: bytes) -> PlanInfo:
    return decode(header, PlansAnswer).plans[0]
