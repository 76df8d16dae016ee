"""Bursts, silence, slow clients, disconnects and kill -9, and nothing fails that cannot be explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.platform import Platform
from support.soak.apis import TARGETS
from support.soak.scenario import Pace, scenario
from support.soak.soak import Memory, Soak

SEED = 20231116
SECONDS = 45.0
PACE = Pace(first=3.0, between=3.0, quiet=8.0)
UNSETTLED = Memory(settling=SECONDS, window=SECONDS)
"""Nothing is old enough to be weighed after so short a time: bench/soak.py weighs."""


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_nothing_fails_that_cannot_be_explained(platform: Platform, tmp_path: Path) -> None:
    soak = Soak(platform, scenario(SEED, SECONDS, TARGETS, PACE), TARGETS, UNSETTLED)
    report = await soak.run(tmp_path)
    print(report)  # noqa: T201 shown where it fails
    assert report.faults == []
