"""``holdfast agent``: run, start, stop and ask the agent."""

from __future__ import annotations

import os
import select
import time
from typing import Any, Final

import click
import msgspec

from holdfast.cli import agent_audit, agent_keys, exit_codes
from holdfast.cli.agent_network import Network, network_options
from holdfast.cli.documents import rfc3339, to_pretty_json
from holdfast.cli.options import DURATION, AgentVerb, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.session import LOCAL, NoLocalAgent, Session, collect_garbage
from holdfast.cli.ways import is_remote
from holdfast.config import load
from holdfast.errors import ConnectFailed, HoldfastError
from holdfast.units import format_duration, format_size
from holdfast.wire.messages import StatusAnswer

STOP_S: Final = 10.0


@click.group(name="agent", short_help="Run, start, stop and ask the agent.")
def command() -> None:
    """The agent keeps jobs: it starts them, stores their output and answers for them.

    A private one of the user is started by itself when it is needed, and leaves when nothing needs it.
    """


for _verb in (agent_keys.invite, agent_keys.principals, agent_keys.revoke, agent_audit.command):
    command.add_command(_verb)


@command.command(name="run")
@click.option("--state-dir", metavar="DIR", help="Where the agent keeps its state (HOLDFAST_STATE_DIR).")
@click.option("--embedded", is_flag=True, help="As a user's private agent: leave when nothing needs it.")
@click.option(
    "--keeper-fd", type=click.IntRange(0), metavar="N", help="Socket of the keeper that starts this agent again."
)
@network_options
def run(
    state_dir: str | None,
    embedded: bool,
    keeper_fd: int | None,
    listen: tuple[str, ...],
    any_address: bool,
    metrics: str | None,
) -> int:
    """Run the agent in the foreground until it is told to leave (`agent stop`, SIGTERM)."""
    from holdfast.agent import app

    network = {"listen": listen or None, "any_address": any_address or None, "metrics": metrics}
    settings = load(overrides={"state_dir": state_dir, **network})
    collect_garbage()
    return app.run(state_dir=settings.state_dir, embedded=embedded, keeper_fd=keeper_fd, settings=settings)


@command.command(cls=AgentVerb, name="start")
@network_options
def start(session: Session, listen: tuple[str, ...], any_address: bool, metrics: str | None) -> int:
    """Start the local agent if none runs; return when it answers.

    With --listen or --metrics, or settings that say so, it is no private one: it stays until it is told to leave.
    """
    network = Network(listen, any_address, metrics)
    if network and session.settings.host != LOCAL:
        raise click.UsageError("--listen and --metrics are for the agent of this machine; leave -H out")
    settings = session.settings
    stays = settings.host == LOCAL and bool(network or settings.listen or settings.metrics)
    if stays:
        _start_to_stay(session, network)
    with session.connect(start=not stays) as host:
        status = host.status()
    if network.listen and not any(address.startswith("tls://") for address in status.listeners):
        raise HoldfastError("another agent came up first, and does not listen: `holdfast agent stop`, then try again")
    session.voice.note(f"the agent runs, pid {status.agent.get('pid')}")
    for address in status.listeners:
        session.voice.note(f"it listens on {address}")
    return exit_codes.OK


def _start_to_stay(session: Session, network: Network) -> None:
    """Start an agent that does not leave by itself. One that runs already is left as it is.

    Args:
        session: Whose agent.
        network: What the flags say; where they say nothing, the settings do.

    Raises:
        HoldfastError: one runs already, and there are flags it would not know of.
        NoLocalAgent: it does not come up.
    """
    from holdfast.client import embedded

    settings = session.settings
    try:
        with session.connect(start=False) as host:
            pid = host.status().agent.get("pid")
    except ConnectFailed:
        pid = None
    if pid is not None and network:
        raise HoldfastError(
            f"an agent runs already, pid {pid}: `holdfast agent stop` first; jobs go on meanwhile", ran="no"
        )
    program = embedded.agent_command(settings.state_dir, private=False)
    try:
        embedded.connect(
            settings.state_dir, start=True, timeout_s=settings.connect_timeout_s, command=[*program, *network.argv()]
        ).close()
    except ConnectFailed as exc:
        raise NoLocalAgent(str(exc), ran="no") from exc


@command.command(cls=AgentVerb, name="stop")
@click.option(
    "--jobs", is_flag=True, help="End the jobs, too; otherwise they go on and the next agent takes them over."
)
@click.option(
    "--timeout", type=DURATION, default=STOP_S, metavar="D", help="Longest wait for it to be gone (default: 10s)."
)
def stop(session: Session, jobs: bool, timeout: float) -> int:
    """End the agent and return when it is gone. Exit code 0 also when none runs; none is started.

    The agent of another machine is told to leave, and not waited for.
    """
    deadline = time.monotonic() + timeout
    remote = is_remote(session.settings)
    try:
        with session.connect(start=False) as host:
            status = host.status()
            with_keeper = jobs or not status.jobs.get("running")
            leaving = [] if remote else [_held(pid) for pid in _pids(status, with_keeper=with_keeper)]
            host.shutdown(jobs=jobs)
    except ConnectFailed as exc:
        if remote:
            raise
        session.voice.detail(f"no agent runs: {exc}")
        return exit_codes.OK
    try:
        gone = all(_gone(pidfd, deadline) for pidfd in leaving)
    finally:
        for pidfd in leaving:
            if pidfd is not None:
                os.close(pidfd)
    if not gone:
        session.voice.error(f"the agent was told to leave and is still there after {format_duration(timeout)}")
        return exit_codes.HOLDFAST
    return exit_codes.OK


@command.command(cls=AgentVerb, name="status")
@json_flag
def status(session: Session, as_json: bool) -> int:
    """Say what the agent is and does. Exit code 3 when none runs; none is started."""
    try:
        with session.connect(start=False) as host:
            answer = host.status()
    except ConnectFailed as exc:
        if is_remote(session.settings):
            raise
        session.voice.say(str(exc))
        return exit_codes.NO_AGENT
    if as_json:
        write_all(1, to_pretty_json(msgspec.structs.asdict(answer)))
    else:
        click.echo(status_text(answer))
    return exit_codes.OK


def status_text(answer: StatusAnswer) -> str:
    """The agent's state for people, one fact a line. Pure."""
    facts = [
        ("agent", _process(answer.agent)),
        ("keeper", _process(answer.keeper)),
        ("socket", answer.socket),
        ("state", answer.state_dir),
        ("jobs", _counts(answer.jobs)),
        ("counters", _counts(answer.counters)),
        ("listens", ", ".join(answer.listeners) or "on its own socket alone"),
        ("network", _counts({name: count for name, count in answer.network.items() if count})),
        ("disk", _disk(answer.disk)),
        ("policy", answer.policy or "none: roles alone decide"),
    ]
    if not answer.socket:  # a role that may not look behind the curtain is told less
        facts = [fact for fact in facts if fact[0] in ("agent", "jobs", "disk")]
    return "\n".join(f"{name:9} {text}" for name, text in facts)


def _process(facts: dict[str, Any]) -> str:
    pid = facts.get("pid")
    texts = [f"pid {pid}"]
    for name, value in facts.items():
        if name.endswith("_unix_s") and isinstance(value, (int, float)):
            texts.append(f"{name.removesuffix('_unix_s')} {rfc3339(value)}")
        elif name != "pid" and value is not None:
            texts.append(f"{name} {value}")
    return ", ".join(texts) if pid else "none"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _disk(facts: dict[str, int]) -> str:
    if "free_bytes" not in facts or "total_bytes" not in facts:
        return "unknown"
    return f"{format_size(facts['free_bytes'])} of {format_size(facts['total_bytes'])} free"


def _pids(status: StatusAnswer, *, with_keeper: bool) -> list[int]:
    """Processes that will be gone after a shutdown: the keeper stays where it has jobs to keep."""
    found = [status.agent.get("pid"), status.keeper.get("pid") if with_keeper else None]
    return [pid for pid in found if isinstance(pid, int)]


def _held(pid: int) -> int | None:
    """A pidfd: it cannot come to mean another process; None if this one is gone already."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _gone(pidfd: int | None, deadline: float) -> bool:
    """Whether the process has ended by the deadline (a pidfd becomes readable then, pidfd_open(2))."""
    if pidfd is None:
        return True
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
