"""The network at its worst, for long: cuts by the thousand, at every byte, and hostile connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.test_net_cut_everywhere import FIRST_BYTES, cut_everywhere
from tests.e2e.test_net_cuts import JOBS, WHOLE, cut_everything
from tests.e2e.test_net_hostile import GROWTH_KIB, attack
from tests.e2e.test_net_hostile import WHOLE as HOSTILE
from tests.soak.conftest import Figures

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("time_limit", [900], indirect=True)
@pytest.mark.parametrize("transport", ["tls", "unix"])
def test_ten_thousand_cuts(
    agent: AgentUnderTest,
    tmp_path: Path,
    seed: int,
    time_limit: None,
    monkeypatch: pytest.MonkeyPatch,
    figures: Figures,
    transport: str,
) -> None:
    """R1: over 1 GiB in twenty jobs, each channel as its generator writes it, each job started once."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    done, taken, seconds = cut_everything(agent, tmp_path, seed, WHOLE, transport)
    by_kind = ", ".join(f"{number} {kind}" for kind, number in done["cuts"].items())
    figures(f"R1 cuts over {transport}", f"{WHOLE.cuts} cuts", f"{sum(done['cuts'].values())} ({by_kind})")
    figures("R1 silences that never end", "-", done["endless_silences"])
    figures("R1 bytes taken, all right", f">= {WHOLE.least_bytes}", f"{taken} in {seconds:.0f} s")
    figures("R1 starts of each job", "1", f"1, {JOBS} jobs")


@pytest.mark.parametrize("time_limit", [900], indirect=True)
@pytest.mark.parametrize("transport", ["tls", "unix"])
def test_a_cut_after_each_of_the_first_4096_bytes(
    agent: AgentUnderTest,
    tmp_path: Path,
    seed: int,
    time_limit: None,
    monkeypatch: pytest.MonkeyPatch,
    figures: Figures,
    transport: str,
) -> None:
    """R2 on real sockets."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    done = cut_everywhere(agent, tmp_path, seed, transport, range(1, FIRST_BYTES + 1))
    figures(
        f"R2 cut at each byte over {transport}",
        f"{2 * FIRST_BYTES} runs, 0 faults",
        f"{sum(done.cuts.values())} runs, 0 faults",
    )


@pytest.mark.parametrize("time_limit", [1200], indirect=True)
def test_a_hundred_thousand_hostile_connections(
    agent: AgentUnderTest,
    tmp_path: Path,
    seed: int,
    time_limit: None,
    monkeypatch: pytest.MonkeyPatch,
    figures: Figures,
) -> None:
    """F3: nothing breaks, nothing stays, and who is honest does not notice."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    outcome = attack(agent, tmp_path, seed, HOSTILE)
    figures("F3 hostile connections", HOSTILE, f"{sum(outcome.done.values())} in {outcome.seconds:.0f} s")
    figures("F3 agent's memory", f"+ <= {GROWTH_KIB} KiB", f"{outcome.grown_kib:+} KiB")
    verdict = "" if outcome.judged else " (not judged: the machine was busy)"
    figures("F3 honest requests, p99", "<= 100 ms", f"{outcome.p99_s * 1000:.1f} ms{verdict}")
    figures("F3 honest connects, p99", "<= 500 ms", f"{outcome.connect_p99_s * 1000:.1f} ms{verdict}")
