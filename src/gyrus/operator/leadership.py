"""Leadership: of several operators, only one acts for a platform.

An operator that has lost it stops acting at once, and then its process ends. Replicas and gateway continue,
and the next leader adopts them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from gyrus.aio.tasks import first_of
from gyrus.operator.errors import LeadershipLost

E = TypeVar("E", bound=BaseException)

log = logging.getLogger(__name__)

EXIT_CODE = 3
"""The exit code of an operator that has lost its leadership."""

END_TIMEOUT = 10.0
"""Seconds for an orderly end after the loss. Then the process exits even if something hangs."""


class Leadership(Protocol):
    """The right to act for one platform. At most one process has it at a time."""

    def acquire(self) -> AbstractAsyncContextManager[None]:
        """Enter the block once this process leads, and release the leadership after it.

        May wait for as long as another process leads, and may renew the leadership while the block runs.
        Raises StartError if waiting is useless.
        """
        ...

    async def lost(self) -> str:
        """Wait, within that block, until this process no longer leads. Returns the reason."""
        ...


async def lead(leadership: Leadership, body: Coroutine[Any, Any, None]) -> None:
    """Run the body while this process leads: all that acts for the platform, from the first look to the end.

    Once the leadership is lost, cancels the body wherever it is. Raises the body's errors and LeadershipLost
    in a group.
    """
    try:
        async with leadership.acquire():
            await first_of(_require(leadership), body)
    finally:
        body.close()  # it has not begun if the leadership could not be acquired


async def _require(leadership: Leadership) -> None:
    """Raise LeadershipLost once it is lost. In a TaskGroup, this cancels all other tasks at once."""
    reason = await leadership.lost()
    log.error("this operator ends, replicas and gateway continue: %s", reason)
    _end_process_within(END_TIMEOUT)  # armed before the cancellation, since a task may not react to that
    raise LeadershipLost(reason)


def find(kind: type[E], error: BaseException) -> E | None:
    """Return the error if it is of this kind, or the first such one in its group. Returns None otherwise."""
    if isinstance(error, kind):
        return error
    inner: Sequence[BaseException] = getattr(error, "exceptions", ())  # only exception groups have it
    return next((found for each in inner if (found := find(kind, each))), None)


def _end_process_within(seconds: float) -> None:
    """Exit after these seconds, even if a thread or a cleanup hangs: another operator may lead by then."""
    timer = threading.Timer(seconds, os._exit, (EXIT_CODE,))
    timer.daemon = True
    timer.start()
