"""Responses that continue until the client or the server ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gyrus.aio.tasks import first_of

Write = Callable[[bytes], Awaitable[None]]
"""Sends a chunk at once; waits while the client is slow."""


class LiveResponse(Response):
    """A response that runs ``body`` until it returns, the client disconnects, or the server closes.

    In the last two cases ``body`` is cancelled.
    """

    def __init__(
        self, body: Callable[[Write], Awaitable[None]], media_type: str, closing: asyncio.Event
    ) -> None:
        super().__init__(media_type=media_type, headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._body = body
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def write(chunk: bytes) -> None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

        async def content() -> None:
            await self._body(write)

        async def closed() -> None:
            await self._closing.wait()

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await first_of(content(), _disconnected(receive), closed())
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
