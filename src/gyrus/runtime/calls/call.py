"""One request on its way through the handler."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from gyrus.contract.replica import LONGEST_KEPT_BODY
from gyrus.runtime.server.arrival import ARRIVED, arrival
from gyrus.runtime.server.exchange import Exchange

if TYPE_CHECKING:
    from gyrus.runtime.server.request import Request


class ClientGoneListener(Protocol):
    """Who is told of the client."""

    def client_gone(self, call: Call) -> None: ...


class Call:
    """Exists from its admission until its slot is free again, however early it is answered."""

    __slots__ = ("_admission", "arrived", "begun", "cancelled", "exchange", "more", "request", "task")

    def __init__(self, exchange: Exchange, admission: ClientGoneListener) -> None:
        self.exchange = exchange
        self.request: Request = exchange.request
        told = self.request.headers.get(ARRIVED)
        self.arrived = exchange.arrived if told is None else arrival(told, exchange.arrived)
        """At the gateway, in monotonic seconds."""
        self.cancelled = False
        """Nobody waits for the answer any more: the client is gone, or was told that it took too long."""
        self.task: asyncio.Task[Any] | None = None
        """What to cancel, where it runs on the loop."""
        self.begun = False
        """The task is past its first step. One that is cancelled before would never run at all, and could not
        release its slot."""
        self.more: Flow | None = None
        """Who goes on when the client takes more of a stream."""
        self._admission = admission
        exchange.owner = self

    @property
    def movable(self) -> bool:
        """The gateway can try it again elsewhere."""
        return len(self.request.body) <= LONGEST_KEPT_BODY

    def is_cancelled(self) -> bool:
        return self.cancelled

    def cancel(self) -> None:
        self.cancelled = True
        if self.task is not None and self.begun:
            self.task.cancel()
        if self.more is not None:
            self.more.proceed()

    # The exchange's owner

    def client_gone(self) -> None:
        self._admission.client_gone(self)

    def client_ready(self) -> None:
        if self.more is not None:
            self.more.proceed()


class Flow(Protocol):
    """A stream that may have stopped for its client's sake."""

    def proceed(self) -> None: ...
