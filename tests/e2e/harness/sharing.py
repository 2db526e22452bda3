"""Clients that hold locks, wait and pass items on, all at once, while somebody kills the agent; what must be true."""

from __future__ import annotations

import threading
import time
from collections import Counter

from holdfast.wire import coordination as c
from tests.e2e.harness.sharer import Sharer

LOCKS = ("alpha", "beta")
QUEUE = "items"
TTL_S = 60.0
"""No lease is over only because the machine is busy: a killed client is another test's matter."""
PAUSE_S = 0.003
"""Between two steps of a client: the killed agent needs a processor to come back on."""


class Sharing:
    """Threads that take locks and pass items on until told to stop.

    Args:
        path: The agent's socket.
        threads: Clients that take locks; half as many put items, and as many take them.
        seed: Which locks they take.

    Attributes:
        faults: What must not be.
        grants: Locks that were held.
    """

    def __init__(self, path: str, *, threads: int = 4, seed: int = 0) -> None:
        self.faults: list[str] = []
        self.grants = 0
        self.tokens: dict[str, list[int]] = {name: [] for name in LOCKS}
        self.put: list[bytes] = []
        self.taken: list[bytes] = []
        self._path = path
        self._holders: dict[str, int | None] = dict.fromkeys(LOCKS)
        self._mutex = threading.Lock()
        self._over = threading.Event()
        self._all_put = threading.Event()
        half = threads // 2
        self._holding = [threading.Thread(target=self._run, args=(self._hold, seed + n)) for n in range(threads)]
        self._putting = [threading.Thread(target=self._run, args=(self._put, n)) for n in range(half)]
        self._taking = [threading.Thread(target=self._run, args=(self._take, n)) for n in range(half)]

    def __enter__(self) -> Sharing:
        for thread in (*self._holding, *self._putting, *self._taking):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in (*self._holding, *self._putting):
            thread.join()
        self._all_put.set()
        for thread in self._taking:
            thread.join()

    def check(self) -> None:
        """Nothing that must not be, something of everything that must."""
        assert not self.faults, "\n".join(self.faults[:10])
        assert self.grants > 0
        for name, tokens in self.tokens.items():
            assert tokens == sorted(set(tokens)), f"tokens of {name} go back"
        assert self.put
        counts = Counter(self.taken)
        assert not (Counter(self.put) - counts), f"lost: {Counter(self.put) - counts}"
        assert max(counts.values()) == 1, f"twice: {[item for item, number in counts.items() if number > 1]}"

    def _run(self, work: object, number: int) -> None:
        sharer = Sharer(self._path)
        try:
            sharer.answer(sharer.plain(c.Renew(TTL_S)), c.RenewAnswer)
            for name in LOCKS:
                sharer.open(name)
            sharer.open(QUEUE, "queue", maxsize=20)
            sharer.answer(sharer.plain(c.Renew(TTL_S)), c.RenewAnswer)
            work(sharer, number)  # type: ignore[operator]
        except Exception as error:  # whatever it is, it belongs to this client
            self._fault(f"client {number}: {type(error).__name__}: {error}")
        finally:
            sharer.cut()

    def _fault(self, text: str) -> None:
        with self._mutex:
            self.faults.append(text)

    def _hold(self, sharer: Sharer, number: int) -> None:
        step = number
        while not self._over.is_set():
            step += 1
            names = LOCKS if step % 3 == 0 else (LOCKS[step % 2],)
            asked = sharer.ask(c.Acquire, 1, dict.fromkeys(names, 1))
            if step % 4 == 0:
                sharer.connect()  # a cut while it waits, or before it has heard that it need not
            token = sharer.got(asked)
            with self._mutex:
                for name in names:
                    if self._holders[name] is not None:
                        self.faults.append(f"{name} is held by {self._holders[name]} and by {number}")
                    self._holders[name] = number
                    self.tokens[name].append(token)
                self.grants += 1
            time.sleep(PAUSE_S)
            with self._mutex:
                for name in names:
                    self._holders[name] = None
            for name in names:
                sharer.release(name)

    def _put(self, sharer: Sharer, number: int) -> None:
        count = 0
        while not self._over.is_set():
            count += 1
            item = b"%d/%d" % (number, count)
            asked = sharer.ask(c.Put, QUEUE, body=item)
            if count % 5 == 0:
                sharer.connect()
            assert not sharer.answer(asked, c.PutAnswer).why
            with self._mutex:
                self.put.append(item)
            time.sleep(PAUSE_S)

    def _take(self, sharer: Sharer, _: int) -> None:
        count = 0
        while True:
            over = self._all_put.is_set()
            count += 1
            asked = sharer.ask(c.Take, QUEUE, timeout_s=0.5)
            if count % 7 == 0:
                sharer.connect()
            answer, item = sharer.answer_and_body(asked, c.TakeAnswer)
            if not answer.why:
                with self._mutex:
                    self.taken.append(item)
            elif over:
                return
