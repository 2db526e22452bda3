"""Results as documents: JSON for programs, Markdown for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bench.figures import BUSY_LOAD, NEIGHBOURS, Figure, verdict
from bench.samples import Reading


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    date: str
    size: str
    seconds: float
    load_before: float
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    figures: Sequence[Figure]


class _Notes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bounds: dict[str, str] = {}


_COLUMNS: Final = (
    "What", "Unit", "Limit here", "Neighbours", "Holdfast", "/ limit", "/ neighbour", "Target", "Verdict",
)  # fmt: skip
_HEAD: Final = f"| {' | '.join(_COLUMNS)} |\n|---|---|{'--:|' * (len(_COLUMNS) - 3)}---|\n"
_WORDS: Final = """\
Medians of rounds in which all contestants take turns; in brackets the lowest and the highest round. Client, agent and
commands share the machine. The ratios are those of Holdfast to the best limit and to the best neighbour of the line.

*Limit here* is the same work without Holdfast. *local*: `subprocess.run` (in flight: two processes of it), a pipe read
and hashed, an echo over a socket pair, and two flushed records around `subprocess.run`. *bare ssl* and *bare uvloop*:
TLS 1.3 between two Python processes with certificates on both sides and nothing behind it; they echo, or send zeros
from memory, which the client hashes. They run no command and keep no byte.

The neighbours run over loopback TCP with AES-128-GCM: AsyncSSH with its own server, OpenSSH with its `sshd`, commands
and streams over a master connection, fresh ones without. Holdfast's TLS has AES-256-GCM; its unix socket is not
encrypted. Hosts are fresh connections to the one server that there is, so the limits on fresh connections of one source
are raised, for `sshd` as for Holdfast. For the memory of idle connections OpenSSH, which has processes for each, is
asked for at most 50.

Function calls: everyone has two workers and calls a function that adds one; all results are looked at. The limit is
the standard library's pool, which forks. The neighbours use pipes and sockets of this machine, unencrypted: execnet is
a loop behind a channel, without a pool and without names of functions; Mitogen calls a named function in its children
in turns; Ray and Dask (an eighth of the calls where they are submitted at once) are measured where somebody has
installed them.

Shared objects: *local* is a request and its answer over a socket pair for each of the two things done. The neighbours
use unix sockets: *Manager* is a server of `multiprocessing.managers` with `threading`'s and `queue`'s own objects, many
in flight are threads; *Redis* keeps a log of changes as Holdfast does (`appendonly`, flushed when the system likes),
its lock is redis-py's, semaphore and hand-over are tokens in a list, many in flight are pipelines. A hand-over is the
time from just before the release in one process to the acquire in another that waits.
"""


def read_notes(text: str) -> dict[str, str]:
    """What bounds each figure, by its id, from the text of ``notes.toml``.

    Raises:
        msgspec.ValidationError: a note that is no text.
    """
    return msgspec.toml.decode(text, type=_Notes).bounds


def to_json(results: Results) -> bytes:
    """Everything, indented."""
    return msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n"


def to_markdown(results: Results, notes: Mapping[str, str]) -> str:
    """The page of one run.

    Args:
        results: The run.
        notes: What bounds a figure, by its id; written by a person.
    """
    parts = ["# Measured\n", _facts(results), _WORDS]
    if results.load_before >= BUSY_LOAD:
        parts.append(
            f"**The machine was busy** (load average {results.load_before:.2f} before the run, {BUSY_LOAD:g} or more): "
            "nothing is said about latencies, and throughput is a lower bound.\n"
        )
    parts.append(_HEAD + "".join(_row(figure, results.load_before) for figure in results.figures))
    bounds = _bounds(results, notes)
    if bounds:
        parts.append("## What bounds them\n\n" + bounds)
    parts.append("![The same figures as bars](results.svg)\n")
    return "\n".join(parts)


def show(reading: Reading | None) -> str:
    """A reading with three figures, and its spread where there is one."""
    if reading is None:
        return "–"
    spread = f" ({number(reading.low)}–{number(reading.high)})" if reading.rounds > 1 else ""
    return number(reading.median) + spread


def target(figure: Figure) -> str:
    """What the figure is to be."""
    sign = "≤" if figure.better == "lower" else "≥"
    if figure.target_ratio is not None:
        return f"{sign} {number(figure.target_ratio)} × limit"
    return "–" if figure.target is None else f"{sign} {number(figure.target)}"


def number(value: float) -> str:
    """Three significant digits, thousands set apart by a space."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def _facts(results: Results) -> str:
    facts = {
        "Date": results.date,
        "Size": f"{results.size}, {results.seconds:.0f} s",
        "Load average before": f"{results.load_before:.2f}",
        **{name.capitalize(): value for name, value in results.machine.items()},
        "Versions": ", ".join(f"{name} {version}" for name, version in results.versions.items()),
    }
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def _row(figure: Figure, load: float) -> str:
    names = NEIGHBOURS.values()
    cells = (
        figure.what,
        figure.unit,
        _beside(figure.limits, {name: why for name, why in figure.absent.items() if name not in names}),
        _beside(figure.neighbours, {name: why for name, why in figure.absent.items() if name in names}),
        show(figure.holdfast),
        *("–" if ratio is None else number(ratio) for ratio in (figure.ratio, figure.ratio_to_neighbour)),
        target(figure),
        verdict(figure, load),
    )
    return f"| {' | '.join(cells)} |\n"


def _beside(readings: Mapping[str, Reading], absent: Mapping[str, str]) -> str:
    """Each with its name, also those that are not there."""
    cells = [f"{name} {show(reading)}" for name, reading in readings.items()]
    cells += [f"{name}: {why}" for name, why in absent.items()]
    return "<br>".join(cells) or "–"


def _bounds(results: Results, notes: Mapping[str, str]) -> str:
    """The notes on what was missed; a missed figure without a note says so, since somebody owes one."""
    lines = []
    for figure in results.figures:
        if figure.failed or figure.missed_by:
            note = notes.get(figure.id, "").strip().replace("\n", " ")
            lines.append(f"- **{figure.what}**: {note or f'not explained yet (`{figure.id}` in `notes.toml`)'}\n")
    return "".join(lines)
