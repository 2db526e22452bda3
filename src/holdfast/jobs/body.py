"""The body of a job: argv, environment and directory as exact bytes, NUL-separated, and what makes two bodies the same.

No argument, variable or path can hold a NUL (execve(2)), so the form needs no lengths: one NUL between the items of a
list, two between the lists and the directory. Each item is preceded by ``=``, or an empty one would look like an end::

    =argv0 NUL =argv1 ... NUL NUL =NAME=value NUL ... NUL NUL directory
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from holdfast.jobs.spec import JobSpec

_ITEM = b"="


class Body(msgspec.Struct, frozen=True):
    """``env`` holds what was given with the job only, as ``NAME=value``; ``cwd`` empty: the default directory."""

    argv: tuple[bytes, ...]
    env: tuple[bytes, ...] = ()
    cwd: bytes = b""


def pack(body: Body) -> bytes:
    """The body as the journal keeps it.

    Raises:
        ValueError: an item holds a NUL, a variable has no ``=``, or there is no argv[0].
    """
    if not body.argv:
        raise ValueError("an argument list needs at least the program's name")
    for item in (*body.argv, *body.env, body.cwd):
        if b"\0" in item:
            raise ValueError(f"a NUL byte in {item[:40]!r}")
    for variable in body.env:
        if variable.find(b"=") < 1:
            raise ValueError(f"not a variable: {variable[:40]!r}")
    return b"\0\0".join((_pack_list(body.argv), _pack_list(body.env), body.cwd))


def unpack(data: bytes) -> Body:
    """What :func:`pack` made.

    Raises:
        ValueError: it was not made by it.
    """
    parts = data.split(b"\0\0")
    if len(parts) != 3:
        raise ValueError(f"a body of {len(parts)} parts, not 3")
    argv, env, cwd = parts
    return Body(_unpack_list(argv), _unpack_list(env), cwd)


def body_hash(body: Body, spec: JobSpec) -> bytes:
    """SHA-256 of what a start key stands for.

    It covers argv, ``--sh``, the given environment (in any order), the directory, the user and the limits; not the
    terminal, hints, label, or how long to wait: the same key with another one of these is the same job.
    """
    same = (
        b"holdfast body 2",
        b"%d %d" % (len(body.argv), len(body.env)),
        *body.argv,
        *sorted(body.env),
        body.cwd,
        _encode((spec.shell, spec.user, spec.umask, spec.timeout_s, sorted(spec.limits.items()))),
    )
    return hashlib.sha256(b"\0".join(same)).digest()


_encode = msgspec.json.Encoder().encode


def _pack_list(items: Sequence[bytes]) -> bytes:
    return b"\0".join(_ITEM + item for item in items)


def _unpack_list(data: bytes) -> tuple[bytes, ...]:
    if not data:
        return ()
    items = data.split(b"\0")
    if any(not item.startswith(_ITEM) for item in items):
        raise ValueError("an item without its mark")
    return tuple(item[1:] for item in items)
