"""Takes over what a shim leaves behind: its EXIT record and its spools.

Small outputs are read into memory and go into the journal's row; longer ones are renamed to the job. A crash between
the rename and the commit is harmless: the file is then found under the job's own name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

import xxhash

from holdfast.errors import StorageError
from holdfast.jobs.output import EMPTY_DIGEST, INLINE_HASH_BYTES
from holdfast.jobs.stimuli import ExitRecord, TakenOutput
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.store.files import CHANNEL_NAMES, OutputFiles
from holdfast.store.spool import InlineSpool, Spool
from holdfast.store.writes import INLINE_OUTPUT_BYTES
from holdfast.types import STDERR, STDOUT, Cause, ExitStatus, JobId, Offset, Usage

if TYPE_CHECKING:
    from holdfast.agent.live import LiveJob
    from holdfast.jobs.supervise import Shim

Ends = dict[int, tuple[int | None, int]]
"""Channel -> (length, or None where only the file knows it; oldest offset kept)."""

TAKEN_FLAGS: Final = {STDOUT: messages.TAKEN_OUT, STDERR: messages.TAKEN_ERR}
"""What RELEASE says of a channel whose scratch spool was renamed away."""
_TREES: Final[tuple[Literal["gone", "left", "stuck"], ...]] = ("gone", "left", "stuck")
_SUPERVISORS: Final[tuple[Literal["shim", "keeper"], ...]] = ("shim", "keeper")


def exit_record(record: control.Exit, slots: control.Slots) -> ExitRecord:
    """The EXIT slot in the words of the job's machine."""
    note = slots.note
    left = note.pids if isinstance(note, control.Note) and note.job == record.job else ()
    return ExitRecord(
        cause=Cause(control.CAUSES[record.cause]),
        status=None if record.wait_status is None else ExitStatus.from_wait_status(record.wait_status),
        by=record.by,
        errno=record.errno or None,
        stage=control.STAGES[record.stage],
        stdin_bytes=record.stdin_bytes,
        started_unix_s=record.started_wall_ns / 1e9 if record.started_wall_ns else None,
        ended_unix_s=record.ended_wall_ns / 1e9,
        usage=Usage(record.utime_us / 1e6, record.stime_us / 1e6, record.maxrss_kib * 1024),
        tree=_TREES[record.tree],
        left=left if record.left_count else (),
        supervisor=_SUPERVISORS[record.supervisor],
    )


def take_output(
    files: OutputFiles, shim: Shim | None, shim_directory: str, live: LiveJob, ends: Ends
) -> tuple[TakenOutput, TakenOutput, int]:
    """Take both spools over from the shim that wrote them.

    Args:
        files: Where long outputs are kept.
        shim: The shim, if it is still there; its open spools are used then.
        shim_directory: Where its scratch spools lie.
        live: The job; its channels become final, short ones with their digest.
        ends: Length (None: what the file holds) and oldest kept offset of each channel.

    Returns:
        stdout, stderr, and the ``TAKEN_*`` flags of what was renamed away.
    """
    taken = 0
    for number in (STDOUT, STDERR):
        length, first = ends[number]
        taken |= _take_channel(files, shim, shim_directory, live, number, length, first)
    return live.out[STDOUT].as_taken(), live.out[STDERR].as_taken(), taken


def recorded_ends(record: control.Exit) -> Ends:
    """Lengths and oldest kept offsets as the EXIT slot has them."""
    return {STDOUT: (record.out_bytes, record.out_first), STDERR: (record.err_bytes, record.err_first)}


def found_ends(slots: control.Slots) -> Ends:
    """The same for a lost job: what the files hold, from what the NOTE slot says is kept."""
    note = slots.note
    firsts = (note.out_first, note.err_first) if isinstance(note, control.Note) else (0, 0)
    return {STDOUT: (None, firsts[0]), STDERR: (None, firsts[1])}


def _take_channel(
    files: OutputFiles,
    shim: Shim | None,
    shim_directory: str,
    live: LiveJob,
    number: int,
    length: int | None,
    first: int,
) -> int:
    channel = live.out[number]
    channel.final = True
    if length == 0:
        channel.length = 0
        channel.digest = EMPTY_DIGEST
        return 0
    spool, kept = _open(files, shim, shim_directory, live.job.id, number)
    if spool is None:
        channel.length = length or 0
        channel.first = channel.length
        channel.digest = None if length else EMPTY_DIGEST
        return 0
    try:
        return _take_spool(files, shim, live, number, spool, kept=kept, length=length, first=first)
    except StorageError:
        if shim is None or kept:
            spool.close()
        raise


def _take_spool(
    files: OutputFiles,
    shim: Shim | None,
    live: LiveJob,
    number: int,
    spool: Spool,
    *,
    kept: bool,
    length: int | None,
    first: int,
) -> int:
    channel = live.out[number]
    channel.length = spool.length() if length is None else length
    channel.first = spool.first = first
    if channel.length - first <= INLINE_OUTPUT_BYTES:
        data = spool.bytes_from(Offset(first), channel.length - first) if channel.length > first else b""
        channel.use(InlineSpool(data, first=first), owned=False)
        channel.digest = xxhash.xxh3_128_hexdigest(data)
        if shim is None or kept:
            spool.close()
        return TAKEN_FLAGS[number] if kept else 0
    if not kept:
        files.adopt(live.job.id, number, spool.path, flush=live.job.spec.durability == "power")
        if shim is not None:
            shim.give_up_spool(number)
    channel.use(spool, owned=True)
    if channel.unhashed_bytes <= INLINE_HASH_BYTES:
        channel.digest = channel.rest_of_digest()()
    return TAKEN_FLAGS[number]


def _open(
    files: OutputFiles, shim: Shim | None, shim_directory: str, job: JobId, number: int
) -> tuple[Spool | None, bool]:
    """The spool, and whether it was found under the job's own name: an agent died between taking it and saying so."""
    try:
        if os.path.exists(files.path(job, number)):
            return files.open(job, number), True
        if shim is not None:
            return shim.spool(number), False
        return Spool.open(os.path.join(shim_directory, CHANNEL_NAMES[number])), False
    except StorageError:
        return None, False
