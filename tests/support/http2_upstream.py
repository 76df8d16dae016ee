"""A small HTTP/2 server on a Unix socket, without TLS and without upgrade."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

Headers = dict[str, str]


@dataclass
class Http2Upstream:
    """Answers with its name and with what it got. It serves HTTP/2 alone."""

    name: str
    socket: Path
    requests: list[Headers] = field(default_factory=list[Headers])

    @property
    def endpoint(self) -> str:
        return f"unix:{self.socket}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[Http2Upstream]:
        server = await asyncio.get_running_loop().create_unix_server(lambda: Connection(self), self.socket)
        try:
            yield self
        finally:
            server.close()


class Connection(asyncio.Protocol):
    def __init__(self, upstream: Http2Upstream) -> None:
        self._upstream = upstream
        config = H2Configuration(client_side=False, header_encoding="utf-8")
        self._http = H2Connection(config)
        self._open: dict[int, tuple[Headers, int]] = {}
        """By stream: its headers, and the bytes of its body so far."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._http.initiate_connection()
        self._send()

    def data_received(self, data: bytes) -> None:
        for event in self._http.receive_data(data):
            if isinstance(event, RequestReceived):
                headers = {str(name): str(value) for name, value in event.headers}
                self._open[event.stream_id] = headers, 0
            elif isinstance(event, DataReceived):
                headers, length = self._open[event.stream_id]
                self._open[event.stream_id] = headers, length + len(event.data)
                self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self._answer(event.stream_id)
        self._send()

    def _answer(self, stream: int) -> None:
        headers, length = self._open.pop(stream)
        self._upstream.requests.append(headers)
        seen = {"upstream": self._upstream.name, "target": headers[":path"], "length": length}
        self._http.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
        self._http.send_data(stream, json.dumps({**seen, "headers": headers}).encode(), end_stream=True)

    def _send(self) -> None:
        self._transport.write(self._http.data_to_send())
