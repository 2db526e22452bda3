"""Errors of the operating system as ours, and the one flush that every file's name needs."""

from __future__ import annotations

import errno
import os

from holdfast.errors import StorageError


def is_full(exc: OSError) -> bool:
    """Whether the system says that there is no room (for us)."""
    return exc.errno in (errno.ENOSPC, errno.EDQUOT)


def storage_error(verb: str, exc: OSError, path: str, offset: int | None = None) -> StorageError:
    """``cannot VERB PATH [at OFFSET]: reason``; to be raised ``from exc``."""
    where = "" if offset is None else f" at {offset}"
    message = f"cannot {verb} {path}{where}: {exc.strerror}"
    return StorageError(message, path=path, offset=offset, full=is_full(exc))


def flush_directory(path: str) -> None:
    """Makes names in a directory last through a power failure (fsync(2), NOTES)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
