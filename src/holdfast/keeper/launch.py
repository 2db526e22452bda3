"""How an agent gets its keeper: a detached process that outlives it, and one end of a socket pair between the two.

The agent's end survives the agent: when it closes without BYE, the keeper starts ``agent_argv`` again with
``--keeper-fd N`` appended, N being the descriptor number of a fresh end in the new agent.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time

from holdfast.keeper import messages

KEEPER_FD_OPTION = "--keeper-fd"
NOFILE_VARIABLE = "HOLDFAST_COMMAND_NOFILE"
"""In the environment of agent and keeper: the soft limit of descriptors that commands get."""
CORE_VARIABLE = "HOLDFAST_COMMAND_CORE"
"""In the environment of agent and keeper: the soft limit of core files that commands get; ours is 0."""
HELD_BY_ANOTHER = 75
"""Exit status of an agent that found its state directory held by another one (EX_TEMPFAIL, sysexits.h)."""


def start_keeper(
    state_dir: str, agent_argv: list[str], *, log_path: str, timeout_s: float = 10.0
) -> tuple[socket.socket, int]:
    """A new keeper for this state directory: the agent's end of the socket pair, and the keeper's process id.

    The keeper is in its own session, its directory is ``/``, its descriptors 0 to 2 are ``/dev/null`` and the log, all
    others but its end of the pair are closed. It is nobody's child but init's (or the nearest sub-reaper's). HELLO has
    been read from the socket already; further messages follow on it, one per packet.

    Args:
        state_dir: The state directory (0700); ``shims/`` is made in it.
        agent_argv: How to start the agent again, without ``--keeper-fd``.
        log_path: Where keeper, shims and restarted agents write their own words (made 0600, appended to).
        timeout_s: How long the keeper may take to say HELLO.

    Raises:
        OSError: it could not be started.
        TimeoutError: it did not say HELLO in time.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    main = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    try:
        with theirs, open(os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb") as log:
            done = subprocess.run(
                [sys.executable, "-I", "-S", main, os.path.abspath(state_dir), str(theirs.fileno()), "--", *agent_argv],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", pass_fds=(theirs.fileno(),),
                start_new_session=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        if done.returncode:
            raise OSError(f"the keeper did not start (status {done.returncode}); see {log_path}")
        hello = _first_packet(ours, time.monotonic() + timeout_s, log_path)
    except BaseException:
        ours.close()
        raise
    return ours, hello.keeper_pid


def inherit_keeper(fd: int) -> socket.socket:
    """The keeper's socket in an agent that was started with ``--keeper-fd`` (close-on-exec from here on).

    HELLO, then FORKED for every living shim and DIED for every death not told yet, wait in it.

    Raises:
        OSError: ``fd`` is no socket of ours.
    """
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


def _first_packet(ours: socket.socket, deadline: float, log_path: str) -> messages.Hello:
    poll = select.poll()  # select(2) knows no descriptor above 1023, and an agent may have thousands
    poll.register(ours, select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError(f"the keeper said nothing; see {log_path}")
    packet = ours.recv(messages.MAX_PACKET_BYTES)
    hello = messages.decode(packet) if packet else None
    if not isinstance(hello, messages.Hello):
        raise OSError(f"the keeper did not start ({hello}); see {log_path}")
    return hello
