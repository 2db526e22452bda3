"""``holdfast run``: start a command, show what it writes, end with its exit code."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import exit_codes, stdin
from holdfast.cli.arguments import parse_env, parse_env_file
from holdfast.cli.documents import receipt_document, to_json
from holdfast.cli.exit_codes import Ending
from holdfast.cli.follow import finish, follow
from holdfast.cli.interrupts import Interrupts
from holdfast.cli.options import DURATION, POLICY, RETENTION, RLIMIT, UMASK, CommandAfterDashes, json_flag
from holdfast.cli.out import CannotWrite, ReaderGone, write_all
from holdfast.cli.session import LOCAL, Session
from holdfast.cli.sinks import JsonSink, RawSink, Sink
from holdfast.errors import HoldfastError
from holdfast.types import OnDisconnect, Receipt

if TYPE_CHECKING:
    from holdfast import Host, Job

ATTACHED_POLICY: Final = 60.0


class RunCommand(CommandAfterDashes):
    """``--sh TEXT`` stands in the place of a command."""

    def may_lack_command(self, own: list[str]) -> bool:
        return any(arg == "--sh" or arg.startswith("--sh=") for arg in own)


@click.command(cls=RunCommand, name="run", short_help="Run a command and return its exit code.")
@click.option("-d", "--detach", is_flag=True, help="Print the job's id and return; the job goes on without us.")
@click.option("--sh", "script", metavar="TEXT", help="Run TEXT with /bin/sh -c instead of a command.")
@click.option("-i", "--stdin", "with_stdin", is_flag=True, help="Pass our standard input on, to its end.")
@click.option(
    "-e", "--env", "env_items", multiple=True, metavar="K[=V]", help="A variable; without =V it is taken from ours."
)
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Variables, one K=V a line.")
@click.option(
    "-w", "--workdir", metavar="DIR", help="Working directory (default: ours for local, else the home directory)."
)
@click.option("-u", "--user", metavar="USER", help="Run as another user; the agent must be root's.")
@click.option("--umask", type=UMASK, metavar="MODE", help="File mode mask, octal (default: 022).")
@click.option(
    "--rlimit",
    "rlimits",
    type=RLIMIT,
    multiple=True,
    metavar="NAME=SOFT[:HARD]",
    help="A resource limit, as nofile=1024.",
)
@click.option("--timeout", type=DURATION, metavar="D", help="End it after D; exit code 124. The host itself counts.")
@click.option("--grace", type=DURATION, metavar="D", help="From TERM to KILL when it is ended (default: 10s).")
@click.option("--leave", is_flag=True, help="Let background processes live on when the command has ended.")
@click.option("--on-disconnect", type=POLICY, metavar="keep|kill|kill-after=D",
              help="What becomes of the job when no client is left (kill-after=60s; with -d: keep).")  # fmt: skip
@click.option("--once", "key", metavar="KEY", help="Start key: at most one job is ever started under it.")
@click.option("--not-after", type=DURATION, metavar="D", help="Do not start it if it still waits for a slot after D.")
@click.option("--retain", type=RETENTION, metavar="block|keep-tail=N|kill=N",
              help="All output is kept (block), its last N bytes, or more than N ends the job.")  # fmt: skip
@click.option("-l", "--label", default="", metavar="TEXT", help="Free text, for `ps --filter label=TEXT`.")
@click.option("--status-fd", type=click.IntRange(0), metavar="N", help="Write the receipt as JSON to descriptor N.")
@click.option("--transport-exit", type=click.IntRange(0, 255), default=exit_codes.TRANSPORT, metavar="N",
              help="Exit code instead of 255 when the way to the job fails.")  # fmt: skip
@json_flag
def command(session: Session, argv: list[str] | None, script: str | None, **flags: Any) -> int:
    """Run a command and return its exit code.

    \b
      holdfast run -- make -j8
      holdfast run --timeout 5m -e CI=1 -w /srv/app -- ./test
      holdfast run --sh 'make && make install'
      holdfast run -d --once nightly-2026-01-31 -- ./backup

    Everything after `--` is the command and reaches it exactly as written; no shell reads it. What it writes to
    standard output and standard error comes out here, byte for byte. The first Ctrl-C goes to the command, a second
    one within two seconds leaves it running.
    """
    what = script if argv is None else argv
    if what is None or (argv is not None and script is not None):
        raise click.UsageError("give either a command after `--` or a text with --sh, not both")
    transport_exit = flags.pop("transport_exit")
    status_fd = flags.pop("status_fd")
    _check_writable(status_fd)
    receipt: Receipt | None = None
    with Interrupts() as interrupts:
        try:
            ending, receipt = _run(session, interrupts, what, transport_exit, flags)
        except HoldfastError as exc:
            ending = exit_codes.of_error(exc, transport_exit=transport_exit)
            session.voice.error(ending.line or str(exc))
        except KeyboardInterrupt:
            ending = Ending(exit_codes.INTERRUPTED, "interrupted before the job was accepted")
            session.voice.error(f"{ending.line}; if it was, its policy for lost clients ends it")
    if status_fd is not None:
        _write_status(status_fd, ending, receipt)
    return ending.code


def _run(
    session: Session, interrupts: Interrupts, what: list[str] | str, transport_exit: int, flags: dict[str, Any]
) -> tuple[Ending, Receipt | None]:
    voice = session.voice
    with_stdin, as_json, detach = flags["with_stdin"], flags["as_json"], flags["detach"]
    if not with_stdin and stdin.ignored_input():
        voice.say("standard input is not passed on; -i does that")
    options = _job_options(session, flags)
    with session.connect() as host:
        job = _start(host, what, detach=detach, with_stdin=with_stdin, options=options)
        if job.deduplicated:
            voice.note(f"job {job.id} was started before under this key; nothing new is started")
        else:
            voice.detail(f"job {job.id}")
        if with_stdin:
            stdin.pass_on(job, voice)
        sink: Sink = JsonSink(job) if as_json else RawSink()
        if detach:
            return _leave(job, as_json=as_json), None
        policy: OnDisconnect = ATTACHED_POLICY if options["on_disconnect"] is None else options["on_disconnect"]
        output = job.output()
        ending, receipt = follow(
            job,
            output,
            sink,
            voice,
            interrupts,
            policy=policy,
            command="" if isinstance(what, str) else what[0],
            transport_exit=transport_exit,
        )
        finish(sink, voice, ending, receipt)
        return ending, receipt


def _start(host: Host, what: list[str] | str, *, detach: bool, with_stdin: bool, options: dict[str, Any]) -> Job:
    try:
        return host.start(what, detach=detach, stdin=with_stdin, shell=isinstance(what, str), **options)
    except (ValueError, TypeError) as exc:  # something of the request is beyond its limit; nothing was sent
        raise HoldfastError(str(exc), ran="no") from exc


def _leave(job: Job, *, as_json: bool) -> Ending:
    """A detached job: its id, alone, on standard output (with --json the accepted event is there already)."""
    if not as_json:
        write_all(1, f"{job.id}\n".encode())
    return Ending(exit_codes.OK)


def _job_options(session: Session, flags: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of ``Host.start`` for these flags."""
    settings = session.settings
    policy = flags["on_disconnect"]
    if policy is None and not flags["detach"]:
        policy = settings.on_disconnect
    not_after = flags["not_after"]
    return {
        "env": _environment(flags["env_files"], flags["env_items"]),
        "cwd": _directory(settings.host, flags["workdir"]),
        "user": flags["user"],
        "umask": flags["umask"],
        "rlimits": dict(flags["rlimits"]) or None,
        "timeout": flags["timeout"],
        "grace": settings.grace_s if flags["grace"] is None else flags["grace"],
        "leave": flags["leave"],
        "on_disconnect": policy,
        "key": flags["key"],
        "not_after": None if not_after is None else time.time() + not_after,
        "retention": flags["retain"],
        "label": flags["label"],
    }


def _directory(host: str, given: str | None) -> str | None:
    """The directory to ask for: a relative one starts at ours where the host is this machine."""
    try:
        if host == LOCAL:
            return os.path.join(os.getcwd(), given) if given else os.getcwd()
    except FileNotFoundError as exc:
        if given is None or not os.path.isabs(given):
            raise HoldfastError("the current directory is gone; name one with -w", ran="no") from exc
    return given


def _environment(files: tuple[str, ...], items: tuple[str, ...]) -> dict[str, str]:
    """Variables of files and flags, later ones winning."""
    env: dict[str, str] = {}
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                env.update(parse_env_file(file.read(), os.environ))
        except OSError as exc:
            raise click.UsageError(f"--env-file {path}: {exc.strerror}") from exc
        except ValueError as exc:
            raise click.UsageError(f"--env-file {path}: {exc}") from exc
    try:
        env.update(parse_env(items, os.environ))
    except ValueError as exc:
        raise click.UsageError(f"-e: {exc}") from exc
    return env


def _check_writable(fd: int | None) -> None:
    """Refuse a descriptor that is not open for writing, before anything is started."""
    import fcntl

    if fd is None:
        return
    try:
        writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except OSError:
        writable = False
    if not writable:
        raise click.UsageError(f"--status-fd {fd}: this descriptor is not open for writing")


def _write_status(fd: int, ending: Ending, receipt: Receipt | None) -> None:
    document = {
        "schema": 1,
        "holdfast_exit": ending.code,
        "error": ending.line,
        "receipt": None if receipt is None else receipt_document(receipt),
    }
    try:
        write_all(fd, to_json(document))
    except (ReaderGone, CannotWrite):
        pass  # who asked for it has gone; the exit code still tells the end
