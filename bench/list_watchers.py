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


async def watch(port: int, token: str, received: Received) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /v1/watch?changes=true HTTP/1.1\r\nhost: operator\r\nauthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    while chunk := await reader.read(CHUNK):
        received.events += chunk.count(EVENT)
        received.bytes += len(chunk)


async def watch_all(port: int, token: str, count: int) -> Received:
    received = Received()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch(port, token, received), name=f"watch-{n}") for n in range(count)]
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    return received


def main() -> int:
    port, token, count = sys.argv[1:]
    received = asyncio.run(watch_all(int(port), token, int(count)))
    print(json.dumps({"events": received.events, "bytes": received.bytes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
