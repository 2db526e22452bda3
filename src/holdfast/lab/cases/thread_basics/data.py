"""What is observed of threads."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Kin(msgspec.Struct, frozen=True):
    """What the kernel tells of a process with one thread and of the same with four."""

    tasks_alone: int
    tasks_with_three_more: int
    ids: tuple[int, ...]
    """The kernel's ids of the four threads; the first is the process's own."""
    same_process_id: bool
    file_seen_by_all: bool
    """Whether a file that one thread opened is open for the others under the same number."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    kin: Kin
    by_function: Ran
    by_subclass: Ran
    shares: Ran
    waits: tuple[Ran, ...]
    """The program whose main thread is through first, several times."""
    waits_hurried: tuple[Ran, ...]
    """The same on one core, with threads taking turns as often as can be."""
    daemon: tuple[Ran, ...]
    first_line_thread: tuple[str, ...]
    """The first line of the program that starts a thread, each time."""
    first_line_process: tuple[str, ...]
    """And of the one that starts a process."""
    thread_s: tuple[float, ...]
    """Seconds to start one thread and to wait for its end; each is the mean of many."""
    fork_s: tuple[float, ...]
    """The same with a forked process."""
    spawn_s: tuple[float, ...]
    """The same with a process that begins with a new interpreter."""
    only_processes: tuple[str, ...]
    """Public methods and attributes of ``multiprocessing.Process`` that ``threading.Thread`` has not."""
    both: tuple[str, ...]
    """Those that both have."""
    daemon_ticks_after_main: int
    """How often a daemon thread ticked after the main thread was through and while another one still worked."""
    daemon_ticks_after_all: int
    """How often it ticked after that one had ended, and the program with it."""
