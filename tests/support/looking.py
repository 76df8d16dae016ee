"""Waiting for conditions without a signal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PAUSE = 0.02
"""Seconds between two looks."""


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look, in a thread, until the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 (another process sends no signal)
            await asyncio.sleep(PAUSE)
