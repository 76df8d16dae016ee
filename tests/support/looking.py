"""Waiting for what nobody announces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PAUSE = 0.02
"""Seconds between two looks."""


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Look, in a thread, until the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(PAUSE)
