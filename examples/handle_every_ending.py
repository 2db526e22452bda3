"""What each way of ending looks like to a caller. Each error also says whether the command ran."""

import signal
import sys

import holdfast
from holdfast import Host


def ending(host: Host, args: list[str], timeout: float | None = None) -> str:
    """One line about how a command ended."""
    try:
        done = host.run(args, timeout=timeout, grace=0.5)
    except holdfast.SpawnFailed as error:
        return f"not started ({error.stage}): {error.ran}"
    except holdfast.TimeoutExpired as error:
        return f"time limit of {error.timeout} s: {error.ran}"
    except holdfast.JobLost as error:
        return f"the status cannot be known: {error.ran}"
    except holdfast.OutcomeUnknown as error:
        return f"no answer came; ask again with key {error.key}"
    except holdfast.HoldfastError as error:
        return f"{type(error).__name__}: {error} (ran: {error.ran})"
    if done.returncode < 0:
        return f"signal {-done.returncode} ({signal.Signals(-done.returncode).name}), ended by {done.receipt.ended_by}"
    return f"code {done.returncode}"


def main() -> int:
    with holdfast.connect() as host:
        print("true:      ", ending(host, ["true"]))
        print("exit 3:    ", ending(host, ["sh", "-c", "exit 3"]))
        print("kills self:", ending(host, ["sh", "-c", "kill -SEGV $$"]))
        print("too long:  ", ending(host, ["sleep", "60"], timeout=0.3))
        print("missing:   ", ending(host, ["no-such-command"]))
        print("no program:", ending(host, ["/etc/hostname"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
