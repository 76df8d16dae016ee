from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.parking import Park, ParkedUnderTest, park


@pytest.fixture
def parked() -> Iterator[Park]:
    """Parks handlers, and leaves nothing running."""
    started: list[ParkedUnderTest] = []

    def begin(handler: str, **settings: Any) -> ParkedUnderTest:
        started.append(park(Path(tempfile.mkdtemp(dir=root, prefix="p")), handler, **settings))
        return started[-1]

    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as root:
        try:
            yield begin
        finally:
            for each in started:
                each.close()
