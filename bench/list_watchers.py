"""Run many `gyrus get --watch` in one process, until standard input ends.

Prints the sums of what they received as a JSON object: ``events`` and ``bytes``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass

CHUNK = 1 << 20
EVENT = b"event: "


@dataclass(slots=True)
class Received:
    events: int = 0
    bytes: int = 0


async def watch(path: str, received: Received) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /v1/watch?changes=true HTTP/1.1\r\nhost: operator\r\n\r\n")
    while chunk := await reader.read(CHUNK):
        received.events += chunk.count(EVENT)
        received.bytes += len(chunk)


async def watch_all(path: str, count: int) -> Received:
    received = Received()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch(path, received), name=f"watch-{n}") for n in range(count)]
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    return received


def main() -> int:
    path, count = sys.argv[1:]
    received = asyncio.run(watch_all(path, int(count)))
    print(json.dumps({"events": received.events, "bytes": received.bytes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
