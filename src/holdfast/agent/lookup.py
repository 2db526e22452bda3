"""Jobs by name: an id, or a unique beginning of one; in memory, or read from the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.agent import shelf
from holdfast.agent.board import Board
from holdfast.agent.live import LiveJob
from holdfast.errors import Refused
from holdfast.types import JobId
from holdfast.wire.messages import (
    ErrorCode,
)

if TYPE_CHECKING:
    pass

PREFIX_CHARS: Final = 4
"""Shortest part of a job id that may stand for it."""
CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class Lookup:
    """Finds jobs for requests."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def named(self, name: str, *, output: bool = False) -> LiveJob:
        """The job of this name; see ``job_id`` and ``find``."""
        return self.find(self.job_id(name), output=output)

    def job_id(self, name: str) -> JobId:
        """The job that an id, or a unique beginning of one, stands for.

        Raises:
            Refused: none, or more than one.
        """
        if JobId(name) in self._board.jobs:
            return JobId(name)
        if len(name) < PREFIX_CHARS or not all(letter in CROCKFORD for letter in name):
            raise no_such_job(name)
        found = {job for job in self._board.jobs if job.startswith(name)}
        found.update(self._board.journal.find(name))
        if not found:
            raise no_such_job(name)
        if len(found) > 1:
            raise Refused(f"{name} is the beginning of several jobs: give more of it", code=ErrorCode.NOT_FOUND)
        return found.pop()

    def find(self, job: JobId, *, output: bool = False) -> LiveJob:
        """The job, from memory or from the journal.

        ``output``: with its files open; whoever asks for them hands them to a reader or lets go of them
        (``Board.close_unused``).

        Raises:
            Refused: no such job.
        """
        live = self._board.jobs.get(job)
        if live is not None:
            return live
        row = self._board.journal.job(job)
        if row is None:
            raise no_such_job(job)
        return shelf.stored_job(self._board, row, output=output)


def no_such_job(name: str) -> Refused:
    return Refused(f"no such job: {name[:64]}", code=ErrorCode.NOT_FOUND)
