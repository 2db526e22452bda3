"""The server of the neighbour ``multiprocessing.Manager``: ``python -m bench.manager_server FOLDER``.

It listens on a unix socket in the folder, prints its address and ends with its standard input. ``Manager()`` itself
gives every caller new objects; this one gives two programs the same ones.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from functools import cache
from multiprocessing import managers
from typing import TYPE_CHECKING, Final

from bench.sharing import UNITS

KEY: Final = b"bench"


class Shared(managers.BaseManager):
    """A lock, a semaphore and a queue, the same ones for everyone who asks."""

    if TYPE_CHECKING:  # what they are seen as; `register` makes the methods

        def lock(self) -> threading.Lock: ...
        def semaphore(self) -> threading.Semaphore: ...
        def queue(self) -> queue.Queue[int]: ...


_ACQUIRED: Final = getattr(managers, "AcquirerProxy")  # noqa: B009 - typeshed does not know it
Shared.register("lock", cache(threading.Lock), _ACQUIRED)
Shared.register("semaphore", cache(lambda: threading.Semaphore(UNITS)), _ACQUIRED)
Shared.register("queue", cache(queue.Queue), exposed=("put", "get"))


def main(folder: str) -> None:
    """Be the server."""
    server = Shared(os.path.join(folder, "manager"), KEY).get_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.address, flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
