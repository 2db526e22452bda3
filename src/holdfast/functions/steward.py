"""A thread that looks after its owner every few milliseconds while that is busy, and sleeps while it is not.

So a call that comes to an idle worker and is soon over costs no switch between threads, and a worker without calls no
processor time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.005
QUIET_TICKS: Final = 20
"""After so many looks at an idle owner it sleeps: waking it costs more than some looks in vain."""


class Steward:
    """Looks after a worker.

    Args:
        look: Called while busy; tells whether there is still something to look after.
    """

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._wake = threading.Event()
        self._asleep = True
        threading.Thread(target=self._run, name="holdfast-steward", daemon=True).start()

    def wake(self) -> None:
        """There is something to do."""
        if self._asleep:
            self._asleep = False
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            quiet = 0
            while quiet < QUIET_TICKS:
                time.sleep(TICK_S)
                quiet = 0 if self._look() else quiet + 1
            self._asleep = True
            if self._look():  # it came between the last look and the line before
                self.wake()
