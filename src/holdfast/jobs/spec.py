"""What was asked for: the settings of a job as the journal keeps them, next to the body's raw bytes."""

from __future__ import annotations

import msgspec

from holdfast.types import Durability, OnDisconnect, Retention


class JobSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything of a job but its body (argv, environment and directory, exact bytes: ``jobs.body``).

    ``argv`` and ``cwd`` here are for people (undecodable bytes escaped); what is executed comes from the body.
    ``limits`` maps a resource's name (``"nofile"``) to its soft and hard value. ``key`` is the start key if a user
    named it (it is handed to the command), "" if it was generated. ``path`` and ``lang`` are the caller's own, for
    what the environment does not say. ``hold`` names what the job was given to hold until its end; ``fence`` is the
    fencing token of that.
    """

    argv: tuple[str, ...] = ()
    cwd: str = ""
    shell: bool = False
    label: str = ""
    timeout_s: float | None = None
    grace_s: float = 10.0
    linger_s: float = 2.0
    leave: bool = False
    stdin: bool = False
    on_disconnect: OnDisconnect = "keep"
    durability: Durability = "process"
    retention: Retention = Retention()
    not_after_unix_s: float | None = None
    retry_of: str | None = None
    user: str | None = None
    groups: tuple[str, ...] = ()
    umask: int | None = None
    limits: dict[str, tuple[int, int]] = {}
    key: str = ""
    path: str = ""
    lang: str = ""
    hold: tuple[str, ...] = ()
    fence: int | None = None

    def encode(self) -> bytes:
        """JSON, as it lies in the journal."""
        return _encode(self)

    @classmethod
    def decode(cls, data: bytes) -> JobSpec:
        """The spec of a journal row; fields of a newer version are ignored.

        Raises:
            msgspec.DecodeError: not a job spec.
        """
        return _decode(data)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(JobSpec).decode
