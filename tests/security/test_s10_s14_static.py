"""S10: no text reaches a shell unless a job asked for one. S14: signal handlers neither wait nor take locks."""

from __future__ import annotations

import ast

import pytest

from tests.security.sources import calls, modules

SHELLS = {"sh", "bash", "/bin/sh", "/bin/bash", b"sh", b"bash", b"/bin/sh", b"/bin/bash"}
MAY_NAME_A_SHELL = {
    "agent/plan.py": "a job of kind shell: its text is the user's own, and is passed as one word",
    "transport/ssh.py": "a fixed script that keeps Ctrl-C from ssh; ssh's command line is passed as words",
    "client/embedded.py": "a fixed script that starts the agent as nobody's child; the command is passed as words",
    "lab/cases/concurrency/running.py": "a loop that counts, with a number put in: a process that is no Python",
    "lab/cases/coroutines/stopping.py": "a pause, with a number put in, before something comes through a pipe",
    "lab/cases/zombies_orphans/observe.py": "a fixed script that leaves children behind",
}
MAY_HAND_OVER_TEXT = {
    "lab/cases/remote_exec/programs/p03_as_in_the_notes.py": "the study notes' server, whose fault is shown; no module",
    "lab/cases/remote_exec/programs/p03_repaired.py": "the same behind a secret; runs on loopback while its case does",
}
"""Programs that are started by their experiment, and by nobody else."""
STARTS_WITH_TEXT = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"}
STARTERS = {"subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output"}


def shell_faults(path: str, tree: ast.Module) -> list[str]:
    """What in a module could give a text to a shell."""
    faults = []
    for name, call in calls(tree):
        if name in STARTS_WITH_TEXT:
            faults.append(f"{path}:{call.lineno}: {name}")
        if (
            name in STARTERS
            and path not in MAY_HAND_OVER_TEXT
            and any(
                word.arg == "shell" and not (isinstance(word.value, ast.Constant) and word.value.value is False)
                for word in call.keywords
            )
        ):
            faults.append(f"{path}:{call.lineno}: {name}(shell=...)")
    if path not in MAY_NAME_A_SHELL:
        for node in ast.walk(tree):
            if isinstance(node, (ast.List, ast.Tuple)) and node.elts:
                first = node.elts[0]
                flags = [word.value for word in node.elts[1:] if isinstance(word, ast.Constant)]
                if isinstance(first, ast.Constant) and first.value in SHELLS and {"-c", b"-c"} & set(flags):
                    faults.append(f"{path}:{node.lineno}: {first.value!r} -c")
    return faults


def test_s10_no_text_reaches_a_shell() -> None:
    faults = [fault for path, tree in modules() for fault in shell_faults(path, tree)]
    assert faults == []


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.system('true')",
        "import subprocess\nsubprocess.run('true', shell=True)",
        "import subprocess\nsubprocess.run('true', shell=flag)",
        "argv = ['/bin/sh', '-c', text]",
        "argv = (b'bash', b'-c', text)",
    ],
)
def test_s10_the_check_sees_a_shell(code: str) -> None:
    assert shell_faults("agent/other.py", ast.parse(code))


def test_s10_the_exceptions_still_stand() -> None:
    there = dict(modules())
    for path in MAY_NAME_A_SHELL:
        assert any(isinstance(node, ast.Constant) and node.value in SHELLS for node in ast.walk(there[path])), (
            f"{path} names no shell any more: take it off the list"
        )
    for path in MAY_HAND_OVER_TEXT:
        assert shell_faults("agent/other.py", there[path]), f"{path} hands over no text any more: take it off the list"


WAITS_OR_LOCKS = {
    "acquire", "connect", "flock", "fsync", "fdatasync", "input", "join", "lockf", "log", "open", "print", "read",
    "recv", "result", "run", "select", "send", "sendall", "sleep", "start", "wait", "waitpid",
}  # fmt: skip


def handler_faults(path: str, tree: ast.Module) -> list[str]:
    """Calls in handlers of ``signal.signal`` that could wait for something the interrupted code holds."""
    names = set()
    for name, call in calls(tree):
        if name in {"signal.signal", "signal"} and len(call.args) == 2:
            names.add(_last(call.args[1]))
    for node in ast.walk(tree):  # a table of (signal, handler), registered in a loop
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and _names_a_signal(node.elts[0]):
            names.add(_last(node.elts[1]))
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            for name, call in calls(node):
                if name.rpartition(".")[2] in WAITS_OR_LOCKS:
                    faults.append(f"{path}:{call.lineno}: {node.name} calls {name}")
    return faults


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _names_a_signal(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr.startswith("SIG")


def test_s14_signal_handlers_wait_for_nothing() -> None:
    faults = [fault for path, tree in modules() for fault in handler_faults(path, tree)]
    assert faults == []


def test_s14_the_check_sees_a_handler_that_waits() -> None:
    planted = "import signal\ndef on(a, b):\n    lock.acquire()\nsignal.signal(signal.SIGINT, on)\n"
    looped = "for n, h in ((signal.SIGINT, self.on),):\n    signal.signal(n, h)\ndef on(self):\n    thread.start()\n"
    assert handler_faults("x.py", ast.parse(planted))
    assert handler_faults("x.py", ast.parse(looped))
