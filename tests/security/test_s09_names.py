"""S9: what a client sends as an id, a key or a name never becomes a path outside the state directory.

The oracle is an audit hook (PEP 578) in the agent's own interpreter: it notes every path that is opened for writing,
made, moved or removed.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.wire import messages, requests
from holdfast.wire.messages import ErrorCode, Failure
from tests.conftest import AgentUnderTest
from tests.security.raw import RawClient

TRICKS = [
    "../../../../tmp/holdfast-escaped",
    "/tmp/holdfast-escaped",
    "..",
    ".",
    "a/../../b",
    "a\0b",
    "x" * 10_000,
    "\u202e\u2066\ufeff",
    "\uff0e\uff0e\uff0f\uff0e\uff0e\uff0f",  # full-width dots and strokes
    "con\x1b[31m",
    "~root",
    "%2e%2e%2f",
    "*",
    "",
]
BY_JOB = [
    requests.Get,
    requests.Write,
    requests.Wait,
    requests.Stop,
    requests.Forget,
    requests.Verify,
    requests.Dial,
]
NUMBERS = itertools.count(1)

HOOK = """
import os, sys
PLACES = {"os." + verb for verb in "mkdir remove rename link symlink rmdir chmod truncate".split()}
def note(event, args):
    if event == "open":
        path, mode, flags = args
        if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        paths = [path]
    elif event in PLACES:
        paths = [arg for arg in args[:2] if isinstance(arg, (str, bytes))]
    else:
        return
    for path in paths:
        os.write(descriptor, (event + " " + repr(os.fsdecode(path)) + "\\n").encode())
descriptor = os.open(TRACE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
os.set_inheritable(descriptor, False)
sys.addaudithook(note)
"""


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the agent's writes are noted: it starts with our ``sitecustomize`` (site, Python's library reference)."""
    trace = tmp_path / "trace"
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(f"TRACE = {str(trace)!r}\n{HOOK}")
    monkeypatch.setenv("PYTHONPATH", str(hook))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return trace


def _requests(text: str) -> Iterator[tuple[messages.Request, bytes]]:
    for kind in BY_JOB:
        yield kind(text), b""
    yield requests.Read(text, {"1": 0}), b""
    yield requests.Signal(text, 15), b""
    yield requests.Retry(text, "key-of-retry"), b""
    yield requests.Retry("nothing", text), b""
    yield requests.Revoke(text), b""
    yield requests.Invite("operator", 60.0, text), b""
    yield requests.List(before=text), b""
    yield requests.List(prefix=text), b""
    yield messages.Run(text, 1, user_key=True, attach=False), b"true\0"
    yield messages.Run("key-of-user", 1, user=text, attach=False), b"true\0"
    yield messages.Run("key-of-label", 1, label=text, attach=False), b"true\0"
    yield from _about_objects(text)
    yield from _about_plans(text)


def _about_objects(text: str) -> Iterator[tuple[messages.Request, bytes]]:
    for kind in ("lock", "rlock", "semaphore", "bounded", "event", "barrier", "queue", "condition"):
        what = messages.ObjectAsked(kind, lock=text if kind == "condition" else None)
        yield messages.Open(text, what, number=next(NUMBERS)), b""
    yield messages.Acquire(1, {text: 1}, wait=False, label=text, number=next(NUMBERS)), b""
    yield messages.Release(1, text, number=next(NUMBERS)), b""
    yield messages.Await(1, text, timeout_s=0.0, number=next(NUMBERS)), b""
    yield messages.Notify(1, text, number=next(NUMBERS)), b""
    yield messages.Flag(text, "wait", 0.0, number=next(NUMBERS)), b""
    yield messages.Meet(text, "wait", timeout_s=0.0, number=next(NUMBERS)), b""
    yield messages.Put(text, wait=False, number=next(NUMBERS)), b"value"
    yield messages.Take(text, wait=False, number=next(NUMBERS)), b""
    yield messages.Settle(text, "ack", number=next(NUMBERS)), b""
    yield messages.Join(text, 0.0, number=next(NUMBERS)), b""
    yield messages.ShutQueue(text, number=next(NUMBERS)), b""
    yield messages.Drop(text, forget=True, number=next(NUMBERS)), b""
    yield messages.ObjectState(text), b""
    yield messages.Leases(text), b""


def _about_plans(text: str) -> Iterator[tuple[messages.Request, bytes]]:
    run = messages.Run("key-of-plan", 1, attach=False)
    yield messages.Plan(text, run, delay_s=3600.0), b"true\0"
    yield messages.Plan("a-plan", run, delay_s=3600.0, group=text, after=(text,)), b"true\0"
    yield messages.Replan(text), b""
    yield messages.Plans(text), b""
    yield messages.Group(text, parallel=2), b""
    yield messages.Unplan(text), b""


def test_s09_no_name_of_the_wire_becomes_a_path(agent: AgentUnderTest, traced: Path) -> None:
    agent.connect()
    answers = refused = 0
    for text in TRICKS:
        for request, body in _requests(text):
            with RawClient(agent.socket_path) as client:
                try:
                    answer = client.ask(request, body)
                except HoldfastError:
                    continue  # not even our own side can send it
                answers += 1
                if isinstance(answer, Failure):
                    refused += 1
                    assert answer.code != ErrorCode.INTERNAL, (request, answer)
    assert answers > 100
    assert refused > 80
    host = agent.connect()
    assert host.run(["echo", "on"]).stdout == b"on\n"

    wrote = [line.split(" ", 1)[1].strip("'\"") for line in traced.read_text().splitlines()]
    assert any(path.startswith(agent.state_dir) for path in wrote), "the hook sees nothing: this test proves nothing"
    outside = [
        path for path in wrote if os.path.isabs(path) and not path.startswith((agent.state_dir, "/dev/", "/proc/"))
    ]
    assert [path for path in outside if not path.startswith(str(traced.parent))] == []
    assert [path for path in wrote if "holdfast-escaped" in path or ".." in path] == []
    assert not os.path.exists("/tmp/holdfast-escaped")


def test_s09_the_hook_sees_a_file_outside(tmp_path: Path, traced: Path) -> None:
    subprocess.run([sys.executable, "-c", f"open({str(tmp_path / 'escaped')!r}, 'w')"], check=True)
    assert f"open '{tmp_path / 'escaped'}'" in traced.read_text()


def test_s09_every_request_is_tried() -> None:
    """A request that is added later must be added here, or be one that names nothing."""
    named = {type(request) for request, _ in _requests("x")}
    nameless: set[type[messages.Request]] = {
        requests.Prune,
        requests.Leftovers,
        requests.Status,
        requests.Shutdown,
        requests.Principals,
    }
    nameless |= {messages.Withdraw, messages.Renew, messages.Groups}
    assert named | nameless == set(messages.AnyRequest.__args__)
