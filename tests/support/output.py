"""What replicas printed, made up by a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gyrus.contract.operator import LogLine, LogQuery


@dataclass(slots=True)
class Output:
    """Printed lines; a follower waits for more, until cancelled."""

    lines: list[LogLine] = field(default_factory=list[LogLine])
    printed: asyncio.Event = field(default_factory=asyncio.Event)
    queries: list[LogQuery] = field(default_factory=list[LogQuery])
    followers: int = 0

    def print(self, *messages: str) -> None:
        self.lines += (LogLine(time=1.0, replica="iris-1-abcde", message=message) for message in messages)
        self.printed.set()

    async def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        self.queries.append(query)
        self.followers += 1
        try:
            sent = 0
            while True:
                for line in self.lines[sent:]:
                    yield line
                    sent += 1
                if not query.follow:
                    return
                self.printed.clear()
                await self.printed.wait()
        finally:
            self.followers -= 1
