"""The output of running jobs: where its bytes lie, how far they go, and who wants to hear of more."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Final

from holdfast.agent.live import LiveJob
from holdfast.errors import StorageError
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import STDERR, STDOUT, JobId, JobState, ShimId
from holdfast.wire.limits import WINDOW_BYTES

if TYPE_CHECKING:
    from holdfast.agent.board import Board

ROOM_STEP_BYTES: Final = 64 * 1024
"""A bounded spool is emptied in steps of this: those in which the disk gives space back."""


class LiveOutput:
    """Live channels of all jobs. The shim extends a spool first and tells of it afterwards."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def reopen(self, live: LiveJob) -> None:
        """Another supervisor tends the job: read through its shim's descriptors from now on."""
        for number, channel in live.out.items():
            if channel.source is not None:
                self.open_spool(live, number)

    def set_lengths(self, live: LiveJob, out_bytes: int, err_bytes: int) -> None:
        """The committed lengths, as the shim has told them."""
        for number, length in ((STDOUT, out_bytes), (STDERR, err_bytes)):
            channel = live.out[number]
            if length > channel.length:
                channel.length = length
            if channel.length and channel.source is None:
                self.open_spool(live, number)

    def open_spool(self, live: LiveJob, number: int) -> None:
        """Make a live channel readable."""
        shim = live.shim
        if shim is None:
            return
        refresh = None
        if live.job.spec.retention.rule == "keep-tail":
            refresh = partial(self._oldest_kept, shim.id, live.job.id, number)
        try:
            live.out[number].use(shim.spool(number), owned=False, refresh_first=refresh)
        except StorageError as error:
            self._board.log(f"job {live.job.id}: {error}")

    def _oldest_kept(self, shim_id: ShimId, job: JobId, number: int) -> int:
        note = self._board.endings.slots(shim_id).note
        if not isinstance(note, control.Note) or note.job != job:
            return 0
        return note.out_first if number == STDOUT else note.err_first

    def measure(self, live: LiveJob) -> None:
        """Ask the files how far a job has come, for people who look; nothing is opened for that."""
        if live.shim is None or live.job.state in (JobState.QUEUED, JobState.STARTING):
            return
        for number, channel in live.out.items():
            if not channel.final:
                try:
                    channel.length = max(channel.length, os.stat(live.shim.spool_path(number)).st_size)
                except FileNotFoundError:
                    continue

    def refresh(self, live: LiveJob, number: int) -> bool:
        """Ask the file itself how long the channel is now; True if there is more than was known."""
        channel = live.out[number]
        if channel.final or live.shim is None or live.job.state in (JobState.QUEUED, JobState.STARTING):
            return False
        try:
            length = live.shim.spool(number).length()
        except StorageError:
            return False
        if length <= channel.length:
            return False
        channel.length = length
        if channel.source is None:
            self.open_spool(live, number)
        return True

    def make_room(self, live: LiveJob, number: int) -> None:
        """With ``block`` and a bound, the job writes on as its readers deliver; what all of them have is dropped.

        A reader's window comes on top of the bound: what is under way to a client may be needed again after a cut.
        """
        bound = live.job.spec.retention.limit_bytes if live.job.spec.retention.rule == "block" else 0
        if not bound or live.shim is None or not live.spawned or live.ending is not None:
            return
        delivered = [r.delivered[number] for _, r in live.readers if r.follow and number in r.delivered]
        if not delivered:
            return
        channel, floor = live.out[number], max(0, min(delivered))
        if floor >= channel.first + ROOM_STEP_BYTES:
            channel.first = floor
            live.shim.send(messages.DropBelow(number, floor))
        limit = floor + bound + WINDOW_BYTES
        if limit >= live.room.get(number, 0) + ROOM_STEP_BYTES:
            live.room[number] = limit
            live.shim.send(messages.Limit(number, limit))

    def watch_of(self, live: LiveJob) -> messages.Watch | None:
        """What to ask the shim so that no reader waits in vain; None if that is asked already, or nobody waits."""
        wanted = [messages.NO_LIMIT, messages.NO_LIMIT]
        for _, reader in live.readers:
            if reader.follow:
                for number in reader.open:
                    channel = live.out[number]
                    if reader.positions.get(number, 0) >= channel.length:
                        wanted[number - 1] = channel.length
        watch = (wanted[0], wanted[1])
        if watch == (messages.NO_LIMIT, messages.NO_LIMIT) or watch == live.armed:
            return None
        live.armed = watch
        return messages.Watch(*watch)

    def arm(self, live: LiveJob) -> None:
        """Have the shim tell when there is more for those who wait."""
        if live.spawned and live.shim is not None and live.ending is None:
            watch = self.watch_of(live)
            if watch is not None:
                live.shim.send(watch)
