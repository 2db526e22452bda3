"""Asks the notes' pair, the repaired pair and Holdfast for the same things."""

from __future__ import annotations

import hashlib
import json
import time

from holdfast.lab.cases.remote_exec import at_the_client, at_the_server, peers, sayings
from holdfast.lab.cases.remote_exec.beside import LONG, Beside, beside
from holdfast.lab.cases.remote_exec.data import (
    Data,
    Decoded,
    Departure,
    Filled,
    Framed,
    Large,
    Long,
    Pieces,
    Pipes,
    Reuse,
    Stranger,
    Told,
    Unreaped,
)
from holdfast.lab.cases.remote_exec.peers import NOTES, REPAIRED, Server
from holdfast.lab.seen import Ran
from holdfast.lab.workbench import Lab

LARGE = 300_000
COMMANDS = ("echo one", "echo two; echo three", "printf '%s-' a b c")
WANTED = ("one", "two\nthree", "a-b-c-")
MIXED = "echo OUT; echo ERR >&2; echo OUT"


def observe(lab: Lab) -> Data:
    """All of it; Holdfast first, since one agent answers all, and is gone when the programs are timed."""
    limit_s = lab.pick(quick=0.5, full=3.0)
    stay_s = lab.pick(quick=0.4, full=2.0)
    commands = lab.pick(quick=4, full=20)
    capacity = at_the_server.pipe_capacity()
    sizes = (capacity // 4, capacity, capacity + 1024, 4 * capacity)
    large = f"head -c {LARGE} /dev/zero | tr '\\0' a"
    texts = tuple(
        (at_the_client.octal(text.encode(encoding)), encoding) for _, text, encoding in at_the_client.TEXTS
    )  # fmt: skip
    lab.say("Holdfast")
    other = beside(lab, large=large, sizes=sizes, texts=texts, commands=commands, stay_s=stay_s)
    lab.say("answers")
    with peers.server(lab, NOTES) as server, peers.server(lab, REPAIRED) as mended:
        session = peers.client(lab, NOTES, server.port, "".join(f"{command}\n" for command in COMMANDS))
        framed = at_the_server.framed(server, "echo hello")
        told = _told(lab, server, mended, other)
        pieces = _pieces(lab, server, other)
        large_one = _large(lab, server, large, limit_s, other)
        decoded = _texts(lab, server, mended, texts, other)
        long = _long(lab, server, mended, other)
    lab.say("pipes, strangers, those who leave")
    return Data(
        session=session,
        commands=COMMANDS,
        wanted=WANTED,
        framed=framed,
        reuse=Reuse(
            after_getsockopt=at_the_server.option_after("getsockopt"),
            after_setsockopt=at_the_server.option_after("setsockopt"),
            notes_again=at_the_server.started_again(lab, NOTES),
            repaired_again=at_the_server.started_again(lab, REPAIRED),
        ),
        pieces=pieces,
        large=large_one,
        texts=decoded,
        lengths=at_the_client.in_characters(lab),
        long=long,
        stranger=Stranger(
            notes=at_the_server.stranger(lab, NOTES),
            repaired=at_the_server.stranger(lab, REPAIRED),
            holdfast=other.stranger,
            holdfast_jobs=other.stranger_jobs,
        ),
        pipes=_pipes(lab, capacity, sizes, limit_s, other),
        told=told,
        departures=_departures(lab),
        notes_turns=at_the_server.turns(lab, NOTES, stay_s),
        repaired_turns=at_the_server.turns(lab, REPAIRED, stay_s),
        holdfast_turns=other.turns,
        unreaped=Unreaped(
            notes=at_the_server.unreaped(lab, NOTES, commands),
            repaired=at_the_server.unreaped(lab, REPAIRED, commands),
            holdfast=other.zombies,
        ),
    )


def _told(lab: Lab, server: Server, mended: Server, other: Beside) -> Told:
    def framed(command: str) -> Framed:
        return at_the_server.framed(server, command)

    one, two = framed("echo one"), framed("echo two")
    ends = framed("exit 0"), framed("exit 3")
    damage_notes, damage_repaired = at_the_client.damaged(lab)
    status = peers.client(lab, REPAIRED, mended.port, "exit 3\n")
    return Told(
        hashes=(_field(one, "hashlib"), _field(two, "hashlib")),
        sums=(_sum(one.body), _sum(two.body)),
        damage_notes=damage_notes,
        damage_repaired=damage_repaired,
        headers=(ends[0].header, ends[1].header),
        repaired_status=_status(status),
        holdfast_status=other.status,
        mixed=framed(MIXED).body,
        holdfast_channels=other.channels,
        holdfast_digests=other.digests,
    )


def _pieces(lab: Lab, server: Server, other: Beside) -> Pieces:
    tries = lab.pick(quick=8, full=100)
    prefix, header, repaired = at_the_client.in_pieces(lab)
    return Pieces(
        tries=tries,
        whole=at_the_client.prefixes_in_one(server, tries),
        prefix=prefix,
        header=header,
        repaired=repaired,
        holdfast=other.in_bytes,
    )


def _large(lab: Lab, server: Server, command: str, watched_s: float, other: Beside) -> Large:
    answers = sayings.printed(peers.client(lab, NOTES, server.port, command + "\n"))
    ended, used, said = at_the_client.cut_off(lab, watched_s)
    return Large(
        wanted=LARGE,
        notes=len(answers[0]) if answers else 0,
        cut_ended=ended,
        cut_watched_s=watched_s,
        cut_cpu_s=used,
        repaired=said,
        holdfast=other.large,
        holdfast_links=other.links,
    )


def _texts(
    lab: Lab, server: Server, mended: Server, texts: tuple[tuple[str, str], ...], other: Beside
) -> tuple[Decoded, ...]:
    """Each text through the notes' client, started again when one has ended it; and through the others."""
    notes: list[tuple[str | None, str]] = []
    while len(notes) < len(texts):
        pending = [command for command, _ in texts[len(notes) :]]
        ran = peers.client(lab, NOTES, server.port, "".join(f"{command}\n" for command in pending))
        came = sayings.printed(ran)[: len(pending)]
        notes += [(sayings.plain(each), "") for each in came]
        if len(came) < len(pending):
            notes.append((None, sayings.last_words(ran)))
    right = peers.client(lab, REPAIRED, mended.port, "".join(f"{command}\n" for command, _ in texts)).out
    repaired = [line.partition("exit status")[0] for line in right]
    return tuple(
        Decoded(name=name, text=text, notes=came, error=error, repaired=mend, holdfast=holdfast)
        for (name, text, _), (came, error), mend, holdfast in zip(
            at_the_client.TEXTS, notes, repaired, other.texts, strict=True
        )
    )


def _departures(lab: Lab) -> tuple[Departure, ...]:
    notes, repaired = at_the_server.departures(lab, NOTES), at_the_server.departures(lab, REPAIRED)
    return tuple(
        Departure(how=how, notes=served, last_words=words, repaired=mended)
        for (how, served, words), (_, mended, _) in zip(notes, repaired, strict=True)
    )


def _long(lab: Lab, server: Server, mended: Server, other: Beside) -> Long:
    """A command whose 1025th byte begins what would be another."""
    long = "echo " + "a" * (1024 - 5) + "echo the rest is a command"

    def commands() -> int:
        """The server prints each as bytes, and the end of a client as an error."""
        return sum(line.text.startswith("b") for line in server.running.lines())

    before = commands()
    answers = sayings.printed(peers.client(lab, NOTES, server.port, f"{long}\necho next\n"))
    time.sleep(0.1)  # the last command that the server has made of them
    ran = commands() - before
    right = peers.client(lab, REPAIRED, mended.port, f"{long}\necho next\n").out
    return Long(
        size=len(long),
        ran=ran,
        first=sayings.plain(answers[0][-30:]) if answers else "",
        second=sayings.plain(answers[1][-30:]) if len(answers) > 1 else "",
        wanted_second="next",
        repaired=right[:1] == (long[5:],) and "next" in right,
        holdfast_size=LONG,
        holdfast=other.long,
    )


def _pipes(lab: Lab, capacity: int, sizes: tuple[int, ...], limit_s: float, other: Beside) -> Pipes:
    filled = []
    places = ("", "")
    with peers.server(lab, REPAIRED) as mended:
        for size, holdfast_s in zip(sizes, other.fills, strict=True):
            command = at_the_server.fill(size)
            repaired_s = peers.timed(lambda command=command: mended.ask(command))  # type: ignore[misc]
            # What comes at all has come long before that; what is stuck stays stuck.
            wait_s = limit_s if size > capacity else peers.ANSWER_LIMIT_S
            notes_s, *where = at_the_server.stuck(lab, size, wait_s)
            places = (where[0], where[1]) if notes_s is None else places
            filled.append(Filled(size, notes_s, repaired_s, holdfast_s))
    return Pipes(capacity, limit_s, tuple(filled), *places)


def _field(framed: Framed, name: str) -> str:
    return str(json.loads(framed.header)[name])


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _status(ran: Ran) -> int:
    line = next((line for line in ran.out if line.startswith("exit status")), "exit status -1")
    return int(line.split()[-1])
