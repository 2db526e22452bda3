"""The blocking API: hosts and jobs. ``holdfast.aio`` has the same names with ``await``.

Rules of this module, and of its twin:

* A method is one statement around ``calls`` and the driver; what it decides is decided in a pure module.
* Attributes never do I/O. Every failure tells by ``.ran`` whether the command ran.
* Handles may be used from any number of threads. After a fork the child's handles raise ``ClosedError``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from holdfast.client import calls, results
from holdfast.client.coordination.host_threads import SharedObjects
from holdfast.client.drive_threads import Connection
from holdfast.client.feed import JobFeed, ReadPlan
from holdfast.client.functions.host_threads import Functions
from holdfast.client.handles import MAX_OUTPUT_BYTES, HostBase, JobBase, LinkChange
from holdfast.client.stdin import InputFeed
from holdfast.types import Channel, JobInfo, Receipt
from holdfast.wire.messages import (
    DoneAnswer,
    InviteAnswer,
    Leftover,
    PrincipalInfo,
    PruneAnswer,
    RevokeAnswer,
    RoleName,
    StatusAnswer,
    VerifyAnswer,
)

if TYPE_CHECKING:
    from typing import Unpack

    from holdfast.client.calls import JobOptions


def connect(
    address: str = "local",
    *,
    timeout: float = 10.0,
    state_dir: str | None = None,
    start: bool = True,
    reconnect_timeout: float | None = 3600.0,
    on_link_event: Callable[[LinkChange], None] | None = None,
) -> Host:
    """A connection to an agent, open and authenticated.

    Args:
        address: ``"local"`` (the user's own agent on this machine), a name of ``hosts.toml`` such as ``"web1"``,
            ``"tls://HOST:7420"`` (enrolled with before), ``"ssh://USER@HOST"`` or ``"unix:///path/agent.sock"``.
        timeout: Seconds until it must be open: name, connection, handshake and welcome together, the start of a
            local agent included.
        state_dir: State directory of ``local``; None: the configured one.
        start: Start the agent of ``local`` if none runs.
        reconnect_timeout: Seconds for which a lost connection is tried again before its calls fail; None: no limit.
        on_link_event: Called with each loss and each resume of the connection, in the connection's own thread.

    Raises:
        ConnectFailed: no agent there, an unknown name, or an address that cannot be used; ``.layer``.
        Unauthorized: this user is not enrolled with that agent, was revoked, or it is another user's.
        KeyChanged: it is not the agent that was enrolled with.
        IdentityError: this user's own key cannot be used.
        VersionMismatch: client and agent share no protocol version.
    """
    return Host(Connection.open(address, timeout, state_dir, start, reconnect_timeout, on_link_event))


class Host(Functions, SharedObjects, HostBase[Connection]):
    """An agent that runs jobs. A context manager; closing it touches no job of ``start``."""

    def run(
        self,
        args: Sequence[str | bytes] | str | bytes,
        *,
        input: bytes | bytearray | memoryview | str | None = None,
        check: bool = False,
        text: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        capture_output: bool = True,
        max_output: int = MAX_OUTPUT_BYTES,
        **options: Unpack[JobOptions],
    ) -> results.Completed:
        """Run a command to its end, as ``subprocess.run``.

        An exception in between (Ctrl-C) stops the job; a cut connection does not: the run is resumed.

        Args:
            args: Program and arguments; with ``shell=True`` one text.
            input: All of its standard input; None: an empty one.
            check: Raise ``CommandFailed`` if the code is not 0.
            text: Decode output and encode input, UTF-8 unless ``encoding`` says otherwise.
            encoding: Encoding of ``text``; implies it.
            errors: Error handler of ``text``; implies it.
            capture_output: Keep the output in the result; otherwise it stays on the host only.
            max_output: Most bytes kept of one channel; beyond, the job is stopped.
            **options: See ``calls.run_request``: cwd, env, shell, timeout, key, on_disconnect, grace, leave, user,
                groups, umask, rlimits, retention, durability, label, not_after, hints.

        Raises:
            TimeoutExpired: ``timeout``, the job's own limit, ended it.
            SpawnFailed: it could not be executed; ``.errno`` and ``.stage`` say why.
            CommandFailed: ``check``, and the code is not 0.
            JobLost: its exit status cannot be known.
            OutputTooLarge: it wrote more than ``max_output`` bytes; it was stopped.
            OutcomeUnknown: the connection could not be brought back; ask again with ``.key``.
        """
        mode = results.TextMode.wanted(text, encoding, errors)
        data = results.input_bytes(input, mode)
        request = self._run_request(args, attach=True, stdin=data is not None, options=options)
        feed = JobFeed.run(request, collect=capture_output, most_bytes=max_output, input=data)
        try:
            self._connection.submit(feed)
            receipt = self._connection.wait(feed, feed.poll_receipt)
        except BaseException:
            self._connection.abandon(feed)
            raise
        return results.completed(
            args,
            receipt,
            feed.collected(1),
            feed.collected(2),
            mode=mode,
            timeout=options.get("timeout"),
            check=check,
        )

    def start(
        self,
        args: Sequence[str | bytes] | str | bytes,
        *,
        detach: bool = False,
        stdin: bool = False,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Start a command and return as soon as the job is accepted (it is in the journal of its host).

        Args:
            args: Program and arguments; with ``shell=True`` one text.
            detach: Do not attach: the job belongs to nobody, ``on_disconnect`` is ``"keep"``, and it is on disk before
                this returns.
            stdin: Give the command a pipe as standard input: ``job.stdin``.
            **options: As for ``run``.

        Raises:
            Conflict: another job was started under this key.
            LimitExceeded: the host's queue or disk is full; ``.retry_after_s``.
            Refused: the agent said no.
        """
        request = self._run_request(args, attach=not detach, stdin=stdin, options=options)
        if detach:
            return Job.detached(self._connection, request, self._connection.call(calls.start_detached(request)))
        feed = JobFeed.run(request)
        self._connection.submit(feed)
        self._connection.wait(feed, feed.poll_accepted)
        return Job.attached(self._connection, feed)

    def job(self, job_id: str) -> Job:
        """A handle for a job of this host, by its id or a unique prefix of four characters or more.

        Raises:
            NotFound: no such job.
        """
        return Job.known(self._connection, self._connection.call(calls.get_job(job_id)))

    def jobs(
        self, *, all: bool = False, limit: int | None = None, label: str | None = None, prefix: str | None = None
    ) -> list[JobInfo]:
        """Jobs, newest first: those that are not done, or (``all``) every one the host still knows."""
        found: list[JobInfo] = []
        more = True
        while more:
            page = self._connection.call(self._page(found, all=all, limit=limit, label=label, prefix=prefix))
            more = self._take_page(found, page, limit)
        return found

    def status(self) -> StatusAnswer:
        """What the agent is and does: processes, places, counts."""
        return self._connection.call(calls.status())

    def prune(self, older_than: float | None = None) -> PruneAnswer:
        """Drop finished jobs that ended more than so many seconds ago; None: the agent's own retention."""
        return self._connection.call(calls.prune(older_than))

    def leftovers(self, *, end: bool = False) -> tuple[Leftover, ...]:
        """Live processes that came from finished or forgotten jobs; ``end`` kills them."""
        return self._connection.call(calls.leftovers(end=end)).processes

    def invite(self, *, role: RoleName = "operator", ttl: float = 600.0, address: str = "") -> InviteAnswer:
        """An invitation for one more client, good once; ``.invitation`` is the secret string to hand over.

        Args:
            role: What the holder may do, once enrolled.
            ttl: Seconds for which it can be used, 1 to 604 800.
            address: Where the agent is reached from there, as tls://HOST:PORT; empty: where it listens.

        Raises:
            Conflict: the agent listens nowhere.
        """
        return self._connection.call(calls.invite(role, ttl, address))

    def principals(self) -> tuple[PrincipalInfo, ...]:
        """Everybody who is or was enrolled; revoked ones stay, since their names are never given to another key."""
        return self._connection.call(calls.principals()).principals

    def revoke(self, principal: str, *, jobs: bool = False) -> RevokeAnswer:
        """Withdraw a principal's key, at once and for good. Its running jobs go on unless ``jobs``.

        Raises:
            NotFound: nobody of this name is enrolled.
        """
        return self._connection.call(calls.revoke(principal, jobs=jobs))

    def shutdown(self, *, jobs: bool = False) -> DoneAnswer:
        """End the agent. Jobs go on, watched by the keeper, unless ``jobs``."""
        return self._connection.call(calls.shutdown(jobs=jobs))

    def close(self) -> None:
        """Close the connection; calls under way in other threads raise ``ClosedError``. Any number of times."""
        self._connection.close()
        if self._process_class is not None:
            from holdfast.client.functions.sync_process import let_go

            let_go(self._process_class)

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Job(JobBase[Connection]):
    """One job of a host. Made by ``Host.start`` and ``Host.job``; good for as long as its host is open."""

    @property
    def stdin(self) -> Stdin:
        """Standard input of a job started with ``stdin=True``."""
        return Stdin(self._connection, self._input())

    def output(
        self,
        *,
        channels: Sequence[Channel] = (1, 2),
        offsets: Mapping[int, int] | None = None,
        follow: bool = True,
        lease: bool | None = None,
        tail_lines: int | None = None,
    ) -> Iterator[tuple[Channel, bytes]]:
        """The job's output as (channel, bytes), in order, each byte once, resumed by itself after any cut.

        Ends with the job (or, without ``follow``, at the present end). What was delivered has then been compared with
        the agent's digest and, for the whole of a channel, with the receipt.

        Args:
            channels: Which channels; 1 is stdout, 2 stderr.
            offsets: Where to begin by channel; None: at the oldest byte kept, or with what ``start`` has attached.
            follow: Wait for what is still to be written.
            lease: Count as an attached client of the job; None: as the job was started.
            tail_lines: Begin with the last so many lines of each channel instead.

        Raises:
            OffsetGone: bytes from an offset on were asked for that are no longer kept.
            OutputMismatch: what was delivered is not what the agent recorded.
        """
        plan = ReadPlan(tuple(channels), offsets, follow=follow, lease=lease, tail_lines=tail_lines)
        feed = self._output_feed(plan)
        try:
            self._connection.submit(feed)
            while (chunk := self._connection.wait(feed, feed.poll_output)) is not feed.END:
                yield chunk
        finally:
            self._connection.release(feed)

    def read(self, channel: Channel = 1, offset: int = 0, limit: int = MAX_OUTPUT_BYTES) -> bytes:
        """Bytes of one channel that exist now, from an absolute offset on.

        Args:
            channel: 1 is stdout, 2 stderr.
            offset: First byte wanted.
            limit: Most bytes to return.

        Raises:
            OffsetGone: this offset is no longer kept; ``.first`` is the oldest that is.
        """
        plan = ReadPlan((channel,), {channel: offset}, follow=False)
        feed = JobFeed.read(self.id, plan, most_bytes=limit)
        try:
            self._connection.submit(feed)
            self._connection.wait(feed, feed.poll_collected)
            return feed.collected(channel) or b""
        finally:
            self._connection.release(feed)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once the job is done, minus the signal where one ended it.

        Raises:
            DeadlineExceeded: not done within ``timeout`` seconds; the job is untouched.
            SpawnFailed: it was never executed.
            JobLost: its exit status cannot be known.
        """
        return self._returncode(self.wait_receipt(timeout))

    def wait_receipt(self, timeout: float | None = None) -> Receipt:
        """The agent's final record, once the job is done, whatever it says.

        Raises:
            DeadlineExceeded: not done within ``timeout`` seconds; the job is untouched.
        """
        return self.receipt or self._keep(self._connection.call(self._wait_call(), timeout))

    def is_alive(self) -> bool:
        """Whether the job is not done yet; asks the host unless the receipt is known."""
        return self.receipt is None and self.refresh().receipt is None

    def refresh(self) -> JobInfo:
        """The job's present state, asked from the host; also in ``info``."""
        return self._update(self._connection.call(calls.get_job(self.id)))

    def signal(self, signum: int, scope: Literal["main", "group", "tree"] = "main") -> None:
        """Send a signal to the main process, its process group, or every process of the job.

        Raises:
            Conflict: the job is not running.
            OutcomeUnknown: the connection broke in between; it is not sent twice.
        """
        self._connection.call(calls.signal(self.id, int(signum), scope))

    def stop(self, grace: float | None = None) -> None:
        """TERM to every process of the job, then KILL after ``grace`` seconds (None: as the job was started).

        Returns at once; ``wait`` tells the end. A finished job is left as it is.
        """
        self._connection.call(calls.stop(self.id, grace))

    def kill(self) -> None:
        """KILL to every process of the job, now."""
        self._connection.call(calls.stop(self.id, 0.0))

    def retry(self, *, key: str | None = None) -> Job:
        """A new job with the body of this finished one.

        Raises:
            Conflict: this job is not done.
        """
        fresh = self._connection.fresh_key()
        return Job.again(self, self._connection.call(calls.retry(self.id, fresh_key=fresh, key=key)))

    def forget(self, *, forget_key: bool = False) -> None:
        """Drop the finished job and its output; its start key stays known unless ``forget_key``.

        Raises:
            Conflict: the job is not done.
        """
        self._connection.call(calls.forget(self.id, forget_key=forget_key))

    def verify(self) -> VerifyAnswer:
        """Let the host read the kept output again and compare it with the receipt (with SHA-256)."""
        return self._connection.call(calls.verify(self.id))

    def detach(self) -> None:
        """Give up the attachment of ``start``: no output is sent here any more, and ``on_disconnect`` takes effect."""
        self._connection.detach(self._feed)


class Stdin:
    """Standard input of a job. Bytes are kept here until the host holds them, so a cut loses none."""

    def __init__(self, connection: Connection, feed: InputFeed) -> None:
        self._connection = connection
        self._feed = feed

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Send bytes; waits while more than 1 MiB is on its way. Returns their number.

        Raises:
            ClosedError: closed before.
            Conflict: the job takes no input (any more).
        """
        self._connection.change(self._feed, lambda: self._feed.write(data))
        self._connection.wait(self._feed, self._feed.poll_room)
        return len(data)

    def close(self) -> None:
        """End of file for the command, after everything written. Any number of times."""
        self._connection.change(self._feed, self._feed.close)
        self._connection.wait(self._feed, self._feed.poll_sent)

    @property
    def committed(self) -> int:
        """Bytes that the host is known to hold."""
        return self._feed.committed

    def __enter__(self) -> Stdin:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
