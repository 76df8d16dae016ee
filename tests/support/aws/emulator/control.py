"""Failures and delays of the emulated AWS, set by tests over HTTP at ``/_test``."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

PATH = "/_test"

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Faults:
    """What goes wrong, and how slowly everything goes."""

    resource_seconds: float = 0.0
    """Time that a resource of a stack takes."""
    failing: dict[str, str] = field(default_factory=dict[str, str])
    """By name of a resource in its template: the reason for which it fails."""
    undeletable: dict[str, str] = field(default_factory=dict[str, str])
    """The same for its deletion."""
    throttled: float = 0.0
    """Share of all calls that are answered by throttling."""
    failed: float = 0.0
    """Share of all calls whose answer is lost after they were carried out."""
    delay: float = 0.0
    """The most seconds by which an answer is delayed, at random."""
    calls: list[str] = field(default_factory=list[str])
    """The actions that were called, by service."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def meet(self, stack: str, resource: str) -> None:
        time.sleep(self.resource_seconds)
        if reason := self.failing.get(resource):
            raise ValueError(reason)

    def meet_deletion(self, resource: str) -> None:
        time.sleep(self.resource_seconds)
        if reason := self.undeletable.get(resource):
            raise ValueError(reason)


FAULTS = Faults()
THROTTLED = b"""<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>
<Message>Rate exceeded</Message></Error><RequestId>0</RequestId></ErrorResponse>"""


def wrapped(app: Asgi) -> Asgi:
    """Return an application that obeys :data:`FAULTS`."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        import asyncio

        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        if scope["path"].startswith(PATH):
            await _control(receive, send)
            return
        if random.random() < FAULTS.throttled:
            await _answer(send, 400, THROTTLED, b"text/xml")
            return
        await asyncio.sleep(random.random() * FAULTS.delay)
        if random.random() < FAULTS.failed:
            await app(scope, receive, _discard)
            await _answer(send, 503, THROTTLED.replace(b"Throttling", b"ServiceUnavailable"), b"text/xml")
            return
        await app(scope, receive, send)

    return application


async def _discard(message: Any) -> None:
    pass


async def _control(receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    for name, value in json.loads(body or b"{}").items():
        setattr(FAULTS, name, value)
    await _answer(send, 200, b"{}", b"application/json")


async def _answer(send: Any, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
