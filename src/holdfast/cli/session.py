"""What a verb works with: settings, our voice, and the way to a host."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

import holdfast
from holdfast.cli.voice import Voice
from holdfast.config import Settings
from holdfast.errors import ConnectFailed, HoldfastError
from holdfast.units import format_duration

if TYPE_CHECKING:
    from holdfast import Host, LinkChange


LOCAL: Final = "local"


class NoLocalAgent(HoldfastError):
    """The user's own agent cannot be had: a failure of Holdfast itself (125), since there is no way to it to blame."""


class Session:
    """Settings and voice of one call of the command line.

    Args:
        settings: With the flags already in them.
        voice: Where our words go.
    """

    def __init__(self, settings: Settings, voice: Voice) -> None:
        self.settings = settings
        self.voice = voice

    def connect(self, *, start: bool = True) -> Host:
        """An open connection to the host that was named; cuts are told on standard error.

        Args:
            start: Start the local agent if none runs.

        Raises:
            NoLocalAgent: it should have been started and does not come up.
            ConnectFailed: nobody answers there.
        """
        connect = holdfast.connect
        collect_garbage()
        try:
            return connect(
                self.settings.host,
                timeout=self.settings.connect_timeout_s,
                state_dir=self.settings.state_dir if self.settings.host == LOCAL else None,
                start=start,
                on_link_event=self.tell_link_change,
            )
        except ConnectFailed as exc:
            if start and self.settings.host == LOCAL:
                raise NoLocalAgent(str(exc), ran="no") from exc
            raise

    def output_format(self, given: str | None) -> str:
        """How to print: the flag, else the setting."""
        return given or self.settings.output

    def tell_link_change(self, change: LinkChange) -> None:
        """One line when the connection is lost, one when it is there again; further attempts with ``-v``."""
        if change.kind == "retrying":
            self.voice.detail(link_line(change))
        else:
            self.voice.say(link_line(change))


def collect_garbage() -> None:
    """Switch the collector on, which is off during start-up; what was made so far stays for good and is left out."""
    gc.freeze()
    gc.enable()


def link_line(change: LinkChange) -> str:
    """What to say of a lost or resumed connection."""
    if change.kind == "resumed":
        return "connected again; going on where it stopped"
    what = "connection lost, jobs go on" if change.kind == "lost" else f"attempt {change.attempt} to connect failed"
    reason = f" ({change.reason})" if change.reason else ""
    return f"{what}{reason}; next try in {format_duration(change.delay_s)}"
