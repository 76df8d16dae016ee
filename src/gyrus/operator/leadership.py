"""Leadership: of several operators, one acts for a platform.

An operator that has lost it stops acting at once, and then its process ends. Replicas and gateway go on, and
the next leader adopts them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gyrus.operator.errors import LeadershipLost

log = logging.getLogger(__name__)

EXIT_CODE = 3
"""The exit code of an operator that has lost its leadership."""

END_TIMEOUT = 10.0
"""Seconds for an orderly end after the loss; then the process ends all the same."""


class Leadership(Protocol):
    """The right to act for one platform. At most one process has it at a time."""

    def acquire(self) -> AbstractAsyncContextManager[None]:
        """Enter the block once this process leads, and release the leadership after it.

        May wait for as long as another process leads, and may renew the leadership while the block runs.
        Raises StartError where waiting makes no sense.
        """
        ...

    async def lost(self) -> str:
        """Within that block: return why this process leads no more, as soon as that is so."""
        ...


async def require(leadership: Leadership) -> None:
    """Raise LeadershipLost once it is lost. In a TaskGroup, that cancels all that acts, at once."""
    reason = await leadership.lost()
    log.error("this operator ends, replicas and gateway go on: %s", reason)
    _end_process_within(END_TIMEOUT)
    raise LeadershipLost(reason)


def loss(error: BaseException) -> LeadershipLost | None:
    """Return the loss, if this is one, or a group with one."""
    if isinstance(error, LeadershipLost):
        return error
    inner: Sequence[BaseException] = getattr(error, "exceptions", ())  # only groups have it
    return next(filter(None, map(loss, inner)), None)


def _end_process_within(seconds: float) -> None:
    """A thread that hangs, or a cleanup, must not keep a process alive that leads no more."""
    timer = threading.Timer(seconds, os._exit, (EXIT_CODE,))
    timer.daemon = True
    timer.start()
