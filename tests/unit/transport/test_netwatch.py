"""Changes of the network are heard; silence is silence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from holdfast.transport import netwatch


def test_nothing_changes() -> None:
    watch = netwatch.open()
    if watch is None:
        pytest.skip("this system tells nobody of changes of the network")
    watch.changed()
    assert not watch.changed()
    watch.close()


IN_A_NAMESPACE = """
import select, subprocess
from holdfast.transport import netwatch
watch = netwatch.open()
for change in map(str.split, ("link set lo up", "addr add 192.0.2.7/32 dev lo", "link set lo down")):
    watch.changed()
    assert not select.select([watch], [], [], 0)[0], "quiet before"
    subprocess.run(["ip", *change], check=True)
    assert select.select([watch], [], [], 5)[0], change
    assert watch.changed(), change
    assert not watch.changed(), "told once"
print("heard")
"""


def test_links_and_addresses_are_heard() -> None:
    """In a network namespace of its own, so that nothing of this machine is touched."""
    probe = subprocess.run(["unshare", "--net", "ip", "link"], capture_output=True)
    if probe.returncode:
        pytest.skip(f"no network namespace can be made here: {probe.stderr.decode().strip()}")
    words = ["unshare", "--net", sys.executable, "-c", IN_A_NAMESPACE]
    done = subprocess.run(words, capture_output=True, timeout=30)
    assert done.stdout == b"heard\n", done.stderr.decode()


@pytest.mark.parametrize(
    ("local", "ours"),
    [
        (("127.0.0.1", 4711), True),
        (("192.0.2.7", 4711), False),
        (("2001:db8::7", 4711, 0, 0), False),
        ("/run/agent.sock", True),
        ("", True),
        (None, True),
    ],
)
def test_an_address_is_ours_or_is_not(local: object, ours: bool) -> None:
    """Addresses of RFC 5737 and RFC 3849 are nobody's."""
    assert netwatch.is_ours(local) is ours
