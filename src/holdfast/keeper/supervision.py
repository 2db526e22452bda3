"""When what is done to a job, from its start to the proof of its end: decisions only, no process is touched here.

The same object decides in the shim and, for an adopted job, in the keeper. Facts go in (the main process has ended, the
channels have, the tree has, somebody asks for a stop, time passes), steps come out, to be carried out in order.

    RUNNING ──main ended──> LINGERING ──2 s──> TERMINATING ──2 s──> KILLING ──tree gone──> DONE
       │ time limit, stop                          ▲   grace
       └───────────────────────────────────────────┘
    LINGERING ──`leave`──> LEFT (recorded; the rest lives on)        any ──all gone──> DONE

Times are nanoseconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

from holdfast.store import control

MS = 1_000_000
REST_GRACE_NS = 2_000 * MS
"""Between TERM and KILL for what outlives the main process."""
STUCK_AFTER_NS = 30_000 * MS
_FIRST_ROUND_NS, _LONGEST_ROUND_NS, _STUCK_ROUND_NS = 1 * MS, 100 * MS, 1_000 * MS

RUNNING, LINGERING, TERMINATING, KILLING, LEFT, DONE = range(6)
PHASES = ("running", "lingering", "terminating", "killing", "left", "done")

# Steps, as told by the methods of Supervision.
NOTE_STOP = "note-stop"
"""Record cause and deadline of the stop that begins."""
TERM_TREE = "term-tree"
KILL_TREE = "kill-tree"
"""One round; the next one is a deadline."""
NOTE_STUCK = "note-stuck"
"""Name the processes that KILL does not end."""
RECORD = "record"
"""Write EXIT and tell it; ``tree`` says what became of the tree."""
PART = "part"
"""Nothing is left to tend, EXIT has long been written."""

Steps = tuple[str, ...]


class Supervision:
    """The state of one job's end.

    Attributes:
        phase: RUNNING and so on.
        cause: Why it is being stopped, ``control.NO_CAUSE`` if it ends by itself.
        by: Who asked for that.
        kill_at: When the grace is over, or 0.
        grace_ms: Between TERM and KILL where the caller does not say.
        tree: ``control.TREE_GONE`` or ``TREE_LEFT``, once RECORD was told.
        tainted: The tree is dead and somebody else still holds a writing end: the pipes must not be used again.
    """

    __slots__ = ("_deadline", "_killing_since", "_leave", "_limit_at", "_linger_ns", "_recorded", "_round_ns",
                 "_stuck", "by", "cause", "channels_over", "grace_ms", "kill_at", "main_over", "phase", "tainted",
                 "tree", "tree_over")  # fmt: skip

    def __init__(self, now: int, *, timeout_ms: int, grace_ms: int, linger_ms: int, leave: bool) -> None:
        self.phase = RUNNING
        self.cause = control.NO_CAUSE
        self.by = ""
        self.kill_at = 0
        self.tree = control.TREE_GONE
        self.tainted = False
        self.main_over = self.channels_over = self.tree_over = False
        self.grace_ms = grace_ms
        self._linger_ns = linger_ms * MS
        self._leave = leave
        self._limit_at = now + timeout_ms * MS if timeout_ms else None
        self._deadline: int | None = self._limit_at
        self._killing_since = 0
        self._round_ns = _FIRST_ROUND_NS
        self._stuck = self._recorded = False

    def resume_stop(self, cause: int, by: str, kill_at: int) -> None:
        """Takes over a stop that a dead supervisor had begun (NOTE)."""
        self.cause, self.by, self.kill_at = cause, by, kill_at
        self.phase, self._deadline = TERMINATING, kill_at

    def resume_left(self) -> None:
        """Takes over what was left running after EXIT had been recorded."""
        self.main_over = self._recorded = True
        self.phase, self.tree, self._deadline = LEFT, control.TREE_LEFT, None

    def next_deadline(self) -> int | None:
        """When ``handle_timeout`` is due; None: not before another fact."""
        return self._deadline

    def main_ended(self, now: int) -> Steps:
        """The main process has ended."""
        self.main_over = True
        if self.phase == RUNNING:
            self.phase, self._deadline = LINGERING, now + self._linger_ns
        return self._settled(now)

    def channels_ended(self, now: int) -> Steps:
        """Both channels are at end of file."""
        self.channels_over = True
        return self._settled(now)

    def tree_gone(self, now: int) -> Steps:
        """It is proved that no process of the job is left (and so its main process has ended)."""
        if not self.tree_over:
            self.main_over = self.tree_over = True
            if not self.channels_over:  # a stranger holds a writing end, or output is still on its way
                self._deadline = now + self._linger_ns
        return self._settled(now)

    def stop(self, cause: int, by: str, grace_ms: int, now: int) -> Steps:
        """TERM now, KILL after the grace. A second stop can only bring the KILL forward; the first cause stays.

        What ended by itself keeps that as its cause, even if its leftovers are stopped.
        """
        kill_at = now + grace_ms * MS
        if self.phase in (KILLING, DONE):
            return ()
        if self.phase == TERMINATING:
            if self._deadline is not None and kill_at >= self._deadline:
                return ()
            self._deadline = self.kill_at = kill_at
            return self._overdue(now)
        if not self.main_over:
            self.cause, self.by = cause, by
        self.kill_at = kill_at
        note: Steps = () if self.main_over else (NOTE_STOP,)
        if self.tree_over:  # nothing to signal, only output to wait for
            return ()
        self.phase, self._deadline = TERMINATING, kill_at
        if kill_at <= now:
            return note + self._overdue(now)
        return (*note, TERM_TREE)

    def handle_timeout(self, now: int, *, held: bool = False) -> Steps:
        """Does what is due; a call too early does nothing.

        Args:
            now: The time.
            held: Whether output waits for its reader or for disk space: then nobody is ended for being slow.
        """
        if self._deadline is None or now < self._deadline:
            return ()
        if self.phase == RUNNING:
            return self.stop(control.TIMEOUT, "", self.grace_ms, now)
        if self.tree_over:
            if held:
                self._deadline = now + self._linger_ns
                return ()
            self.tainted = self.channels_over = True
            return self._settled(now)
        if self.phase == LINGERING:
            if held:
                self._deadline = now + self._linger_ns
                return ()
            if self._leave:
                self.phase, self.tree, self._deadline, self._recorded = LEFT, control.TREE_LEFT, None, True
                return (RECORD,)
            self.phase, self._deadline = TERMINATING, now + REST_GRACE_NS
            return (TERM_TREE,)
        return self._overdue(now)

    def _overdue(self, now: int) -> Steps:
        """The grace is over, or the next round is due."""
        if self._deadline is None or now < self._deadline:
            return ()
        if self.phase != KILLING:
            self.phase, self._killing_since = KILLING, now
        self._deadline = now + self._round_ns
        self._round_ns = _STUCK_ROUND_NS if self._stuck else min(2 * self._round_ns, _LONGEST_ROUND_NS)
        if not self._stuck and now - self._killing_since >= STUCK_AFTER_NS:
            self._stuck = True
            return (KILL_TREE, NOTE_STUCK)
        return (KILL_TREE,)

    def _settled(self, now: int) -> Steps:
        if not (self.main_over and self.channels_over and self.tree_over) or self.phase == DONE:
            return ()
        self.phase, self._deadline = DONE, None
        if self._recorded:
            return (PART,)
        self._recorded = True
        return (RECORD,)
