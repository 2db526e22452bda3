"""Names and places of kept outputs: ``jobs/<job id>/out`` and ``err`` below the state directory.

Most jobs have no directory: outputs of up to 64 KiB lie in the journal. A longer one is taken over from its shim by
rename(2), which neither copies a byte nor disturbs a reader. A directory that the journal does not know is moved aside,
never removed: it is somebody's output.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import Final

from holdfast.store.faults import flush_directory, storage_error
from holdfast.store.spool import Spool
from holdfast.types import JobId

CHANNEL_NAMES: Final = ("in", "out", "err")

_JOB_ID: Final = re.compile(r"[0-9a-z]{12}")


class OutputFiles:
    """The kept outputs of one agent.

    Args:
        state_directory: Absolute; ``jobs`` and ``quarantine`` are made in it (0700) when they are needed.
    """

    def __init__(self, state_directory: str) -> None:
        self._jobs = os.path.join(state_directory, "jobs")
        self._quarantine = os.path.join(state_directory, "quarantine")

    def path(self, job: JobId, channel: int) -> str:
        """Where a channel's file is, or would be."""
        return os.path.join(self._directory(job), CHANNEL_NAMES[channel])

    def adopt(self, job: JobId, channel: int, scratch: str, *, flush: bool = False) -> str:
        """Takes a shim's scratch file over as this channel's output. The same file system; open readers notice nothing.

        Args:
            job: Whose it becomes.
            channel: 0 to 2.
            scratch: Its name until now.
            flush: Make bytes and names last through a power failure, too.

        Returns:
            Its new name.

        Raises:
            StorageError: it could not be moved; it still has its old name (or, on a failed flush, its new one).
        """
        directory, path = self._directory(job), self.path(job, channel)
        try:
            for folder in (self._jobs, directory):  # makedirs would make `jobs` as wide as the umask lets it
                os.makedirs(folder, mode=0o700, exist_ok=True)
            if flush:
                _flush_file(scratch)
            os.rename(scratch, path)
            if flush:
                flush_directory(directory)
                flush_directory(self._jobs)
        except OSError as exc:
            raise storage_error("take over", exc, scratch) from exc
        return path

    def open(self, job: JobId, channel: int, *, first: int = 0) -> Spool:
        """The kept output of a channel.

        Raises:
            StorageError: there is none, or it cannot be read.
        """
        return Spool.open(self.path(job, channel), first=first)

    def remove(self, job: JobId) -> None:
        """Removes a job's files, if there are any.

        Raises:
            StorageError: something of it could not be removed.
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._directory(job))
        except OSError as exc:
            raise storage_error("remove", exc, self._directory(job)) from exc

    def names(self) -> list[str]:
        """Names of all directories of jobs, sorted; strangers are among them.

        Raises:
            StorageError: the directory cannot be read.
        """
        try:
            return sorted(os.listdir(self._jobs))
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise storage_error("read", exc, self._jobs) from exc

    def quarantine(self, name: str) -> str:
        """Moves a directory of ``jobs`` that nobody knows aside. Gives its new place.

        Raises:
            StorageError: it could not be moved.
        """
        return move_aside(os.path.join(self._jobs, name), self._quarantine)

    def _directory(self, job: JobId) -> str:
        if not _JOB_ID.fullmatch(job):
            raise ValueError(f"not a job id: {job!r}")
        return os.path.join(self._jobs, job)


def move_aside(path: str, quarantine: str) -> str:
    """Moves a file or directory into a quarantine directory under its own name, or that name and a number.

    Raises:
        StorageError: it could not be moved.
    """
    name = os.path.basename(path)
    try:
        os.makedirs(quarantine, mode=0o700, exist_ok=True)
        taken = set(os.listdir(quarantine))
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}.{number}"
        target = os.path.join(quarantine, candidate)
        os.rename(path, target)
    except OSError as exc:
        raise storage_error("move aside", exc, path) from exc
    return target


def _flush_file(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
