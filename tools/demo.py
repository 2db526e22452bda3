"""``make demo``: one command, five accidents, nothing lost. About fifteen seconds.

A command writes known lines. While it runs, its connection is cut twice, and client, agent and shim are killed; at the
end every byte, the exit status and the number of starts are compared with what they must be. Everything lives in
a temporary folder. Exit code 0: every promise held; 1: one was broken, and it is named.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from holdfast.lab.chaos import ChaosProxy
from tools import demo_command
from tools.demo_parts import BrokenPromise, Client, Stage, processes_mentioning, promise

ROOT = Path(__file__).resolve().parent.parent
LINES = 24_000
SECONDS = 10.0
LABEL = "demo"
STEPS = {"first cut": 0.12, "second cut": 0.28, "client killed": 0.50, "agent killed": 0.64, "shim killed": 0.84}
"""How far the command's output has come when the accident happens."""


class Demo:
    """The story, with what its steps share."""

    def __init__(self, folder: Path, stage: Stage, seed: str) -> None:
        self.folder = folder
        self.stage = stage
        self.seed = seed
        self.state_dir = folder / "state"
        self.marks = folder / "starts"
        self.stdout = demo_command.expected_stdout(seed, LINES)
        self.stderr = demo_command.expected_stderr(seed, LINES)
        self.env = {**os.environ, "HOLDFAST_STATE_DIR": str(self.state_dir)}
        self.clients: list[Client] = []

    def holdfast(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One short command of the command line; anything but code 0 breaks the demo unless ``check`` is off."""
        command = [sys.executable, "-m", "holdfast", *args]
        done = subprocess.run(
            command, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
        if check:
            promise(done.returncode == 0, f"`holdfast {' '.join(args)}` works (exit {done.returncode}: {done.stderr})")
        return done

    def client(self, name: str, *args: str) -> Client:
        """A client process whose output is collected and shown now and then."""
        shown = f"holdfast {' '.join(args)}".replace(str(self.folder), "..").replace(sys.executable, "python")
        self.stage.typed(shown.replace(f"{ROOT}/", ""))
        client = Client(name, [sys.executable, "-m", "holdfast", *args], self.env, self.stage)
        self.clients.append(client)
        return client

    def play(self) -> None:
        """Everything, in order."""
        self.holdfast("agent", "start")
        self.stage.tell("A private agent was started in an empty folder.")
        with ChaosProxy(f"unix://{self.folder}/link.sock", f"unix://{self.state_dir}/agent.sock") as proxy:
            first = self.start(proxy)
            self.cut_twice(first, proxy)
            self.kill_client(first)
        job = self.find_job()
        second = self.client("second client", "attach", "--from-start", job)
        self.kill_agent(second)
        self.kill_shim(second)
        code = second.wait(timeout_s=60)
        self.stage.tell(f"The command has ended; the second client ends with its exit code, {code}.")
        self.check(job, first, second, code)
        self.leave()

    def start(self, proxy: ChaosProxy) -> Client:
        """The command, through a link that can be cut."""
        command = [sys.executable, demo_command.__file__, self.seed, str(LINES), str(SECONDS), str(self.marks)]
        return self.client("first client", "run", "--label", LABEL, proxy.address, "--", *command)

    def cut_twice(self, client: Client, proxy: ChaosProxy) -> None:
        """Drop the link twice; the client has to go on by itself."""
        for step, down_s in (("first cut", 0.0), ("second cut", 1.0)):
            client.wait_for(int(STEPS[step] * len(self.stdout)))
            served = proxy.served
            promise(proxy.cut(down_s=down_s) > 0, "there is a connection to cut")
            at = len(client.stdout)
            self.stage.accident(f"The connection is cut after {at:,} bytes" + (", for one second." if down_s else "."))
            deadline = time.monotonic() + 15
            while proxy.served == served:
                promise(time.monotonic() < deadline, "the client connects again within 15 s")
                time.sleep(0.01)
            client.wait_for(len(client.stdout) + 1)
            self.stage.tell("The client has connected again and goes on at the next byte.")

    def kill_client(self, client: Client) -> None:
        client.wait_for(int(STEPS["client killed"] * len(self.stdout)))
        client.process.kill()
        client.wait(timeout_s=10)
        self.stage.accident(f"The client is killed (kill -9) after {len(client.stdout):,} bytes.")

    def find_job(self) -> str:
        job = self.holdfast("ps", "-q", "--filter", f"label={LABEL}").stdout.strip()
        promise(bool(job) and "\n" not in job, f"exactly one job goes on (found {job!r})")
        self.stage.tell(f"Job {job} goes on. Another client picks it up, from its first byte.")
        return job

    def kill_agent(self, client: Client) -> None:
        """Kill the agent while the job runs; its keeper has to start another one."""
        client.wait_for(int(STEPS["agent killed"] * len(self.stdout)))
        before = self.agent_pid()
        if before is None:
            raise BrokenPromise("an agent is running")
        os.kill(before, signal.SIGKILL)
        self.stage.accident(f"The agent, process {before}, is killed (kill -9).")
        deadline = time.monotonic() + 15
        while (after := self.agent_pid()) in (None, before):
            promise(time.monotonic() < deadline, "the keeper starts the agent again within 15 s")
            time.sleep(0.1)
        client.wait_for(len(client.stdout) + 1)
        self.stage.tell(f"Its keeper has started another one, process {after}; the second client goes on.")

    def kill_shim(self, client: Client) -> None:
        """Kill the parent of the command, which moves its output; the keeper has to take both over."""
        client.wait_for(int(STEPS["shim killed"] * len(self.stdout)))
        (job,) = self.jobs()
        shim = int(Path(f"/proc/{job['pid']}/stat").read_text().rpartition(")")[2].split()[1])  # ppid, proc(5)
        os.kill(shim, signal.SIGKILL)
        at = len(client.stdout)
        self.stage.accident(f"The shim, process {shim}, the command's own parent, is killed (kill -9).")
        client.wait_for(at + 100_000)
        self.stage.tell("The keeper has adopted the command; its output goes on.")

    def jobs(self, *flags: str) -> list[dict[str, Any]]:
        """Jobs as ``holdfast ps --json`` tells them."""
        listed: list[dict[str, Any]] = json.loads(self.holdfast("ps", "--json", *flags).stdout)
        return listed

    def agent_pid(self) -> int | None:
        status = self.holdfast("agent", "status", "--json", check=False)
        return int(json.loads(status.stdout)["agent"]["pid"]) if status.returncode == 0 else None

    def check(self, job: str, first: Client, second: Client, code: int) -> None:
        """Compare everything with what it must be."""
        stage = self.stage
        stage.heading("What must be true")
        starts = self.marks.read_bytes().count(b"\n")
        stage.check(starts == 1, f"the command was started once (marks found: {starts})")
        stage.check(
            self.stdout.startswith(bytes(first.stdout)),
            f"the killed client's {len(first.stdout):,} bytes are the first ones, none twice, none missing",
        )
        digest = hashlib.sha256(second.stdout).hexdigest()
        stage.check(
            second.stdout == self.stdout,
            f"the second client has all {len(self.stdout):,} bytes of stdout, sha256 {digest[:16]}...",
        )
        own_words = [text for text in second.stderr.splitlines(True) if text.startswith(b"holdfast:")]
        rest = b"".join(text for text in second.stderr.splitlines(True) if not text.startswith(b"holdfast:"))
        stage.check(
            rest == self.stderr, f"and all {len(self.stderr):,} bytes of stderr ({len(own_words)} lines are ours)"
        )
        stage.check(code == demo_command.EXIT_CODE, f"the exit code is the command's own, {demo_command.EXIT_CODE}")
        verified = self.holdfast("verify", job, check=False)
        stage.check(verified.returncode == 0, f"`holdfast verify {job}` finds the kept output as it was")
        self.show_receipt(job)
        left = self.holdfast("leftovers", "--json")
        stage.check(not json.loads(left.stdout or "[]"), "no process of the job is left over")

    def show_receipt(self, job: str) -> None:
        receipt = next(entry["receipt"] for entry in self.jobs("--all") if entry["job"] == job)
        self.stage.check(receipt["stdout"]["bytes"] == len(self.stdout), "its receipt says the same:")
        for name in ("cause", "exit_code", "ended_by", "attempt", "tree", "supervisor"):
            self.stage.quote(f"{name:<11} {receipt[name]}")
        self.stage.quote(f"{'stdout':<11} {receipt['stdout']['bytes']} bytes, xxh3 {receipt['stdout']['xxh3']}")

    def leave(self) -> None:
        self.holdfast("agent", "stop", "--jobs")
        deadline = time.monotonic() + 10
        while (still := processes_mentioning(str(self.folder))) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.stage.check(not still, f"the agent is stopped and no process of ours remains{still or ''}")

    def clean_up(self) -> None:
        """After a failure as well: end what was started here, each by its own pid."""
        for client in self.clients:
            client.end()
        self.holdfast("agent", "stop", "--jobs", check=False)
        for pid in processes_mentioning(str(self.folder)):
            os.kill(pid, signal.SIGKILL)


def main() -> int:
    seed = f"{random.SystemRandom().randrange(1 << 32):08x}"
    folder = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    stage = Stage(sys.stdout)
    stage.heading("Holdfast: one command, five accidents, nothing lost")
    demo = Demo(folder, stage, seed)
    try:
        demo.play()
    except BrokenPromise as broken:
        stage.broken(f"{broken} (seed {seed})")
        return 1
    except KeyboardInterrupt:
        stage.broken("interrupted")
        return 130
    finally:
        demo.clean_up()
        shutil.rmtree(folder, ignore_errors=True)
    stage.end("Every promise held.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
