"""So many `gyrus get --watch` in one process, which read and throw away, until standard input ends.

Prints what they were told, as a JSON object: ``events`` and ``bytes``, of all together.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass

CHUNK = 1 << 20
EVENT = b"event: "


@dataclass(slots=True)
class Heard:
    events: int = 0
    bytes: int = 0


async def watch(port: int, token: str, heard: Heard) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /v1/watch?changes=true HTTP/1.1\r\nhost: operator\r\nauthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    while chunk := await reader.read(CHUNK):
        heard.events += chunk.count(EVENT)
        heard.bytes += len(chunk)


async def watch_all(port: int, token: str, count: int) -> Heard:
    heard = Heard()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch(port, token, heard), name=f"watch-{n}") for n in range(count)]
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    return heard


def main() -> int:
    port, token, count = sys.argv[1:]
    heard = asyncio.run(watch_all(int(port), token, int(count)))
    print(json.dumps({"events": heard.events, "bytes": heard.bytes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
