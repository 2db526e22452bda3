"""Reading that tells of its end by a signal: aio_read(3) of the C library, which Python does not offer."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import sys
import time
from types import FrameType

from holdfast.lab.cases.io_models.data import PosixAio

_SIGEV_SIGNAL = 0
_BUFFER_BYTES = 16


class _Sigevent(ctypes.Structure):
    """sigevent(3type) of glibc on 64 bits."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    )


class _Aiocb(ctypes.Structure):
    """aiocb(3type) of glibc on 64 bits."""

    _fields_ = (
        ("fildes", ctypes.c_int),
        ("lio_opcode", ctypes.c_int),
        ("reqprio", ctypes.c_int),
        ("buf", ctypes.c_void_p),
        ("nbytes", ctypes.c_size_t),
        ("sigevent", _Sigevent),
        ("next_prio", ctypes.c_void_p),
        ("abs_prio", ctypes.c_int),
        ("policy", ctypes.c_int),
        ("error_code", ctypes.c_int),
        ("return_value", ctypes.c_ssize_t),
        ("offset", ctypes.c_int64),
        ("rest", ctypes.c_char * 32),
    )


def posix_aio() -> PosixAio:
    """Ask for a read before there is anything; then let something come, and wait for the signal."""
    library = ctypes.CDLL(None, use_errno=True)
    if platform.libc_ver()[0] != "glibc" or sys.maxsize < 2**32 or not hasattr(library, "aio_read"):
        return PosixAio("its structures are known here for glibc on 64 bits only")
    buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
    seen: list[bytes] = []

    def count(_: int, __: FrameType | None) -> None:
        seen.append(buffer.raw[:5])

    before = signal.signal(signal.SIGUSR1, count)
    here, there = socket.socketpair()
    try:
        control = _Aiocb(fildes=here.fileno(), buf=ctypes.addressof(buffer), nbytes=_BUFFER_BYTES)
        control.sigevent.signo, control.sigevent.notify = signal.SIGUSR1, _SIGEV_SIGNAL
        threads = _threads()
        began = time.perf_counter()
        if library.aio_read(ctypes.byref(control)) != 0:
            return PosixAio(f"aio_read was refused: {os.strerror(ctypes.get_errno())}")
        submit_s = time.perf_counter() - began
        threads = _threads() - threads
        there.send(b"hello")
        until = time.monotonic() + 2
        while not seen and time.monotonic() < until:
            time.sleep(0.001)
        there.close()  # ends the read in any case: the buffer must live until then
        while library.aio_error(ctypes.byref(control)) != 0 and time.monotonic() < until + 1:
            time.sleep(0.001)
    finally:
        signal.signal(signal.SIGUSR1, before)
        here.close()
        there.close()
    return PosixAio(None, submit_s, seen[:1] == [b"hello"], len(seen), threads)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))
