"""An unfinished request's memory is freed on disconnect, without waiting for the garbage collector."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Generator

import pytest

from support.wire import Wire

MIB = 1024 * 1024


@pytest.fixture
def traced() -> Generator[None]:
    """Without the garbage collector, and with every allocation counted."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


@pytest.mark.usefixtures("traced")
def test_a_body_that_broke_off_is_not_kept() -> None:
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(3):
        wire = Wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (10 * MIB))
        for _ in range(8):
            wire.send(b"x" * MIB)
        wire.lose()
        del wire
    after, _ = tracemalloc.get_traced_memory()
    assert after - before < MIB
