"""Jobs by name: an id, or a unique beginning of one; in memory, or read from the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.agent import shelf
from holdfast.agent.board import Board
from holdfast.agent.live import LiveJob
from holdfast.errors import NotFound, Refused
from holdfast.types import JobId
from holdfast.wire.messages import (
    ErrorCode,
)

if TYPE_CHECKING:
    from holdfast.agent.guard import Caller

PREFIX_CHARS: Final = 4
"""Shortest part of a job id that may stand for it."""
CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class Lookup:
    """Finds jobs for requests: each caller's own, and those of others whom the policy lets them see."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def named(self, caller: Caller, name: str, *, output: bool = False) -> LiveJob:
        """The job that an id, or a unique beginning of one, stands for; see ``find`` for ``output``.

        A job that the caller may not see is looked for in the same places as one that is not there, and is as absent:
        it does not make a beginning ambiguous, either.

        Raises:
            Refused: none, or more than one.
        """
        return self.find(self._job_id(caller, name), output=output)

    def _job_id(self, caller: Caller, name: str) -> JobId:
        jobs = self._board.jobs
        live = jobs.get(JobId(name))
        if live is not None and caller.finds(live.principal):
            return live.job.id
        if len(name) < PREFIX_CHARS or not all(letter in CROCKFORD for letter in name):
            raise caller.missing(name)
        found = {job for job in jobs if job.startswith(name) and caller.finds(jobs[job].principal)}
        found.update(self._board.journal.find(name, principals=caller.rights.visible))
        if not found:
            raise caller.missing(name)
        if len(found) > 1:
            raise Refused(f"{name} is the beginning of several jobs: give more of it", code=ErrorCode.NOT_FOUND)
        return found.pop()

    def find(self, job: JobId, *, output: bool = False) -> LiveJob:
        """The job, from memory or from the journal. Whoever asks has made sure that it may be seen.

        ``output``: with its files open; whoever asks for them hands them to a reader or lets go of them
        (``Board.close_unused``).

        Raises:
            NotFound: no such job any more.
        """
        live = self._board.jobs.get(job)
        if live is not None:
            return live
        row = self._board.journal.job(job)
        if row is None:
            raise NotFound(f"no such job: {job}", code=ErrorCode.NOT_FOUND)
        return shelf.stored_job(self._board, row, output=output)
