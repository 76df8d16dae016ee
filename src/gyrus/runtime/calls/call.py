"""One request on its way through the handler."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from gyrus.contract.replica import LONGEST_KEPT_BODY, POOL_HEADER
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.gateway_headers import ARRIVED, LAST_TRY, RETRIED, arrival
from gyrus.runtime.started import key_of

if TYPE_CHECKING:
    from gyrus.runtime.server.request import Request

POOL = POOL_HEADER.encode()


PreparedCall = dict[str, Any] | Answer


class ClientGoneListener(Protocol):
    """The component that is notified when the client of a call disconnects."""

    def client_gone(self, call: Call) -> None: ...


class Call:
    """One request from its admission until its slot is free again, even if it is answered earlier."""

    __slots__ = (
        "_admission",
        "arrived",
        "begun",
        "cancelled",
        "exchange",
        "key",
        "last_try",
        "more",
        "prepared",
        "request",
        "retried",
        "row",
        "task",
    )

    def __init__(self, exchange: Exchange, admission: ClientGoneListener) -> None:
        self.exchange = exchange
        self.request: Request = exchange.request
        header = self.request.headers.get(ARRIVED)
        self.arrived = exchange.arrived if header is None else arrival(header, exchange.arrived)
        """Monotonic seconds of its arrival at the gateway."""
        self.cancelled = False
        """True if no client waits for the answer: it disconnected, or was answered with a timeout."""
        self.task: asyncio.Task[Any] | None = None
        """The task to cancel, if the call runs on the event loop."""
        self.begun = False
        """True once the task has run its first step.

        A task that is cancelled before its first step never runs, so it could not release its slot.
        """
        self.more: Flow | None = None
        """The stream that continues when the client can take more."""
        self.prepared: PreparedCall | None = None
        """Arguments for a batch, or the answer that refuses the request; None: its payload is not read."""
        self.key: bytes | None = None
        """Key of the request among those that this process has started; None: the gateway sends it once."""
        self.row: int | None = None
        """Its place in the record of started requests."""
        self.retried = False
        """True if the gateway sent it to a replica before, which may have started it."""
        self.last_try = False
        """True if only a process that knows of other processes' deaths may start it."""
        if POOL in self.request.headers:
            self._note_retries(self.request.headers)
        self._admission = admission
        exchange.owner = self

    def _note_retries(self, headers: Mapping[bytes, bytes]) -> None:
        if ARRIVED in headers:
            self.key = key_of(headers[ARRIVED], headers.get(b"x-request-id", b""))
            self.retried = RETRIED in headers
            self.last_try = headers.get(RETRIED) == LAST_TRY

    @property
    def movable(self) -> bool:
        """True if the gateway can retry the request on another replica."""
        return len(self.request.body) <= LONGEST_KEPT_BODY

    def is_cancelled(self) -> bool:
        return self.cancelled

    def cancel(self) -> None:
        """Cancel the task if the call has one, and wake a stream that waits for its client."""
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
    """A stream that may be waiting until its client takes more."""

    def proceed(self) -> None: ...
