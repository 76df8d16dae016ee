"""The CPU time that the operator spends on a call to a replica's process.

The client beside two that do less: bare streams, which read nothing but a head and a length, and h11 on a
bare protocol. All ask the same processes for their loads, over kept Unix sockets, several at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import h11
import machine
from table import render

from gyrus.aio.addresses import UNIX, connect
from gyrus.aio.http.client import HttpClient
from gyrus.aio.http.message import HttpRequest
from gyrus.contract.replica import LOAD_PATH

TIMEOUT = 5.0
CALLS = 40
"""Calls to each process in a round."""
LOAD = {
    "slots": 1,
    "busy": 1,
    "waiting": 20,
    "movable": 20,
    "places": 80,
    "waited": [0.01 * n for n in range(20)],
}
BODY = json.dumps(LOAD).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"date: Fri, 27 Nov 2026 11:00:00 GMT\r\n\r\n%b" % (len(BODY), BODY)
)
REQUEST = HttpRequest("GET", LOAD_PATH, {"x-gyrus-internal": "1", "content-type": "application/json"})

Ask = Callable[[str], Awaitable[bytes]]


class Answering(asyncio.Protocol):
    """A replica's process, as far as it matters here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)


def serve(paths: Sequence[str]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        servers = [await loop.create_unix_server(Answering, path) for path in paths]
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(main())


class Streams:
    """One exchange by hand."""

    def __init__(self) -> None:
        self._connections: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def ask(self, address: str) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            if address not in self._connections:
                path = address.removeprefix(UNIX)
                self._connections[address] = await asyncio.open_unix_connection(path)
            reader, writer = self._connections[address]
            writer.write(REQUEST.encode("gyrus", close=False))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(maxsplit=1)[0])
            return await reader.readexactly(length)


class H11(asyncio.Protocol):
    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._answer: asyncio.Future[bytes] | None = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, request: h11.Request) -> bytes:
        self._answer, self._body = asyncio.get_running_loop().create_future(), []
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        parts = (self._http.send(request), self._http.send(h11.EndOfMessage()))
        self._transport.write(b"".join(part for part in parts if part))
        return await self._answer

    def data_received(self, data: bytes) -> None:
        assert self._answer is not None
        self._http.receive_data(data)
        while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return
            if isinstance(event, h11.Data):
                self._body.append(event.data)
        self._answer.set_result(b"".join(self._body))


class H11Client:
    """One exchange by h11, its head made once."""

    def __init__(self) -> None:
        self._connections: dict[str, H11] = {}
        fields = {"host": "gyrus", **REQUEST.headers, "content-length": "0"}
        self._head = h11.Request(method=REQUEST.method, target=REQUEST.target, headers=list(fields.items()))

    async def ask(self, address: str) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            if address not in self._connections:
                self._connections[address] = (await connect(address, H11))[1]
            return await self._connections[address].ask(self._head)


async def measured(addresses: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Microseconds of CPU a call, by way, of each round."""
    client = HttpClient(connections=1)

    async def ask(address: str) -> bytes:
        return (await client.send(address, REQUEST, timeout=TIMEOUT)).body

    ways: dict[str, Ask] = {"bare streams": Streams().ask, "gyrus.aio.http": ask, "bare h11": H11Client().ask}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, one in ways.items():
            began = time.process_time()
            for _ in range(CALLS):
                bodies = await asyncio.gather(*(one(address) for address in addresses))
                assert all(body == BODY for body in bodies)
            taken[way].append((time.process_time() - began) / CALLS / len(addresses) * 1e6)
    client.close()
    return {way: times[1:] for way, times in taken.items()}  # the first round connects


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=16, help="asked at the same time")
    parser.add_argument("--rounds", type=int, default=40, help="of each way, taken in turn")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}" for number in range(arguments.processes)]
        server = multiprocessing.Process(target=serve, args=(paths,), daemon=True)
        server.start()
        while not Path(paths[-1]).is_socket():
            time.sleep(0.01)
        taken = asyncio.run(measured([UNIX + path for path in paths], arguments.rounds))
        server.terminate()
        server.join()
    ratios = {
        way: statistics.median(one / bare for one, bare in zip(times, taken["bare streams"], strict=True))
        for way, times in taken.items()
    }
    print(machine.description())
    rows = [(way, f"{min(times):.0f}", f"{ratios[way]:.2f}") for way, times in taken.items()]
    print(render(("client", "µs a call, best", "ratio, median"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
