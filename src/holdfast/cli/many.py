"""Verbs that take several jobs: each is tried, what fails is told, the largest code is ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from holdfast.cli import exit_codes
from holdfast.cli.session import Session
from holdfast.errors import JobError, NotFound, Refused

if TYPE_CHECKING:
    from holdfast import Host, Job

T = TypeVar("T")


def find(host: Host, name: str) -> Job:
    """The job of this id or prefix.

    Raises:
        NotFound: in a line that says where to look.
    """
    try:
        return host.job(name)
    except NotFound as exc:
        raise NotFound(f"no such job: {name}; `holdfast ps -a` lists them", code=exc.code) from exc


def program(job: Job) -> str:
    """Name of the program that a job runs, for our words; empty for a shell's text."""
    info = job.info
    return "" if info is None or info.shell or not info.argv else info.argv[0]


def for_each(session: Session, items: Sequence[T], act: Callable[[T], int]) -> int:
    """Call ``act`` for each item and return the largest code; refusals count as codes and do not stop the others."""
    codes = []
    for item in items:
        try:
            codes.append(act(item))
        except (Refused, JobError) as exc:
            ending = exit_codes.of_error(exc)
            session.voice.error(ending.line or str(exc))
            codes.append(ending.code)
    return exit_codes.largest(codes)
