"""Writes the tables of docs/spec/protocol.md from the code, between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

python -m tests.unit.wire.spec_tables      # after a change of limits, types or messages
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import xxhash
from msgspec import inspect as mi

import holdfast.types as shared
from holdfast.wire import coordination, enrol, limits, messages, plans, requests
from holdfast.wire.certificate import fingerprint, key_digest, public_key_info
from holdfast.wire.codes import ErrorCode
from holdfast.wire.frames import FrameType
from holdfast.wire.invitation import Invitation
from holdfast.wire.link import Link
from holdfast.wire.phases import ALLOWED, Phase, Role
from tests.unit.wire import certificates
from tests.unit.wire.pair import frames_of

SPEC: Final = Path(__file__).resolve().parents[3] / "docs" / "spec" / "protocol.md"

POSITION: Final = {
    "PING": "nonce, any",
    "PONG": "the PING's nonce",
    "EVT": "number of the event on this stream, from 1",
    "DATA": "offset of the first byte of the body",
    "CREDIT": "limit: bytes up to, not including, this offset may be sent",
    "END": "total length of the channel",
    "ACK": "everything below this offset is held by the agent",
    "GAP": "offset of the next byte that still exists",
}
HEADER: Final = {
    "HELLO": "Hello",
    "WELCOME": "Welcome",
    "GOAWAY": "GoAway",
    "CLOSE": "Close",
    "ENROL": "a step of enrolment",
    "REQ": "a request",
    "RES": "the answer to that request",
    "ERR": "Failure",
    "EVT": "an event",
    "END": "End, or empty",
}
BODY: Final = {
    "REQ": "of RUN, PLAN and PUT: see below",
    "RES": "of TAKE: the item's value; else empty",
    "DATA": "1 byte or more of the channel",
}
CODES: Final = {
    "PROTOCOL": ("the peer broke this specification", "a bug of one side; do not repeat"),
    "TOO_LARGE": ("a length over its limit, or an answer that is larger than a client takes", "ask for less"),
    "VERSION": ("no common protocol version", "upgrade the older side"),
    "DEADLINE": ("no greeting in time", "connect again"),
    "FLOW_CONTROL": ("bytes beyond a credit, or a credit that does not rise by a step", "a bug of one side"),
    "TOO_MANY_STREAMS": ("more streams open than allowed", "a bug of the client"),
    "RATE_LIMITED": ("too many streams, frames, CREDITs or PINGs a second", "connect again, slower"),
    "IDLE": ("the connection was not used", "connect again when needed"),
    "SHUTTING_DOWN": ("the agent is ending or restarting", "same request after `retry_after_s`"),
    "SUPERSEDED": ("a newer connection has taken this one's place", "do not repeat"),
    "UNAUTHENTICATED": ("the peer's identity, or its invitation, was not accepted", "never"),
    "FORBIDDEN": ("this principal may not do this", "never"),
    "REVOKED": ("this principal's key was withdrawn", "never"),
    "INVALID": ("a request that is not readable or not in its bounds", "never unchanged"),
    "UNSUPPORTED_FIELD": ("a request, or a field of one, that this agent does not know", "never unchanged"),
    "NOT_FOUND": ("no such job, or none that this principal may see", "never"),
    "KEY_REUSED": ("this start key belongs to another body", "never under this key"),
    "KEY_EXPIRED": ("a generated start key older than seven days", "never under this key"),
    "EXPIRED": ("`not_after_unix_s` is over", "never unchanged"),
    "INCARNATION": ("the journal is not the one named in the request", "never; its memory of keys is gone"),
    "OFFSET_GONE": ("bytes that the job's retention rule has dropped; `first` is the oldest kept", "from `first`"),
    "OFFSET_AHEAD": ("an offset beyond what exists", "never unchanged"),
    "DIGEST": ("content that does not match its digest", "never unchanged"),
    "STATE": ("the job is not in a state in which this can be done", "when the state has changed"),
    "QUEUE_FULL": ("as many jobs wait as are allowed to", "same key, after `retry_after_s`"),
    "QUOTA": ("a limit of this principal is reached", "same key, after `retry_after_s`"),
    "DISK_FULL": ("the disk is fuller than the agent's marks", "same key, after `retry_after_s`"),
    "BUSY": ("too much else is going on", "same key, after `retry_after_s`"),
    "INTERNAL": ("a bug of the agent", "same key, later"),
    "JOURNAL_FAILED": ("the journal takes no writes any more", "same key, after a restart"),
    "LOCK_TIMEOUT": ("the time for taking a lock is over", "when it is free"),
    "DEADLOCK": ("the wait would never end", "after giving something back"),
    "LEASE_LOST": ("this client was not heard of for too long, and holds nothing any more", "never; take it anew"),
    "STALE_TOKEN": ("a fencing token that is older than one seen before", "never"),
    "NOT_HOLDER": ("given back by who does not hold it, or used without holding it", "never"),
}
NOTES: Final[dict[str, str]] = {
    "Hello.lowest": "oldest protocol the client speaks",
    "Hello.highest": "newest protocol the client speaks",
    "Hello.instance": "random, one per client process",
    "Hello.software": "name/version, for people",
    "Hello.features": "unknown ones are ignored",
    "Welcome.protocol": "the chosen one, between lowest and highest",
    "Welcome.agent": "name of the agent",
    "Welcome.incarnation": "id of its journal; another one has no memory of earlier keys",
    "Welcome.boot_id": "the host's, changes with each boot",
    "Welcome.principal": "who the client is here",
    "Welcome.features": "those of HELLO that will be used",
    "Welcome.unix_s": "the agent's clock",
    "GoAway.code": "108 when ending or restarting",
    "GoAway.last_stream": "highest stream number taken; later ones get ERR 108",
    "Close.code": "0: in order; else an error code",
    "Failure.ran": "whether the command ran",
    "Failure.retry_after_s": "absent: not by waiting",
    "Failure.first": "with 307: oldest offset kept",
    "End.xxh3": "XXH3-128 of the bytes from `first` to the end, 32 hex digits; absent: not known yet, or stdin",
    "End.first": "where the digest starts",
    "End.partial": "the present end, not the channel's",
    "Run.key": "start key: at most one command is ever started for it; counted in UTF-8 bytes",
    "Run.argc": "arguments in the body",
    "Run.envc": "entries `NAME=value` in the body",
    "Run.has_cwd": "the body ends with a directory",
    "Run.user_key": "chosen by a person: remembered until forgotten; else a UUIDv7",
    "Run.shell": "the one argument is a command line for `/bin/sh -c`",
    "Run.umask": "absent: 022",
    "Run.user": "absent: the agent's own",
    "Run.rlimits": "resource name without `RLIMIT_`, lower case, to soft and hard value",
    "Run.timeout_s": "the job's time limit; absent: none",
    "Run.grace_s": "between TERM and KILL",
    "Run.leave": "processes left over at the end may live on",
    "Run.stdin": "the client will send channel 0; else it is empty",
    "Run.on_disconnect": "when the last attached client is gone; a number: kill after so many seconds; "
    "absent: 60 attached, `keep` detached",
    "Run.durability": "what ACCEPTED and the receipt survive: death of any process, or loss of power",
    "Run.attach": "stay on this stream until the end",
    "Run.credit": "first credit of channels 1 and 2, from offset 0",
    "Run.label": "for people; counted in UTF-8 bytes",
    "Run.not_after_unix_s": "refused with 305 when accepted later than this",
    "Run.incarnation": "refused with 306 if the journal is another one; sent when repeating",
    "Run.hints": "may be ignored",
    "Retention.rule": "keep everything, keep the last bytes, or end the job",
    "Retention.limit_bytes": "per channel; 0: only the disk's marks",
    "Get.job": "or a unique prefix of four characters",
    "List.all": "those that are done, too",
    "List.before": "only jobs older than this id",
    "List.prefix": "only ids that start so",
    "Read.offsets": "channel to first byte wanted",
    "Read.credit": "first credit of each channel, counted from its offset",
    "Read.follow": "up to the job's end; else the present one",
    "Read.lease": "counts as an attached client",
    "Read.tail_lines": "start at the last so many lines instead",
    "Wait.lease": "counts as an attached client",
    "Signal.scope": "main process, its process group, every process of the job",
    "Stop.grace_s": "absent: the job's own",
    "Retry.key": "the new job's start key",
    "Forget.forget_key": "the start key may then start a command again",
    "Prune.older_than_s": "absent: the agent's own retention",
    "Leftovers.end": "kill them",
    "Shutdown.jobs": "end the jobs, too",
    "Invite.ttl_s": "how long the invitation is open",
    "Invite.address": "goes into the invitation as the address to connect to; absent: one that the agent listens on",
    "Revoke.jobs": "cancel its waiting jobs and stop its running ones",
    "Accepted.deduplicated": "the key was known; nothing new was started by this request",
    "Accepted.queued_before": "jobs waiting in front",
    "Opened.lengths": "channel to present length",
    "Opened.first": "channel to oldest offset kept",
    "Opened.offsets": "channel to where it starts: committed size of stdin, or the start of the tail",
    "JobsAnswer.more": "older ones follow: ask with `before` = the last id",
    "WriteAnswer.committed": "bytes of stdin, all recorded",
    "StatusAnswer.listeners": "addresses that are listened on: `tls://` for enrolled keys, `http://` for Prometheus",
    "StatusAnswer.network": "counters of the accept loop",
    "StatusAnswer.disk": "`free_bytes` and `total_bytes` of the state directory's file system",
    "StatusAnswer.policy": "start of the policy file's hash; empty: there is none; or `invalid: ` and the reason",
    "InviteAnswer.invitation": 'see "Invitations"',
    "InviteAnswer.id": "the invitation's id, no secret",
    "PrincipalInfo.fingerprint": "of its key, `hf:` and 32 characters",
    "PrincipalInfo.seen_unix_s": "when it last connected; absent: never",
    "PrincipalInfo.connections": "open now",
    "RevokeAnswer.connections": "that were open and were ended",
    "RevokeAnswer.jobs_cancelled": "that were waiting",
    "RevokeAnswer.jobs_stopped": "that were running and were told to end",
    "EnrolAsk.invitation": "its id",
    "EnrolAsk.certificate": "the client's, DER; its key is what is enrolled",
    "EnrolAsk.nonce": "random, fresh",
    "EnrolAsk.name": "how the client would like to be called",
    "EnrolChallenge.nonce": "random, fresh",
    "EnrolProof.mac": "the client's",
    "Enrolled.mac": "the agent's",
    "Enrolled.principal": "how it is called here",
    "Enrolled.host": "the agent's host",
    "EnrolRefused.code": "200 for everything that is wrong with the invitation or the proof, 202 for a revoked key",
    "Welcome.python": "version of the interpreter that runs functions there",
    "Welcome.worker": "how the command line of a worker begins",
    "Run.hold": "what the job takes over from the client, until its tree has ended",
    "Acquire.label": "the owner's name, for people",
    "Await.label": "the owner's name, for people",
    "Meet.of": "the number of the `wait` that was answered with `act`",
    "Release.units": "1 for locks",
    "Notify.count": "null: everybody",
    "Put.priority": "lower ones come first, in a queue of order `priority`",
    "Drop.forget": "for everybody, with all that it holds",
    "Renew.ttl_s": "from now on",
    "Plan.run": "without its tag's stream: it is not attached, and its key is made of id and firing",
    "PlanInfo.job": "of the latest firing",
    "PlanInfo.due_unix_s": "absent: it waits for no time",
    "LeaseInfo.left_s": "absent: a job holds it, until it has ended",
    "Dial.credit": "first credit of channel 1, from offset 0",
    "DialAnswer.gone": "the worker's process has ended; else it can be asked again",
    "Progress.total": "0: not known",
    "VerifyAnswer.mismatches": "one line each; empty: all as recorded",
}


def structs(module: Any, base: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """Subclasses of ``base`` in the order in which the module has them."""
    return [k for k in vars(module).values() if isinstance(k, type) and issubclass(k, base) and k is not base]


GREETINGS: Final[list[type[msgspec.Struct]]] = [
    messages.Hello,
    messages.Welcome,
    messages.GoAway,
    messages.Close,
    messages.End,
    messages.Failure,
]
REQUESTS: Final[list[type[msgspec.Struct]]] = list(requests.AnyRequest.__args__)
STEPS: Final = structs(enrol, enrol.Step)
EVENTS: Final = structs(messages, messages.Event)
ANSWERS: Final = [
    kind
    for module in (messages, coordination, plans)
    for kind in structs(module, msgspec.Struct)
    if kind.__module__ == module.__name__ and kind.__name__.endswith("Answer")
]
SHARED: Final[list[type[msgspec.Struct]]] = [
    messages.Leftover,
    messages.PrincipalInfo,
    messages.ObjectAsked,
    messages.Hold,
    messages.Step,
    messages.LeaseInfo,
    messages.PlanInfo,
    messages.GroupInfo,
    shared.Retention,
    shared.Receipt,
    shared.ExitStatus,
    shared.ChannelRecord,
    shared.Usage,
    shared.JobInfo,
]


def describe(kind: mi.Type) -> str:
    """A type as a reader of JSON would say it."""
    match kind:
        case mi.BoolType():
            return "boolean"
        case mi.IntType():
            return "integer" + _range(kind.ge, kind.le)
        case mi.FloatType():
            return "number" + _range(kind.ge, kind.le)
        case mi.StrType():
            if kind.pattern is not None:
                return f"string, {kind.min_length} characters, `{kind.pattern}`"
            return "string" + _range(kind.min_length, kind.max_length, " characters")
        case mi.BytesType():
            if kind.min_length == kind.max_length and kind.min_length is not None:
                return f"{kind.min_length} bytes in base64"
            return "bytes in base64" + _range(kind.min_length, kind.max_length)
        case mi.NoneType():
            return "null"
        case mi.AnyType():
            return "anything"
        case mi.LiteralType():
            return " or ".join(f"`{str(value).lower()}`" for value in sorted(kind.values, key=str))
        case mi.EnumType():
            return " or ".join(f"`{member.value}`" for member in kind.cls)
        case mi.UnionType():
            return " or ".join(describe(t) for t in kind.types if not isinstance(t, mi.NoneType))
        case mi.VarTupleType() | mi.ListType():
            return f"array of {describe(kind.item_type)}"
        case mi.TupleType():
            return "[" + ", ".join(describe(t) for t in kind.item_types) + "]"
        case mi.DictType():
            return f"object: {describe(kind.key_type)} to {describe(kind.value_type)}"
        case mi.StructType():
            return "Retention" if kind.cls.__name__ == "RetentionAsked" else _name(kind.cls)
        case _:
            raise TypeError(f"no words for {kind}")


def _name(kind: type) -> str:
    """As the catalogue has it: requests by their tag."""
    if issubclass(kind, messages.Request):
        return f"`{kind.__struct_config__.tag}`"
    return kind.__name__


def _range(low: float | None, high: float | None, unit: str = "") -> str:
    if low is None and high is None:
        return ""
    return f", {low or 0} to {high}{unit}" if high is not None else f", from {low}{unit}"


def fields(kind: type[msgspec.Struct]) -> str:
    """The fields of one message as a table."""
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    if not info.fields:
        return "No fields.\n"
    rows = ["| field | type | default | |", "|---|---|---|---|"]
    for field in info.fields:
        if field.required:
            default = "required"
        elif field.default is None or field.default is msgspec.NODEFAULT:
            empty = field.default is msgspec.NODEFAULT and field.default_factory in (dict, list)
            default = "empty" if empty else "absent"
        elif isinstance(field.default, bool):
            default = str(field.default).lower()
        else:
            default = f"{field.default}" if isinstance(field.default, int | float) else _literal(field.default)
        note = NOTES.get(f"{kind.__name__}.{field.name}", "")
        rows.append(f"| `{field.encode_name}` | {describe(field.type)} | {default} | {note} |")
    return "\n".join(rows) + "\n"


def _literal(value: object) -> str:
    if isinstance(value, str) and value:
        return f"`{value}`"
    return "empty"


def told(kind: type[msgspec.Struct]) -> str:
    """The docstring, as one paragraph of Markdown."""
    return re.sub(r"\s+", " ", (kind.__doc__ or "").strip()).replace("``", "`")


def catalogue(kinds: list[type[msgspec.Struct]], prefix: str = "") -> str:
    parts = []
    for kind in kinds:
        tag = kind.__struct_config__.tag
        title = f"{prefix}`{tag}`" if tag else kind.__name__
        parts.append(f"### {title}\n\n{told(kind)}\n\n{fields(kind)}")
    return "\n".join(parts)


def frame_types() -> str:
    rows = ["| type | name | from | position | header | body |", "|---|---|---|---|---|---|"]
    for kind in FrameType:
        to_agent = any(kind in ALLOWED[Role.AGENT, phase] for phase in Phase)
        to_client = any(kind in ALLOWED[Role.CLIENT, phase] for phase in Phase)
        sender = "both" if to_agent and to_client else "client" if to_agent else "agent"
        cells = (POSITION.get(kind.name, "0"), HEADER.get(kind.name, "empty"), BODY.get(kind.name, "empty"))
        rows.append(f"| 0x{kind:02x} | {kind.name} | {sender} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def phases() -> str:
    columns = [(role, phase) for role in Role for phase in Phase if phase is not Phase.CLOSED]
    rows = ["| type | " + " | ".join(f"{role} in {phase.name}" for role, phase in columns) + " |", "|---" * 9 + "|"]
    for kind in FrameType:
        cells = [ALLOWED[key].get(kind) for key in columns]
        rows.append(f"| {kind.name} | " + " | ".join("–" if c is None else f"{c[0]} + {c[1]}" for c in cells) + " |")
    return "\n".join(rows) + "\n"


def codes() -> str:
    rows = ["| code | name | meaning | asking again |", "|---|---|---|---|"]
    rows += [f"| {code.value} | {code.name} | {' | '.join(CODES[code.name])} |" for code in ErrorCode]
    return "\n".join(rows) + "\n"


def bounds() -> str:
    rows = ["| limit | value | |", "|---|---|---|"]
    body = ast.parse(Path(limits.__file__).read_text()).body
    for assign, doc in itertools.pairwise(body):
        if isinstance(assign, ast.AnnAssign) and isinstance(assign.target, ast.Name) and isinstance(doc, ast.Expr):
            name, text = assign.target.id, ast.literal_eval(doc.value)
            value = getattr(limits, name)
            rows.append(f"| {name} | {value} | {' '.join(text.split())} |")
    return "\n".join(rows) + "\n"


def shown(sender: str, data: bytes, told: str) -> str:
    """One frame in hex, its header and body once more as text."""
    frames = frames_of(data)
    assert len(frames) == 1
    lines = [data[:24].hex(" ")]
    for part in (frames[0].header, frames[0].body):
        lines += [part[i : i + 24].hex(" ") for i in range(0, len(part), 24)]
        if part:
            lines.append("    " + part.decode().replace("\0", "\\0").replace("\n", "\\n"))
    name = FrameType(frames[0].type).name
    return f"{sender} sends {name}: {told}\n\n```\n" + "\n".join(lines) + "\n```\n"


def example() -> str:
    """A small session, made by two links, frame by frame in hex."""
    client = Link(Role.CLIENT, now=0.0, hello=messages.Hello(1, 1, "0123456789abcdef"))
    agent, parts = Link(Role.AGENT, now=0.0), []

    def show(sender: Link, receiver: Link, told: str) -> None:
        data = sender.data_to_send()
        receiver.receive_data(data, now=0.0)
        parts.append(shown(str(sender.role), data, told))

    show(client, agent, "the greeting.")
    agent.welcome(messages.Welcome(1, "a1", "i1", "b1", "ada"))
    show(agent, client, "connected.")
    run = messages.Run(key="k1", argc=2, credit=65536)
    stream = client.request(run, messages.pack_items((b"echo", b"hi")), reads={1: (0, 65536), 2: (0, 65536)})
    show(client, agent, "start `echo hi`, stay attached, 64 KiB of credit for each channel. Two items in the body.")
    for channel in (1, 2):
        agent.open_out(stream, channel, offset=0, limit=65536)
    agent.event(stream, 1, messages.Accepted("jobjobjobjob", shared.JobState.RUNNING, "b1", "i1"))
    show(agent, client, "event 1 of stream 1.")
    agent.send_data(stream, 1, b"hi\n")
    show(agent, client, "three bytes of channel 1, from offset 0.")
    agent.send_end(stream, 1, 3, messages.End(xxh3=xxhash.xxh3_128_hexdigest(b"hi\n")))
    show(agent, client, "channel 1 is three bytes long; their digest.")
    agent.send_end(stream, 2, 0)
    show(agent, client, "channel 2 is empty.")
    receipt = shared.Receipt("jobjobjobjob", shared.Cause.EXITED, shared.ExitStatus(code=0))
    agent.respond(stream, messages.ResultAnswer(receipt))
    show(agent, client, "the answer; stream 1 is over. (A real receipt holds more.)")
    client.close()
    show(client, agent, "the last frame.")
    return "\n".join(parts)


class _Book:
    """One open invitation, as the agent of the example keeps it."""

    def secret_of(self, _invitation: str) -> bytes:
        return EXAMPLE.secret

    def role_of(self, _invitation: str) -> messages.RoleName:
        return EXAMPLE.role

    def failed(self, _invitation: str) -> None:
        raise AssertionError("the example's proof is right")

    def used(self, _invitation: str, _certificate: bytes, name: str) -> tuple[str, messages.RoleName]:
        return name, EXAMPLE.role


EXAMPLE: Final = Invitation(
    "tls://10.0.0.5:7420", fingerprint(certificates.AGENT), bytes(range(16)), "operator", 1_800_000_000.0
)


def enrolment_example() -> str:
    """An invitation and an enrolment with it, made by both cores."""
    client = enrol.EnrolClient(
        EXAMPLE,
        certificate=certificates.CLIENT,
        agent_certificate=certificates.AGENT,
        name="ada@laptop",
        nonce=b"\xc1" * 32,
    )
    agent = enrol.EnrolServer(
        agent_certificate=certificates.AGENT, nonce=b"\xa9" * 32, decide=_Book(), host="web1.example"
    )
    facts = [
        ("the agent's certificate, SHA-256", hashlib.sha256(certificates.AGENT).hexdigest()),
        ("its key", public_key_info(certificates.AGENT).hex()),
        ("SHA-256 of its key", key_digest(certificates.AGENT).hex()),
        ("its fingerprint", fingerprint(certificates.AGENT)),
        ("the client's certificate, SHA-256", hashlib.sha256(certificates.CLIENT).hexdigest()),
        ("secret of the invitation", EXAMPLE.secret.hex()),
        ("its id", EXAMPLE.id),
        ("its text", EXAMPLE.encode()),
    ]
    parts = ["\n".join(["| | |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in facts)]) + "\n"]
    for side, other, told in (
        (client, agent, "who wants in."),
        (agent, client, "a nonce."),
        (client, agent, "the proof."),
        (agent, client, "let in; the agent's own proof."),
    ):
        data = side.data_to_send()
        other.receive_data(data)
        parts.append(shown("client" if side is client else "agent", data, told))
    assert client.result is not None
    return "\n".join(parts)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "frame types": frame_types,
    "phases": phases,
    "connection headers": lambda: catalogue(GREETINGS),
    "requests": lambda: catalogue(REQUESTS),
    "enrolment": lambda: catalogue(STEPS),
    "enrolment example": enrolment_example,
    "events": lambda: catalogue(EVENTS),
    "answers": lambda: catalogue(ANSWERS),
    "shared": lambda: catalogue(SHARED),
    "error codes": codes,
    "limits": bounds,
    "worked example": example,
}
_BLOCK: Final = re.compile(r"(<!-- generated: ([a-z ]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def regenerated(text: str) -> str:
    """The document with every generated block written anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{TABLES[block[2]]()}\n{block[4]}", text)


def blocks(text: str) -> list[str]:
    """Names of the generated blocks of a document."""
    return [block[2] for block in _BLOCK.finditer(text)]


if __name__ == "__main__":
    SPEC.write_text(regenerated(SPEC.read_text()))
