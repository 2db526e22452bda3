"""What ``holdfast doctor`` looks at where the host is another machine: layer after layer, until one is broken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from holdfast.cli.layers import ADVICE, SSH_LAYERS, TLS_LAYERS, Check, broken
from holdfast.cli.session import Session
from holdfast.cli.version import client_version
from holdfast.cli.ways import Way, way_of
from holdfast.errors import HoldfastError, Unauthorized
from holdfast.units import format_duration, format_size
from holdfast.wire.messages import StatusAnswer

if TYPE_CHECKING:
    from holdfast import Host

SKEW_S: Final = 5.0
REFUSE_SHARE: Final = 0.05
REFUSE_BYTES: Final = 512 << 20
"""Below either, new jobs are refused."""


def examine_remote(session: Session) -> Iterator[Check]:
    """All layers of the way to the host that was named; nothing is run there."""
    layers = SSH_LAYERS if session.settings.host.startswith("ssh://") else TLS_LAYERS
    known: dict[str, str] = {}
    try:
        way = way_of(session.settings)
        layers = SSH_LAYERS if way.kind == "ssh" else TLS_LAYERS
        known = _known(way)
        known |= way.reach()
        before = time.time()
        host = session.connect()
        after = time.time()
    except HoldfastError as exc:
        untried = frozenset({"tls"}) if isinstance(exc, Unauthorized) and "key" not in known else frozenset()
        yield from broken(exc, layers, known, untried)
        return
    with suppress(HoldfastError):  # how long it takes is good to know, and no more: we are connected
        _, tls_s = way.measure()
        known |= {} if tls_s is None else {"tls": f"TLS 1.3 in {1000 * tls_s:.1f} ms"}
    with host:
        for name in layers[: layers.index("version")]:
            yield Check(name, "ok", known.get(name, ""))
        yield check_version(host)
        yield from _inside(host, before, after, with_policy="policy" in layers)


def _known(way: Way) -> dict[str, str]:
    """What can be told of a way without taking it."""
    name = way.address if way.name == way.address else f"{way.name} is {way.address}"
    known = {"name": name, "ssh": name, "holdfast": way.remote or "holdfast, as found there"}
    return known | ({"key": way.key} if way.key else {})


def _inside(host: Host, before: float, after: float, *, with_policy: bool) -> Iterator[Check]:
    """What the agent itself tells."""
    status: StatusAnswer | None
    try:
        status = host.status()
        policy = check_policy(status)
    except HoldfastError as exc:
        status, policy = None, Check("policy", "fail", str(exc), ADVICE["policy"])
    if with_policy:
        yield policy
    yield check_clock(host.welcome.unix_s, before, after)
    yield Check("disk", "skip", "the agent does not tell") if status is None else check_disk(status.disk)


def check_version(host: Host) -> Check:
    """The agent's software beside ours; the protocol was agreed on, or there were no connection."""
    welcome, ours = host.welcome, f"holdfast/{client_version()}"
    text = f"{welcome.software or 'unknown'}, protocol holdfast/{welcome.protocol}"
    if welcome.software != ours:
        return Check("version", "warn", f"{text}; this client is {ours}", ADVICE["version"])
    return Check("version", "ok", text)


def check_policy(status: StatusAnswer) -> Check:
    """The agent's policy can be read. Pure."""
    if status.policy.startswith("invalid"):
        return Check("policy", "fail", status.policy, "correct policy.toml there; until then nobody else gets in")
    if not status.socket:
        return Check("policy", "ok", "not told to this role")
    return Check("policy", "ok", status.policy or "no file; roles alone decide")


def check_clock(theirs_unix_s: float, before_unix_s: float, after_unix_s: float) -> Check:
    """The host's clock beside ours. Pure.

    Args:
        theirs_unix_s: What it told in its welcome; 0: nothing.
        before_unix_s: Our time when we began to connect.
        after_unix_s: Our time when it was there; half of what lies between is the tolerance.
    """
    if not theirs_unix_s:
        return Check("clock", "skip", "the host does not tell its time")
    tolerance = max(0.0, after_unix_s - before_unix_s) / 2
    skew = theirs_unix_s - (before_unix_s + after_unix_s) / 2
    text = (
        f"{format_duration(abs(skew))} {'ahead' if skew > 0 else 'behind'}, give or take {format_duration(tolerance)}"
    )
    if abs(skew) > SKEW_S + tolerance:
        return Check("clock", "fail", text, ADVICE["clock"])
    return Check("clock", "ok", text)


def check_disk(disk: dict[str, int]) -> Check:
    """Free space there against the marks below which new jobs are refused. Pure."""
    free, total = disk.get("free_bytes"), disk.get("total_bytes")
    if free is None or total is None:
        return Check("disk", "skip", "the agent does not tell")
    mark = max(int(total * REFUSE_SHARE), REFUSE_BYTES)
    text = f"{format_size(free)} of {format_size(total)} free"
    if free < mark:
        return Check("disk", "fail", f"{text}; below {format_size(mark)} new jobs are refused", ADVICE["disk"])
    return Check("disk", "ok", text)
