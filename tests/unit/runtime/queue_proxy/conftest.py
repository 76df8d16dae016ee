from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Where there is uvloop the front runs on it, else without."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
