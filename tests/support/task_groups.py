"""Tasks that run beside the steps of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running_in_background(body: Coroutine[Any, Any, object]) -> AsyncGenerator[None]:
    """Run a body until the block ends. An error of it ends the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(body, name="in the background")
        yield
        task.cancel()
