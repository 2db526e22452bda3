"""From the arguments of ``Host.executor`` and its like to what both faces need. Starts nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from holdfast.client.functions.code import Coder
from holdfast.client.functions.settings import Kind, PoolSettings, Results, command
from holdfast.functions.errors import CallRefused

if TYPE_CHECKING:
    from holdfast.client.calls import JobOptions, RunRequest
    from holdfast.client.handles import HostBase

_numbers = count(1)


class PoolParts(NamedTuple):
    """What an executor is made of, beside its connection."""

    coder: Coder
    run: RunRequest
    settings: PoolSettings


def open_pool(
    host: HostBase[Any],
    *,
    workers: int | None,
    kind: Kind,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    max_tasks_per_child: int | None,
    results: Results | None,
    timeout: float | None,
    cwd: str | None,
    env: Mapping[str, str] | None,
    name: str | None,
    output: Literal["inherit", "keep"],
) -> PoolParts:
    """Settings, coder and the request that starts a worker; see ``Host.executor``.

    Raises:
        ValueError: see ``PoolSettings.check``.
        TypeError: as well.
        CallRefused: the initializer cannot be sent, or pickles cannot be exchanged with this host.
    """
    local = host.is_local
    if workers is None and local and kind != "coroutines":
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = cpus if kind == "processes" else min(32, cpus + 4)
    settings = PoolSettings(
        workers=workers,
        kind=kind,
        initializer=initializer,
        initargs=tuple(initargs),
        max_tasks_per_child=max_tasks_per_child,
        results=results or ("pickle" if local else "plain"),
        timeout=timeout,
        name=name or f"{os.getpid()}-{next(_numbers)}",
        output=output,
    )
    settings.check()
    coder = coder_of(host)
    if settings.pickles and results is not None:
        coder.check_pickles("results")
    variables = settings.variables(coder, sys_path=own_path(local=local), argv=tuple(sys.argv) if local else ())
    options: JobOptions = {"env": {**(env or {}), **variables}, "cwd": cwd, "label": f"pool {settings.name}"}
    run = host.worker_request(command(host.welcome.worker), options)
    return PoolParts(coder, run, settings)


def coder_of(host: HostBase[Any]) -> Coder:
    """What writes calls for the workers of this host.

    Raises:
        CallRefused: its agent runs no functions.
    """
    if not host.welcome.worker:
        raise CallRefused(f"the agent of {host.address} runs no functions: it is older than this program")
    return Coder(host.welcome.python, host.address, local=host.is_local)


def own_path(*, local: bool) -> tuple[str, ...]:
    """Where this program finds its modules, for a worker on the same machine."""
    if not local:
        return ()
    here = os.getcwd()
    return tuple([os.path.join(here, place) if place else here for place in sys.path])
