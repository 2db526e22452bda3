"""What becomes of a job whose shim has died: the keeper inherits its processes, and with them the whole duty.

``judge`` decides from the control file and from what was inherited; ``Adopted`` is the tender that goes on. The command
notices nothing: its pipes have their reading ends here, too, and its exit status goes to its nearest sub-reaper.
"""

from __future__ import annotations

from holdfast.keeper import linux, pump, supervision, tender, tree
from holdfast.keeper import loop as loops
from holdfast.store import control

NOTHING, WAIT, NOT_RUN, ADOPT, DRAIN = range(5)
"""Verdicts. NOTHING: no process, no duty. WAIT: spawned, but nothing executed so far; ask again. NOT_RUN: it died
before it executed anything; reap it. ADOPT: go on. DRAIN: the job is recorded or unknown; keep its pipes flowing."""


def judge(slots: control.Slots, inherited: list[tree.Process]) -> tuple[int, int]:
    """The verdict on a dead shim's job, and the id of its main process (0: none).

    A shim reaps its main process only after STARTED and MAIN are written. So a main process without MAIN must be among
    the inherited, dead or alive; and a job with CLAIM alone, of which nothing was inherited, was never spawned.
    """
    claim, started = slots.claim, slots.started
    if not isinstance(claim, control.Claim) or slots.exit is not None:
        return (DRAIN if inherited else NOTHING), 0
    if isinstance(started, control.Started):
        return (ADOPT if inherited or slots.main else NOTHING), started.pid
    if not inherited:
        return NOTHING, 0
    own = [p for p in inherited if p.session == claim.shim_pid and p.group == p.pid] or inherited
    main = min(own, key=lambda p: (p.start_ticks, p.pid))
    if main.executed:
        return ADOPT, main.pid
    return (NOT_RUN if main.state in "ZX" else WAIT), main.pid


class Adopted(tender.Tender):
    """A job tended by the keeper.

    Attributes:
        shim: Id of the shim that died.
        members: The keeper's own children that belong to this job, zombies included; their descendants do, too.
        sessions: Session ids seen among them, by which later orphans are told apart.
        recorded: EXIT is written.
        told: The agent knows that.
        parted: Nothing is left to tend.
    """

    supervisor = control.BY_KEEPER

    def __init__(self, loop: loops.Loop, place: tender.Place, shim: str, shim_pid: int, inherited: list[tree.Process]):
        super().__init__(loop, place)
        self.shim = shim
        self.members = {p.pid for p in inherited}
        self.sessions = {shim_pid} | {p.session for p in inherited}
        self.job = ""
        self.recorded = False
        self.told = False
        self.parted = False

    def go_on(self, slots: control.Slots, main_pid: int, stdin: tuple[int, int] | None) -> None:
        """Takes the job up where the shim left it.

        Args:
            slots: What the shim has recorded; CLAIM must be there.
            main_pid: As judged.
            stdin: Writing end and file of the job's stdin, if it has one; they belong to this object now.
        """
        claim, started, main, note = slots.claim, slots.started, slots.main, slots.note
        if not isinstance(claim, control.Claim):
            raise TypeError("a job without a claim")
        self.job = claim.job
        if isinstance(note, control.Note):
            self.note = note
        if stdin is not None:
            pipe, file = stdin
            length, ended = (self.note.stdin_bytes, self.note.stdin_ended) if self.note else (0, False)
            self.feeder = pump.Feeder(file, pipe, length=length, ended=ended)
        self.claim = claim
        if not isinstance(started, control.Started):  # between the two is all that is known of its start
            started = control.Started(claim.job, claim.attempt, main_pid, claim.wall_ns, claim.boot_ns)
            self._write(started)
        self.tend(claim, main_pid, started.wall_ns, started.boot_ns)
        job = self.control
        if job is None:
            raise RuntimeError("tending without a supervision")
        if self.note is not None:
            self.out.first, self.err.first = self.note.out_first, self.note.err_first
            if self.note.cause:
                job.resume_stop(self.note.cause, self.note.by, self.note.kill_boot_ns)
        if isinstance(main, control.Main):
            self.wait_status = main.wait_status
            self._ended_wall_ns = main.wall_ns
            self._do(job.main_ended(main.boot_ns))
        elif main_pid not in self.members:  # its status cannot be known: the receipt will say so
            self._do(job.main_ended(linux.boot_ns()))

    def drain(self) -> None:
        """Keeps pipes flowing for what an ended job has left running, and drops what comes."""
        self.control = supervision.Supervision(0, timeout_ms=0, grace_ms=0, linger_ms=0, leave=True)
        self.control.resume_left()
        self.recorded = self.told = True
        for one in (self.out, self.err):
            one.discard()
            self._watch_pump(one)

    def owns(self, process: tree.Process) -> bool:
        """Whether an orphan that turned up at the keeper comes from this job's tree."""
        return process.session in self.sessions or (bool(self.job) and job_of(process.pid) == self.job)

    def learn_sessions(self) -> None:
        """Notes the sessions of all that descends from the members, so that their orphans are known."""
        self.sessions.update(p.session for p in tree.descendants(list(self.members)))

    def _roots(self) -> list[int]:
        return list(self.members)

    def _stdin_closed(self) -> None:
        """Nobody else holds it any more."""

    def _recorded(self) -> None:
        self.recorded = True
        if self.control is None or self.control.phase != supervision.LEFT:
            self.parted = True
            return
        for one in (self.out, self.err):
            if not one.ended:
                one.discard()
                self._watch_pump(one)

    def _parted(self) -> None:
        self.parted = True


def job_of(pid: int) -> str:
    """The HOLDFAST_JOB_ID in the environment that a process was started with, or an empty string."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            items = file.readall().split(b"\0")
    except OSError:
        return ""
    return next((i[16:].decode("ascii", "replace") for i in items if i.startswith(b"HOLDFAST_JOB_ID=")), "")
