"""The supervision of the operator's parts: an error of one ends neither the operator nor another part."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.tasks import log_error, persist

log = logging.getLogger(__name__)

RESTART = Backoff(0.5, 30.0)


@dataclass(slots=True)
class Supervision:
    """Runs parts, and starts them again after an error.

    Until the operator has ``started``, an error of a part ends it, so that the start fails with the reason.
    """

    clock: Clock
    started: bool = False

    async def keep(self, name: str, body: Callable[[], Awaitable[object]]) -> None:
        """Run the part until it ends by itself or is cancelled."""
        await persist(name, body, backoff=RESTART, clock=self.clock, on_error=self._failed)

    def _failed(self, name: str, error: Exception, delay: float) -> None:
        if not self.started:
            raise error
        log_error(f"the operator's part {name!r}", error, delay)
