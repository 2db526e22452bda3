"""What a shim costs in memory: the pages that it does not share with its keeper."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast import keeper
from tests.e2e.keeper_harness import running_keeper

SHIMS = 12
PRIVATE_KIB = 880 if sys.version_info >= (3, 12) else 1_560
"""After two jobs. Measured: 1 400 KiB on 3.11, which must count references; 700 and 780 on 3.12 and 3.13."""

ALONE = f"""
import os, sys
package = type(sys)("holdfast")
package.__path__ = [{str(Path(keeper.__file__).parent.parent)!r}]
sys.modules["holdfast"] = package
import gc
import signal
from holdfast.keeper import linux, loop, rehearsal, sharing
linux.become_subreaper()
loop.note_children()
"""


def alone(code: str) -> str:
    """What this code prints in an interpreter that is as a keeper's."""
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE + code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def private_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def test_a_shim_shares_most_of_its_memory(tmp_path: Path) -> None:
    with running_keeper(tmp_path) as keeper:
        shims = [keeper.shim() for _ in range(SHIMS)]
        for shim in shims:
            assert shim.finish("/bin/true").wait_status == 0
            shim.finish("/bin/true", job="another")
        assert statistics.median(private_kib(shim.pid) for shim in shims) < PRIVATE_KIB


def test_a_rehearsal_leaves_nothing_behind() -> None:
    """No descriptor, no child, no file, and the deaths of children go to the loop that had them before."""
    printed = alone("""
mine = loop.Loop()
before = sorted(os.listdir("/proc/self/fd"))
rehearsal.rehearse(bytes(16))
print(sorted(os.listdir("/proc/self/fd")) == before, os.listdir("/proc/self/task") == [str(os.getpid())])
try:
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
except ChildProcessError:
    print("no child")
deaths = []
mine.on_child = lambda: deaths.append(os.wait())
os.posix_spawn("/bin/true", ["true"], {})
mine.turn(5_000_000_000)
print(len(deaths))
""")
    assert printed.split("\n")[:3] == ["True True", "no child", "1"]


def test_a_rehearsal_runs_what_it_says() -> None:
    """Jobs that could not start would leave the code of an ordinary job cold."""
    printed = alone("""
ended = []
record = rehearsal.shim.Shim.record_exit
def noted(self, cause, **fields):
    record(self, cause, **fields)
    ended.append((cause, self.wait_status, self.out.length))
rehearsal.shim.Shim.record_exit = noted
rehearsal.rehearse(bytes(16), jobs=2)
print(ended)
""")
    assert printed == "[(1, 0, 0), (1, 0, 10)]\n"


def test_jobs_make_no_cycles() -> None:
    """So a shim needs no collector: however many jobs it has had, no more is found than after the first two."""
    printed = alone("""
rehearsal.rehearse(bytes(16))
gc.collect()
gc.disable()
for jobs in (2, 20):
    rehearsal.rehearse(bytes(16), jobs=jobs)
    print(gc.collect())
""")
    few, many = map(int, printed.split())
    assert few == many


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 has no immortal objects")
def test_what_the_keeper_has_is_not_counted_any_more() -> None:
    """And the interpreter still frees what comes later."""
    printed = alone("""
class Kept: pass
kept, name = Kept(), "".join(["a", "name"])
assert sharing.share_all() > 10_000
class Freed:
    def __del__(self): print("freed")
immortal = sys.getrefcount(None)
code = sharing.share_all.__code__
print(*(sys.getrefcount(one) == immortal for one in (kept, name, Kept, sharing.share_all, code, code.co_names, os)))
kept.other = Freed()
del kept.other
os._exit(0 if sys.stdout.flush() is None else 1)
""")
    assert printed == "True True True True True True True\nfreed\n"
