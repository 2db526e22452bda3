"""What a keeper holds for others: the lock that clients look at, and the limit of descriptors that commands get."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from holdfast.client import embedded
from holdfast.keeper import messages
from holdfast.keeper.launch import NOFILE_VARIABLE
from holdfast.store import control
from tests.e2e.keeper_harness import alive, running_keeper, wait_until


def test_clients_see_a_keeper_that_would_start_its_agent_again_and_no_other(tmp_path: Path) -> None:
    with running_keeper(tmp_path) as keeper:
        shim = keeper.shim()
        shim.start("sleep", "60")
        shim.started()
        assert embedded._keeper_lives(str(tmp_path))
        keeper.say(messages.Bye())
        wait_until(lambda: not embedded._keeper_lives(str(tmp_path)), "the lock's end, though a job goes on")
        assert alive(keeper.pid)
        shim.say(messages.Stop(control.STOPPED, "test", 0))
        shim.exit()
        keeper.wait_for_end()


def test_commands_get_the_limit_that_the_agent_had_before_it_raised_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setenv(NOFILE_VARIABLE, "777")
    with running_keeper(tmp_path) as keeper:
        shim = keeper.shim()
        record = shim.run("sh", "-c", f"[ $(ulimit -Sn) = 777 ] && [ $(ulimit -Hn) = {hard} ]")
        assert record.wait_status == 0
        shim.release()
