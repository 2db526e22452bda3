"""``holdfast lab chaos``: the bad network of this project's own tests, for anybody's use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, to_json
from holdfast.cli.options import DURATION, Parsed, complete_hosts, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.render import Table, print_table
from holdfast.cli.session import LOCAL
from holdfast.cli.voice import Voice
from holdfast.cli.ways import way_of
from holdfast.config import Settings, load
from holdfast.units import parse_size

if TYPE_CHECKING:
    from holdfast.lab.proxy import Event, Summary

SIZE: Final[Parsed[int]] = Parsed("size", parse_size)
SHARE: Final = click.FloatRange(0.0, 1.0)
KINDS: Final = ("rst", "fin", "mid-frame", "silence")
LOOPBACK: Final = "tls://127.0.0.1:0"


@click.command(name="chaos", short_help="Stand between clients and an agent as a bad network.")
@click.option("--to", required=True, metavar="HOST", shell_complete=complete_hosts,
              help="Where the agent is: a name, tls://HOST:PORT, unix:///PATH or local.")  # fmt: skip
@click.option("--listen", metavar="ADDR", help=f"Where clients connect (default: {LOOPBACK}, a free port).")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Repeat the run of this seed (default: a new one).")
@click.option("--cuts", type=click.IntRange(0), metavar="N", help="Leave connections alone after N cuts.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Cut only like this; may be repeated.")
@click.option("--mean-bytes", type=SIZE, default="1M", metavar="SIZE", help="Mean output before a cut (default: 1M).")
@click.option("--early", type=SHARE, default=0.1, metavar="SHARE",
              help="Connections that are cut in the client's first 4096 bytes (default: 0.1).")  # fmt: skip
@click.option("--silence", type=DURATION, default="300ms", metavar="D", help="Longest silence (default: 300ms).")
@click.option("--endless", type=SHARE, default=0.0, metavar="SHARE", help="Silences that never end (default: 0).")
@click.option("--delay", type=DURATION, default="0", metavar="D", help="Longest delay of a connection (default: 0).")
@click.option("--rate", type=SIZE, default="0", metavar="SIZE", help="Least bytes a second of throttled connections.")
@click.option("--throttled", type=SHARE, default=0.2, metavar="SHARE",
              help="Connections that are throttled, with --rate (default: 0.2).")  # fmt: skip
@click.option("-v", "--verbose", count=True, help="Tell of every connection and every cut.")
@json_flag
def chaos(to: str, listen: str | None, cuts: int | None, verbose: int, as_json: bool, **options: Any) -> int:
    """Stand between clients and an agent as a bad network: cut, go silent, delay, throttle, until Ctrl-C.

    \b
      holdfast lab chaos --to web1 --listen tls://127.0.0.1:7421 --mean-bytes 64K
      holdfast host add web1-bad --address tls://127.0.0.1:7421     (with an invitation of web1)
      holdfast run web1-bad -- seq 1000000

    The bytes are not looked into, so TLS and its keys go through. The first line of standard output is where clients
    connect; at the end comes what was done.
    """
    from holdfast.lab.chaos import run_proxy
    from holdfast.lab.chaos_plan import Kind, Options, SeededPlan

    target = _target(load(overrides={"host": to}))
    place = _check_listen(listen, target)
    seed = options["seed"] if options["seed"] is not None else int.from_bytes(os.urandom(4), "big")
    plan = SeededPlan(
        Options(
            seed=seed,
            mean_bytes=max(1, options["mean_bytes"]),
            kinds=tuple(Kind(kind) for kind in options["kinds"] or KINDS),
            early_share=options["early"],
            silence_s=options["silence"],
            endless_share=options["endless"],
            delay_s=options["delay"],
            rate_bytes_s=float(options["rate"]),
            throttled_share=options["throttled"],
        )
    )
    teller = Teller(Voice(verbose=verbose), target=target, seed=seed, as_json=as_json)
    summary = run_proxy(place, target, plan, most_cuts=cuts, on_listen=teller.listening, on_event=teller.happened)
    teller.ended(summary)
    return exit_codes.OK


class Teller:
    """Says what happens: for people an address, lines for those who want them, and a table; or JSON Lines.

    Args:
        voice: Where lines go.
        target: Where bytes are passed on to.
        seed: Of the plan.
        as_json: JSON Lines on standard output instead.
    """

    def __init__(self, voice: Voice, *, target: str, seed: int, as_json: bool) -> None:
        self._voice = voice
        self._target = target
        self._seed = seed
        self._json = as_json

    def listening(self, address: str) -> None:
        """The proxy is up."""
        if self._json:
            self._write("listening", {"address": address, "target": self._target, "seed": self._seed})
            return
        write_all(1, f"{address}\n".encode())
        self._voice.say(f"passing on to {self._target}; --seed {self._seed} does the same again; Ctrl-C ends it")

    def happened(self, event: Event) -> None:
        """A connection came, was cut, or ended."""
        if self._json:
            self._write("connection", msgspec.structs.asdict(event))
            return
        self._voice.detail(
            f"{event.at_s:.3f} s: connection {event.connection}: {event.what} "
            f"({event.to_agent} bytes to the agent, {event.to_client} to the client)"
        )

    def ended(self, summary: Summary) -> None:
        """It is over."""
        if self._json:
            self._write("summary", msgspec.structs.asdict(summary))
        else:
            print_table(Table(("WHAT", "NUMBER"), tuple(summary.rows())))

    @staticmethod
    def _write(event: str, fields: dict[str, Any]) -> None:
        write_all(1, to_json({"schema": SCHEMA, "event": event, **fields}))


def _target(settings: Settings) -> str:
    """The address to pass bytes on to."""
    if settings.host == LOCAL:
        return f"unix://{settings.socket_path}"
    way = way_of(settings)
    if way.kind == "local":
        return f"unix://{settings.socket_path}"
    if way.kind not in ("tls", "unix"):
        raise click.UsageError(f"{settings.host}: bytes can be passed on to tls:// and unix:// only")
    return way.address


def _check_listen(listen: str | None, target: str) -> str:
    """Where to listen. A port in front of a Unix socket would give everybody who reaches it the rights of its owner."""
    place = listen or LOOPBACK
    if target.startswith("unix://") and not place.startswith("unix://"):
        raise click.UsageError(
            "in front of a Unix socket, listen at one: --listen unix:///PATH (a port would let everybody in as you)"
        )
    return place
