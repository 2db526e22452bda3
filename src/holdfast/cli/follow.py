"""Following a job to its end: the common part of ``run``, ``attach`` and ``retry --attach``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final

from holdfast.cli import exit_codes
from holdfast.cli.documents import policy_text
from holdfast.cli.exit_codes import Ending
from holdfast.cli.interrupts import Detached, Interrupts
from holdfast.cli.out import CannotWrite, ReaderGone
from holdfast.cli.sinks import CHANNEL_NAMES, Sink
from holdfast.cli.voice import Voice
from holdfast.errors import Conflict, HoldfastError
from holdfast.types import Cause, Channel, JobState, OnDisconnect, Receipt

if TYPE_CHECKING:
    from holdfast import Job

Output = Iterator[tuple[Channel, bytes]]
SILENCE_S: Final = 0.5
"""How long after a Ctrl-C nothing need be said: longer than an answer takes, shorter than doubt."""


def follow(
    job: Job,
    output: Output,
    sink: Sink,
    voice: Voice,
    interrupts: Interrupts,
    *,
    policy: OnDisconnect,
    command: str = "",
    from_tail: bool = False,
    transport_exit: int = exit_codes.TRANSPORT,
) -> tuple[Ending, Receipt | None]:
    """Deliver a job's output to its end, passing Ctrl-C on, and tell how to end ourselves.

    Args:
        job: The job.
        output: Its output, as ``job.output()`` gives it. The caller keeps it until the connection is closed: closing it
            before would tell the agent that the job is left on purpose, where it is its client that was lost.
        sink: Where it goes.
        voice: Where our words go.
        interrupts: Active handlers; Ctrl-C is for the job from now on.
        policy: What happens to the job when this client leaves; for the words only.
        command: Name of the program; for the words only.
        from_tail: The output begins at its last lines, so what is before them is not missing.
        transport_exit: The exit code instead of 255.
    """
    interrupts.last_words = lambda signum: voice.error(
        f"ended by {signal.Signals(signum).name}; {_fate_of_lost(job, policy)}"
    )
    try:
        interrupts.forward_to(lambda: _interrupt(job, voice))
        for channel, data in tell_gaps(job, output, voice, from_tail=from_tail):
            sink.write(channel, data)
        receipt = job.wait_receipt()
    except Detached:
        if isinstance(output, Generator):
            output.close()  # left on purpose: this tells the agent so, and the job is kept
        return Ending(exit_codes.INTERRUPTED, f"detached; job {job.id} goes on: holdfast attach {job.id}"), None
    except ReaderGone:
        line = f"the reader of our output has gone; {_fate_of_lost(job, policy)}"
        return Ending(exit_codes.BROKEN_PIPE, line), None
    except CannotWrite as exc:
        line = f"cannot write the output: {exc}; {_fate_of_lost(job, policy)}"
        return Ending(exit_codes.HOLDFAST, line), None
    except HoldfastError as exc:
        return exit_codes.of_error(exc, command=command, transport_exit=transport_exit), job.receipt
    if receipt.cause is Cause.CANCELLED and interrupts.forwarded:
        return Ending(exit_codes.INTERRUPTED, f"job {job.id} was cancelled before it started; it did not run"), receipt
    return exit_codes.of_receipt(receipt, command=command, transport_exit=transport_exit), receipt


def tell_gaps(job: Job, output: Output, voice: Voice, *, from_tail: bool) -> Output:
    """The same output; bytes that are missing by the job's own retention rule are told where they are missing.

    Args:
        job: The job, whose ``delivered`` tells offsets.
        output: Its output.
        voice: Where our words go.
        from_tail: The first chunk of a channel may begin anywhere.
    """
    expected: dict[int, int] = {}
    for channel, data in output:
        end = job.delivered.get(channel, 0)
        begin = end - len(data)
        missing = begin - expected.get(channel, begin if from_tail else 0)
        if missing > 0:
            voice.say(f"{missing} bytes of {CHANNEL_NAMES[channel]} are gone: the job keeps no more of its output")
        expected[channel] = end
        yield channel, data


def finish(sink: Sink, voice: Voice, ending: Ending, receipt: Receipt | None) -> int:
    """The last words, and the exit code."""
    try:
        sink.end(receipt, ending.code, ending.line)
    except (ReaderGone, CannotWrite):
        pass  # whoever closed our output is not interested, and the line below says the same
    if ending.line is not None:
        voice.error(ending.line) if receipt is None else voice.say(ending.line)
    if receipt is not None and receipt.tree == "stuck":
        pids = " ".join(map(str, receipt.left))
        voice.say(f"processes of job {receipt.job} are still there: {pids}; see `holdfast leftovers`")
    return ending.code


def _interrupt(job: Job, voice: Voice) -> None:
    """SIGINT to the process group of the command, as a terminal would; a job that waits for a slot is cancelled."""
    patience = threading.Timer(
        SILENCE_S,
        lambda: voice.say(
            f"job {job.id} cannot be reached now; SIGINT is sent as soon as it can. Ctrl-C twice leaves it alone"
        ),
    )
    patience.daemon = True
    patience.start()
    try:
        job.signal(signal.SIGINT, scope="group")
    except Conflict:
        _cancel_if_waiting(job, voice)
    except HoldfastError as exc:
        voice.say(f"SIGINT did not reach job {job.id}: {exc}")
    else:
        voice.note(f"sent SIGINT to job {job.id}; Ctrl-C again within 2 s leaves it alone")
    finally:
        patience.cancel()


def _cancel_if_waiting(job: Job, voice: Voice) -> None:
    try:
        if job.refresh().state in (JobState.QUEUED, JobState.STARTING):
            job.stop()
    except HoldfastError as exc:
        voice.detail(f"job {job.id} could not be stopped: {exc}")


def _fate_of_lost(job: Job, policy: OnDisconnect) -> str:
    """What happens to a job whose client is lost, and how to come back."""
    if policy == "kill":
        return f"job {job.id} is being ended (--on-disconnect kill)"
    until = (
        "" if policy == "keep" else f" and is ended in {policy_text(policy).partition('=')[2]} unless somebody attaches"
    )
    return f"job {job.id} goes on{until}: holdfast attach {job.id}"
