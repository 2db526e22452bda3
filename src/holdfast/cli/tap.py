"""``holdfast tap``: an exchange between client and agent, frame by frame, live or from a file.

A recording is JSON Lines, one for each chunk of bytes that was passed on: seconds since the start, number of the
connection, who sent it, and the bytes in base64.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, Literal

import click
import msgspec

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, to_json
from holdfast.cli.options import CommandAfterDashes, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.relay import Relay, Sender
from holdfast.cli.session import LOCAL, Session
from holdfast.cli.voice import visible
from holdfast.errors import HoldfastError, RemoteProtocolError
from holdfast.wire.frames import Frame, FrameParser, FrameType
from holdfast.wire.limits import CONTROL_BYTES, REQUEST_BODY_BYTES

ANY_FRAME: Final = {int(type_): (CONTROL_BYTES, REQUEST_BODY_BYTES) for type_ in FrameType}
PREVIEW_BYTES: Final = 32
_SECRETS: Final = re.compile(rb'hf1\.[A-Za-z0-9_-]+|(?<="mac":")[^"]*')
"""What a header may hold that opens something: an invitation, and a proof of one."""


class Chunk(msgspec.Struct, frozen=True):
    """One line of a recording. ``sent`` without bytes is the end of the stream."""

    at_s: float
    connection: int
    sender: Literal["client", "agent"]
    sent: bytes


class SeenFrame(msgspec.Struct, frozen=True):
    """A frame and its circumstances."""

    at_s: float
    connection: int
    sender: Sender
    frame: Frame


class Decoder:
    """Chunks in, lines out; each direction of each connection is a stream of frames of its own. Pure.

    Args:
        as_json: Lines are JSON documents instead of text.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._parsers: dict[tuple[int, Sender], FrameParser] = {}
        self._broken: set[tuple[int, Sender]] = set()

    def lines(self, chunk: Chunk) -> Iterator[str]:
        """A line for each frame that this chunk completes, for the end of a stream, and for bytes that are no frame."""
        way = (chunk.connection, chunk.sender)
        if way in self._broken:
            return
        if not chunk.sent:
            yield self._remark(chunk, "end of stream")
            return
        parser = self._parsers.setdefault(way, FrameParser(ANY_FRAME))
        parser.feed(chunk.sent)
        try:
            while (frame := parser.next_frame()) is not None:
                seen = SeenFrame(chunk.at_s, chunk.connection, chunk.sender, frame)
                yield frame_json(seen) if self._as_json else frame_text(seen)
        except RemoteProtocolError as exc:
            self._broken.add(way)
            yield self._remark(chunk, f"not a frame: {exc}")

    def _remark(self, chunk: Chunk, text: str) -> str:
        if self._as_json:
            document = {
                "schema": SCHEMA,
                "at_s": round(chunk.at_s, 6),
                "connection": chunk.connection,
                "sender": chunk.sender,
                "remark": text,
            }
            return to_json(document).decode().rstrip("\n")
        return f"{_start(chunk.at_s, chunk.connection, chunk.sender)} ({text})"


def frame_text(seen: SeenFrame) -> str:
    """A frame in one line: time, connection, direction, type, stream, channel, position, header, body. Pure."""
    frame = seen.frame
    text = f"{_start(seen.at_s, seen.connection, seen.sender)} {FrameType(frame.type).name:7} stream {frame.stream}"
    text += f" channel {frame.channel} position {frame.position}"
    if frame.header:
        text += f" {visible(_without_secrets(frame.header).decode('utf-8', 'backslashreplace'))}"
    if frame.body:
        more = "..." if len(frame.body) > PREVIEW_BYTES else ""
        text += f" + {len(frame.body)} bytes {frame.body[:PREVIEW_BYTES]!r}{more}"
    return text


def frame_json(seen: SeenFrame) -> str:
    """A frame as a JSON document in one line; the body is told by its size alone. Pure."""
    frame = seen.frame
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "at_s": round(seen.at_s, 6),
        "connection": seen.connection,
        "sender": seen.sender,
        "type": FrameType(frame.type).name,
        "stream": frame.stream,
        "channel": frame.channel,
        "position": frame.position,
        "header": _header(_without_secrets(frame.header)),
        "body_bytes": len(frame.body),
    }
    return to_json(document).decode().rstrip("\n")


def read_recording(lines: Iterable[bytes]) -> Iterator[Chunk]:
    """The chunks of a recording.

    Raises:
        HoldfastError: a line that is none; the message names its number.
    """
    decoder = msgspec.json.Decoder(Chunk)
    for number, line in enumerate(lines, 1):
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise HoldfastError(f"line {number} is not part of a recording: {exc}", ran="no") from exc


class TapCommand(CommandAfterDashes):
    """``--read FILE`` stands in the place of a command."""

    example = "holdfast tap -- ls -l"

    def may_lack_command(self, own: list[str]) -> bool:
        return any(arg == "--read" or arg.startswith("--read=") for arg in own)


@click.command(cls=TapCommand, name="tap", short_help="Show an exchange with the agent frame by frame.")
@click.option(
    "--read", "source", type=click.File("rb"), metavar="FILE", help="Show a recording instead of a live exchange."
)
@click.option(
    "--save", "target", type=click.File("wb"), metavar="FILE", help="Keep the exchange in a file, for --read."
)
@json_flag
def command(
    session: Session, argv: list[str] | None, source: IO[bytes] | None, target: IO[bytes] | None, as_json: bool
) -> int:
    """Run a command on the local agent through a socket in between, and show every frame that passes.

    \b
      holdfast tap -- echo hello
      holdfast tap --save exchange.jsonl -- echo hello
      holdfast tap --read exchange.jsonl

    The command's output is shown as part of the frames that carry it, and its exit code is ours.
    """
    if (argv is None) == (source is None):
        raise click.UsageError("give either a command after `--` or a file with --read, not both")
    decoder = Decoder(as_json=as_json)
    if source is not None:
        for chunk in read_recording(source):
            _show(decoder, chunk)
        return exit_codes.OK
    if session.settings.host != LOCAL:
        raise click.UsageError("only exchanges with the local agent can be shown live")

    def observe(at_s: float, connection: int, sender: Sender, data: bytes) -> None:
        chunk = Chunk(at_s, connection, sender, data)
        if target is not None:
            target.write(to_json(chunk))
        _show(decoder, chunk)

    assert argv is not None
    return _run_through_relay(session, argv, observe)


def _run_through_relay(session: Session, argv: list[str], observe: Any) -> int:
    import holdfast

    with session.connect():  # starts the agent where none runs
        pass
    env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with Relay(session.settings.socket_path, observe) as relay:
        with holdfast.connect(f"unix://{relay.path}", timeout=session.settings.connect_timeout_s) as host:
            job = host.start(argv, cwd=os.getcwd(), env=env, label="tap")
            for _ in job.output():
                pass
            ending = exit_codes.of_receipt(job.wait_receipt())
    if ending.line is not None:
        session.voice.say(ending.line)
    return ending.code


def _show(decoder: Decoder, chunk: Chunk) -> None:
    for line in decoder.lines(chunk):
        write_all(1, f"{line}\n".encode("utf-8", "backslashreplace"))


def _start(at_s: float, connection: int, sender: Sender) -> str:
    arrow = "client -> agent" if sender == "client" else "agent -> client"
    return f"{at_s:11.6f} {connection} {arrow}"


def _without_secrets(header: bytes) -> bytes:
    return _SECRETS.sub(b"(hidden)", header)


def _header(header: bytes) -> Any:
    if not header:
        return None
    try:
        return msgspec.json.decode(header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return header.decode("utf-8", "backslashreplace")
