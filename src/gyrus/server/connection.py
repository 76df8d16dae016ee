"""One connection to the API: whether its client is known, and how long it may wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

HEADER_TIMEOUT = 10.0
"""Seconds from a connection's start, or its last answer, until the whole header of a request is there."""
USER = "user"
"""Key in a request's ASGI state: the user at the other end of the Unix socket, where no token is needed.
Empty over TCP."""


class ApiConnection(H11Protocol):
    """A connection that must send a request in time."""

    def __init__(self, config: Config, server_state: ServerState, *, user: str) -> None:
        super().__init__(config, server_state, {USER: user}, asyncio.get_running_loop())
        self._deadline: asyncio.TimerHandle | None = None
        self.ended = asyncio.Event()

    @property
    def busy(self) -> bool:
        """True while a request is in work."""
        # Before the first request there is none, whatever uvicorn declares.
        return bool(self.cycle) and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] -- as uvicorn's
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)
        self.ended.set()

    def handle_events(self) -> None:
        super().handle_events()
        if self.busy:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        self._await_request()
        super().on_response_complete()

    def end(self) -> None:
        """End the connection at once. It may be without a transport, during its TLS handshake."""
        self._stop_waiting()
        if self.transport:
            self.transport.abort()

    def _await_request(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(HEADER_TIMEOUT, self.end)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
