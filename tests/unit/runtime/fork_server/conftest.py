from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fork_servers import ForkServerUnderTest, StartForkServer, start_fork_server


@pytest.fixture
def fork_server() -> Iterator[StartForkServer]:
    """Parks handlers, and leaves nothing running."""
    started: list[ForkServerUnderTest] = []

    def begin(handler: str, **settings: Any) -> ForkServerUnderTest:
        started.append(start_fork_server(Path(tempfile.mkdtemp(dir=root, prefix="p")), handler, **settings))
        return started[-1]

    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as root:
        try:
            yield begin
        finally:
            for each in started:
                each.close()
