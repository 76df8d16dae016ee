"""The request to stop an operator."""

from __future__ import annotations

import asyncio


class StopRequest:
    """A request to stop the operator alone, or the whole platform."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.everything = False
        """True to stop replicas and gateway too. Otherwise they continue without an operator."""

    def leave(self) -> None:
        self.asked.set()

    def end_everything(self) -> None:
        self.everything = True
        self.asked.set()

    async def stop_everything(self) -> None:
        """Request a stop of the whole platform, as the operator's API does."""
        self.end_everything()
