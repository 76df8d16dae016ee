"""Parts of the operator that fail are started again, and end no other part."""

from __future__ import annotations

import asyncio
import errno

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.operator.supervision import Supervision


class Part:
    """A part that fails so many times, and then runs."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.runs = asyncio.Event()

    async def run(self) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, "Input/output error")
        self.runs.set()


async def test_a_part_that_fails_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    part, clock = Part(failures=3), VirtualClock()
    keeping = asyncio.create_task(Supervision(clock, started=True).keep("backend", part.run))
    while not keeping.done():
        await asyncio.sleep(0)
        await clock.advance(60.0)
    assert part.runs.is_set()
    assert caplog.text.count("the operator's part 'backend' failed") == 3


async def test_before_the_start_an_error_ends_it() -> None:
    with pytest.raises(OSError, match="Input/output error"):
        await Supervision(VirtualClock()).keep("backend", Part(failures=1).run)
