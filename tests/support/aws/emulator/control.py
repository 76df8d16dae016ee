"""Failures and delays of the emulated AWS, set by tests over HTTP at ``/_test``."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from support.aws.emulator import actions, pricing, service_quotas

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
    refusals: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """By action, such as ``ec2:DescribeVpcs``: the code and the message with which it is refused."""
    quotas: dict[str, float] = field(default_factory=dict[str, float])
    """Values of quotas by code, in place of the usual ones."""
    regions: dict[str, str] = field(default_factory=dict[str, str])
    """The opt-in status of regions, in place of the usual one; "" removes the region."""
    launch_seconds: float = 0.0
    """Time from the launch of an instance of an Auto Scaling group until it is in service, and from the order
    of its end until it is gone."""
    launch_retry: float = 1.0
    """Seconds between two launches that fail."""
    failing_groups: dict[str, str] = field(default_factory=dict[str, str])
    """By Auto Scaling group: the message with which its launches fail."""
    instance_ids: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """By Auto Scaling group: the IDs of its next instances, in place of random ones."""
    silent_groups: list[str] = field(default_factory=list[str])
    """Auto Scaling groups that launch nothing, without a failed activity."""
    full_groups: list[str] = field(default_factory=list[str])
    """Auto Scaling groups that allow no other size."""
    spot_prices: dict[str, float] = field(default_factory=dict[str, float])
    """Spot prices, by ``TYPE:ZONE``."""
    products: list[str] = field(default_factory=list[str])
    """The products of the Pricing API, each as a JSON text."""
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
        body = await _read(receive)
        called = actions.called(scope, body)
        if random.random() < FAULTS.throttled:
            await _answer(send, *actions.throttled(called))
            return
        await asyncio.sleep(random.random() * FAULTS.delay)
        if refusal := FAULTS.refusals.get(called):
            status = int(refusal[0]) if refusal[0].isdigit() else 400
            await _answer(send, status, *actions.refused(called, *refusal))
            return
        if called.startswith("servicequotas:"):
            await _answer(send, 200, service_quotas.answer(body, FAULTS.quotas), b"application/json")
            return
        if called == "pricing:GetProducts":
            await _answer(send, 200, pricing.answer(body, FAULTS.products), b"application/x-amz-json-1.1")
            return
        receive = _replayed(body, receive)
        if random.random() < FAULTS.failed:
            await app(scope, receive, _discard)
            await _answer(send, 503, *actions.refused(called, "ServiceUnavailable", "Try later"))
            return
        await app(scope, receive, send)

    return application


async def _discard(message: Any) -> None:
    pass


async def _read(receive: Any) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replayed(body: bytes, then: Any) -> Any:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await then()

    return receive


async def _control(receive: Any, send: Any) -> None:
    body = await _read(receive)
    for name, value in json.loads(body or b"{}").items():
        setattr(FAULTS, name, value)
    await _answer(send, 200, b"{}", b"application/json")


async def _answer(send: Any, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
