"""A relay below TCP and UDP: it loses, doubles, delays and reorders packets between two sockets of this kernel."""

from __future__ import annotations

import heapq
import os
import random
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdfast.lab.private_net import FAR, NEAR, Wire
from holdfast.lab.segments import mirrored

_FROM_NEAR_TO_FAR: Final = socket.inet_aton(NEAR) + socket.inet_aton(FAR)
_PACKET_BYTES: Final = 1 << 16
_LOOK_S: Final = 0.05


class Relay(Wire):
    """The wire, carried by a thread while ``carrying``. Set its faults at any time.

    Raises:
        OSError: there is no such device, or no right to make one.
    """

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.loss = 0.0
        """The part of all packets that is lost; likewise below."""
        self.doubling = 0.0
        self.overtaking = 0.0
        """The part that has to wait until the next packet has passed."""
        self.delay_s = 0.0
        self.packets = self.lost = self.doubled = self.overtaken = 0
        self._dice = dice
        self._under_way: list[tuple[float, int, bytes]] = []
        self._number = 0
        self._waiting: bytes | None = None

    @contextmanager
    def carrying(self) -> Iterator[None]:
        """Carry packets meanwhile."""
        over = threading.Event()
        thread = threading.Thread(target=self._carry, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def perfect(self) -> None:
        """No faults from now on, and count from 0."""
        self.loss = self.doubling = self.overtaking = 0.0
        self.packets = self.lost = self.doubled = self.overtaken = 0

    def take_packet(self, limit_s: float = 1.0) -> bytes | None:
        """The next packet of any protocol between the two ends, held; None: none came in time. Not while carrying."""
        deadline = time.monotonic() + limit_s
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._file], [], [], left)[0] and (packet := self._read()) is not None:
                return packet
        return None

    def _read(self) -> bytes | None:
        packet = os.read(self._file, _PACKET_BYTES)
        return packet if packet[12:20] == _FROM_NEAR_TO_FAR and packet[0] >> 4 == 4 else None

    def _carry(self, over: threading.Event) -> None:
        while not over.is_set():
            wait_s = min(_LOOK_S, self._under_way[0][0] - time.monotonic()) if self._under_way else _LOOK_S
            if not select.select([self._file], [], [], max(0.0, wait_s))[0]:
                self._let_pass()
            elif (packet := self._read()) is not None:
                self._judge(packet)
            while self._under_way and self._under_way[0][0] <= time.monotonic():
                self._arrive(heapq.heappop(self._under_way)[2])

    def _judge(self, packet: bytes) -> None:
        """Decide what becomes of it; every packet costs three throws, so that a seed means the same for all faults."""
        loses, doubles, waits = (self._dice.random() for _ in range(3))
        self.packets += 1
        if loses < self.loss:
            self.lost += 1
            return
        if waits < self.overtaking and self._waiting is None:
            self.overtaken += 1
            self._waiting = packet
            return
        self._send_on(packet)
        if doubles < self.doubling:
            self.doubled += 1
            self._send_on(packet)
        self._let_pass()

    def _let_pass(self) -> None:
        if self._waiting is not None:
            self._send_on(self._waiting)
            self._waiting = None

    def _send_on(self, packet: bytes) -> None:
        if self.delay_s:
            self._number += 1
            heapq.heappush(self._under_way, (time.monotonic() + self.delay_s, self._number, packet))
        else:
            self._arrive(packet)

    def _arrive(self, packet: bytes) -> None:
        os.write(self._file, mirrored(packet))
