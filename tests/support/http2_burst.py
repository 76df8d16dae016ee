"""A burst of requests in one write, on one HTTP/2 connection: the gateway reads them at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RemoteSettingsChanged, ResponseReceived, StreamEnded


class Burst:
    """An open connection, from its :meth:`open` to its :meth:`close`."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._http = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._statuses: dict[int, int] = {}

    async def open(self) -> None:
        """Connect, and wait until the gateway has allowed so many streams."""
        self._reader, self._writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        self._http.initiate_connection()
        self._send()
        while not any(isinstance(event, RemoteSettingsChanged) for event in await self._events()):
            pass

    def send(self, number: int) -> None:
        """Send so many GET requests."""
        path = {":method": "GET", ":scheme": "http", ":authority": self._url.netloc, ":path": self._url.path}
        for _ in range(number):
            stream = self._http.get_next_available_stream_id()
            self._http.send_headers(stream, list(path.items()), end_stream=True)
        self._send()

    async def statuses(self, number: int) -> Counter[int]:
        """Wait for so many answers."""
        ended = 0
        while ended < number:
            for event in await self._events():
                if isinstance(event, ResponseReceived):
                    headers = {str(name): str(value) for name, value in event.headers}
                    self._statuses[event.stream_id] = int(headers[":status"])
                ended += isinstance(event, StreamEnded)
        return Counter(self._statuses.values())

    def close(self) -> None:
        self._writer.close()

    async def _events(self) -> list[Event]:
        data = await self._reader.read(65536)
        if not data:
            raise ConnectionError("the gateway has closed the connection")
        events = list(self._http.receive_data(data))
        self._send()
        return events

    def _send(self) -> None:
        self._writer.write(self._http.data_to_send())
