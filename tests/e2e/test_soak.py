"""Bursts, silence, slow clients, disconnects and kill -9, and nothing fails that cannot be explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.platform import Platform
from support.soak.apis import TARGETS
from support.soak.scenario import Pace, scenario
from support.soak.soak import Memory, Soak

SEED = 20231116
SECONDS = 35.0
PACE = Pace(first=3.0, between=3.0, quiet=6.0)
MEMORY = Memory(settling=10.0, window=6.0, every=1.0)
BIG = 0.0
"""None after the beginning: a process that is younger would grow by the first one."""


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_nothing_fails_that_cannot_be_explained(platform: Platform, tmp_path: Path) -> None:
    soak = Soak(platform, scenario(SEED, SECONDS, TARGETS, PACE, BIG), TARGETS, MEMORY)
    report = await soak.run(tmp_path)
    print(report)  # noqa: T201 shown where it fails
    assert report.faults == []
