"""The network at its worst, for long: ten thousand cuts, a cut at every byte, a hundred thousand hostile connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.test_net_cuts import JOBS, WHOLE, cut_everything
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
