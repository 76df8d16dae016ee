from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fork_servers import ForkServerUnderTest, Park, park


@pytest.fixture
def fork_server() -> Iterator[Park]:
    """Parks handlers, and leaves nothing running."""
    started: list[ForkServerUnderTest] = []

    def begin(handler: str, **settings: Any) -> ForkServerUnderTest:
        started.append(park(Path(tempfile.mkdtemp(dir=root, prefix="p")), handler, **settings))
        return started[-1]

    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as root:
        try:
            yield begin
        finally:
            for each in started:
                each.close()
