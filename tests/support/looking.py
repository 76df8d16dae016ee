"""Waiting for conditions without a signal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psutil

PAUSE = 0.02
"""Seconds between two looks."""


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look, in a thread, until the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 (another process sends no signal)
            await asyncio.sleep(PAUSE)


def has_ended(process: psutil.Process | int) -> bool:
    """Return True once the process is gone, or waits for its parent to notice. An id stands for the process
    that has it now."""
    try:
        found = psutil.Process(process) if isinstance(process, int) else process
        return not found.is_running() or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True  # it ended between the two questions too
