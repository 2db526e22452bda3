"""S28: dependencies are pinned by hash, and an agent imports nothing outside the declared set."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import eventually
from tests.security.sources import ROOT

LOCK = ROOT / "requirements.lock"
DECLARED = {"click", "cloudpickle", "cryptography", "msgspec", "platformdirs", "uvloop", "xxhash"}
THEIR_OWN = {"cffi", "_cffi_backend", "pycparser"}
"""What the declared ones bring with them."""
TAKEN_ALONG = {"bcrypt", "typing_extensions"}
"""What cryptography looks for, and uses where something else has installed it (here the benchmarks' AsyncSSH)."""


def _locked() -> dict[str, int]:
    """Package -> number of hashes."""
    found: dict[str, int] = {}
    name = ""
    for line in LOCK.read_text().splitlines():
        if match := re.match(r"([a-z0-9-]+)==\S+", line):
            name = match[1]
            found[name] = 0
        elif re.match(r"    --hash=sha256:[0-9a-f]{64}", line):
            found[name] += 1
        else:
            assert line.startswith("#") or not line.strip(), line
    return found


def test_s28_each_dependency_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=; \[]", text)[0] for text in project["dependencies"]}
    assert wanted == DECLARED, "the declared set is named in this test"
    wanted |= {re.split(r"[<>=; \[]", text)[0] for text in project["optional-dependencies"]["metrics"]}
    locked = _locked()
    assert wanted <= set(locked)
    assert set(locked) - wanted <= THEIR_OWN
    assert all(locked.values()), f"without a hash: {[name for name, hashes in locked.items() if not hashes]}"


def test_s28_an_agent_imports_nothing_else(agent: AgentUnderTest, tmp_path: Path) -> None:
    """Oracle: the interpreter's own record of imports (``-X importtime``) of an agent that serves the network."""
    record = tmp_path / "imports"
    options = ["--state-dir", agent.state_dir, "--listen", "tls://127.0.0.1:0"]
    with record.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "holdfast", "agent", "run", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
    try:
        eventually(lambda: os.path.exists(agent.socket_path), 20.0)
        host = agent.connect()
        assert host.run(["true"]).returncode == 0
        host.invite()
    finally:
        agent.stop()
        process.wait(timeout=20)
    names = set(re.findall(r"\|\s+([A-Za-z_][\w.]*)$", record.read_text(), re.MULTILINE))
    assert "holdfast.agent.app" in names
    top = {name.partition(".")[0] for name in names}
    # From 3.12 on `platform` asks for Windows' _wmi everywhere; 3.12.1's own list of its modules lacks it.
    foreign = top - set(sys.stdlib_module_names) - {"holdfast", "__main__", "_wmi"} - _of_this_interpreter(top)
    unknown = foreign - DECLARED - THEIR_OWN - TAKEN_ALONG
    assert not top & {"cloudpickle", "pickle"}
    assert not unknown, f"outside the declared set: {sorted(unknown)}"


def _of_this_interpreter(names: set[str]) -> set[str]:
    """What the installation itself loads at every start: ``.pth`` hooks of an editable install, distribution hooks."""
    bare = subprocess.run([sys.executable, "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True)
    at_start = {name.partition(".")[0] for name in re.findall(r"\|\s+([A-Za-z_][\w.]*)$", bare.stderr, re.MULTILINE)}
    private = {name for name in names if name.startswith("_sysconfigdata")} | {"org"}  # copy looks for Jython's
    assert sysconfig.get_config_var("SOABI")
    return at_start | private
