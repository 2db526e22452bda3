"""What the client tells the C heap: seen by the page faults of a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, threading
from holdfast.client import heap

def churn():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        [bytearray(250_000) for _ in range(8)]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

def both():
    churn()
    thread = threading.Thread(target=churn)
    thread.start()
    thread.join()

both()
heap.keep_freed_blocks()
heap.keep_freed_blocks()
both()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt's thresholds are glibc's")
def test_pieces_of_output_cost_their_page_faults_once() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    main, thread, main_after, thread_after = map(int, run.stdout.split())
    assert min(main, thread) > 10_000
    assert max(main_after, thread_after) < 2_000  # 8 pieces of 61 pages, once
