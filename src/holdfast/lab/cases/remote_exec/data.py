"""What is observed of remote commands: as in the notes, repaired, and through Holdfast."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Framed(msgspec.Struct, frozen=True):
    """One answer of the notes' server as it came over the wire; seconds since the command was sent."""

    command: str
    declared: int
    """Length of the header, by the four bytes in front of it."""
    header: str
    body: str
    prefix_s: float
    header_s: float
    body_s: float


class Reuse(msgspec.Struct, frozen=True):
    """The option SO_REUSEADDR, and a server that was killed with a client in it and is started again."""

    after_getsockopt: int
    """The option's value after the call of the notes."""
    after_setsockopt: int
    notes_again: str
    """Why the second start failed; "": it came up."""
    repaired_again: str


class Pieces(msgspec.Struct, frozen=True):
    """What becomes of a client whose answer comes in pieces. Texts are the client's last words, "" if all went well."""

    tries: int
    """Answers of the notes' server over the loopback."""
    whole: int
    """How many of their prefixes and headers came with one ``recv`` each."""
    prefix: str
    """The notes' client, when the prefix came as two and two bytes."""
    header: str
    """The same, when the header came in two halves."""
    repaired: str
    """The repaired client, when prefix and header came byte by byte."""
    holdfast: bool
    """Whether Holdfast's parser put a frame together that came byte by byte."""


class Large(msgspec.Struct, frozen=True):
    """A large answer, and one that is cut off."""

    wanted: int
    notes: int
    """Bytes that the notes' client has printed."""
    cut_ended: bool
    """Whether the notes' client ended by itself after the connection was cut within an answer."""
    cut_watched_s: float
    """How long it was watched."""
    cut_cpu_s: float
    """Processor time that it used meanwhile."""
    repaired: str
    """What the repaired client said when its answer was cut off."""
    holdfast: int
    """Bytes that ``host.run`` gave through a proxy that cut the connection."""
    holdfast_links: int
    """Connections that it took."""


class Decoded(msgspec.Struct, frozen=True):
    """A text in some encoding on its way through each client; None: no text came out, and ``error`` says why."""

    name: str
    text: str
    notes: str | None
    error: str
    repaired: str
    holdfast: str


class Lengths(msgspec.Struct, frozen=True):
    """The header's length in characters and in bytes; with ``json.dumps`` as it is, and without its escapes."""

    escaped_characters: int
    escaped_bytes: int
    plain_characters: int
    plain_bytes: int
    plain_error: str
    """The notes' client's last words when it got the second header with its characters as the length."""


class Long(msgspec.Struct, frozen=True):
    """A command of more than 1024 bytes, and the one after it."""

    size: int
    ran: int
    """How many commands the notes' server made of the two."""
    first: str
    """The end of what the notes' client printed as the first answer."""
    second: str
    """What it printed as the second."""
    wanted_second: str
    repaired: bool
    """Whether the repaired pair brought both answers."""
    holdfast_size: int
    holdfast: bool
    """Whether ``host.run`` ran a command of ``holdfast_size`` bytes whole."""


class Stranger(msgspec.Struct, frozen=True):
    """Somebody who has only the address. Texts are what he got."""

    notes: str
    """The answer of the notes' server; "" if it ran nothing."""
    repaired: str
    """The answer of the repaired server; "" if it ran nothing."""
    holdfast: str
    """How an agent that listens on the network turned him away."""
    holdfast_jobs: int
    """Jobs that the agent had run for him."""


class Filled(msgspec.Struct, frozen=True):
    """A command that writes so many bytes to standard error: seconds until its answer; None: none within the limit."""

    size: int
    notes_s: float | None
    repaired_s: float | None
    holdfast_s: float | None


class Pipes(msgspec.Struct, frozen=True):
    """What a pipe holds, and commands that write less and more than that."""

    capacity: int
    limit_s: float
    filled: tuple[Filled, ...]
    server_waits_in: str
    """Where the kernel has the stuck server wait; "" if that is not told."""
    child_waits_in: str


class Told(msgspec.Struct, frozen=True):
    """What an answer tells beside its bytes."""

    hashes: tuple[str, str]
    """The header's hash of two different answers."""
    sums: tuple[str, str]
    """What the fields would have to say (SHA-256, the first digits)."""
    damage_notes: str
    """The notes' client's last words when a byte had changed on the way; "": it noticed nothing."""
    damage_repaired: str
    headers: tuple[str, str]
    """The headers after exit 0 and after exit 3."""
    repaired_status: int
    holdfast_status: int
    mixed: str
    """The answer to a command that wrote OUT, then ERR to standard error, then OUT again."""
    holdfast_channels: tuple[str, str]
    holdfast_digests: tuple[str, str]
    """The receipts' digests of the two answers."""


class Departure(msgspec.Struct, frozen=True):
    """How a client left, and whether the next one was served."""

    how: str
    notes: bool
    last_words: str
    """Of the notes' server, if it ended."""
    repaired: bool


class Turns(msgspec.Struct, frozen=True):
    """One client stays, another asks. Seconds since the first one came."""

    left_s: float
    asked_s: float
    answered_s: float


class Unreaped(msgspec.Struct, frozen=True):
    """Children of the server that are over and not taken away, counted after each of its commands."""

    notes: tuple[int, ...]
    repaired: tuple[int, ...]
    holdfast: int
    """The same of Holdfast's processes, after as many commands."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    session: Ran
    """The notes' client with three commands at its standard input."""
    commands: tuple[str, ...]
    wanted: tuple[str, ...]
    """What these commands write."""
    framed: Framed
    reuse: Reuse
    pieces: Pieces
    large: Large
    texts: tuple[Decoded, ...]
    lengths: Lengths
    long: Long
    stranger: Stranger
    pipes: Pipes
    told: Told
    departures: tuple[Departure, ...]
    notes_turns: Turns
    repaired_turns: Turns
    holdfast_turns: Turns
    unreaped: Unreaped
