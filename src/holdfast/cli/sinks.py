"""Where the output of a followed job goes: as it is, escaped for a terminal, or as JSON Lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from holdfast.cli.documents import SCHEMA, bytes_fields, receipt_document, to_json
from holdfast.cli.out import FDS, ControlEscaper, write_all
from holdfast.types import STDERR, STDOUT, Receipt

if TYPE_CHECKING:
    from holdfast import Job

STDOUT_FD: Final = 1
CHANNEL_NAMES: Final = {STDOUT: "stdout", STDERR: "stderr"}


class Sink(Protocol):
    """Takes what a job writes, and how it ended."""

    def write(self, channel: int, data: bytes) -> None:
        """The next bytes of a channel."""

    def end(self, receipt: Receipt | None, exit_code: int, error: str | None) -> None:
        """Nothing more comes; ``receipt`` is None where there is none."""


class RawSink:
    """The command's bytes, untouched: stdout to stdout, stderr to stderr."""

    def write(self, channel: int, data: bytes) -> None:
        write_all(FDS[channel], data)

    def end(self, receipt: Receipt | None, exit_code: int, error: str | None) -> None:
        """Nothing of ours belongs there."""


class EscapedSink:
    """Stored output for a terminal: control characters are made visible."""

    def __init__(self) -> None:
        self._escapers = {channel: ControlEscaper() for channel in FDS}

    def write(self, channel: int, data: bytes) -> None:
        write_all(FDS[channel], self._escapers[channel].feed(data))

    def end(self, receipt: Receipt | None, exit_code: int, error: str | None) -> None:
        for channel, escaper in self._escapers.items():
            write_all(FDS[channel], escaper.close())


class JsonSink:
    """JSON Lines on standard output: what happened, in order, ending with the receipt."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._started = False
        self._event("accepted", job=job.id, key=job.key, deduplicated=job.deduplicated)

    def write(self, channel: int, data: bytes) -> None:
        self._tell_start()
        offset = self._job.delivered.get(channel, len(data)) - len(data)
        self._event("output", channel=CHANNEL_NAMES[channel], offset=offset, **bytes_fields(data))

    def end(self, receipt: Receipt | None, exit_code: int, error: str | None) -> None:
        self._tell_start()
        document = None if receipt is None else receipt_document(receipt)
        self._event("receipt", holdfast_exit=exit_code, error=error, receipt=document)

    def _tell_start(self) -> None:
        if not self._started and self._job.pid is not None:
            self._started = True
            self._event("started", job=self._job.id, pid=self._job.pid)

    def _event(self, name: str, **fields: Any) -> None:
        write_all(STDOUT_FD, to_json({"schema": SCHEMA, "event": name, **fields}))
