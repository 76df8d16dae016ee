"""One client with its manners, and what it saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h11

from support.soak.scenario import PIECES, Ask, Manner

LIMIT = 45.0
"""Seconds, longer than any API's timeout: an answer that has not come by then never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Times in seconds since the beginning."""

    ask: Ask
    sent: float
    """When the connection was tried."""
    ended: float
    status: int | None = None
    """None: no answer began."""
    problem: str = ""
    """The last word of its type, where the answer is a problem document."""
    detail: str = ""
    retry_after: bool = False
    whole: bool = False
    """The answer was complete, and the one that was asked for."""
    left: bool = False
    """The client went away, as it was meant to, before the answer was complete."""
    error: str = ""
    request_id: str = ""


@dataclass(slots=True)
class _Answer:
    status: int | None = None
    headers: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False


class Gone(Exception):
    """The client has had enough."""


async def visit(host: str, port: int, ask: Ask, clock: Callable[[], float]) -> Seen:
    """Never raises for what the other side does."""
    sent = clock()
    answer, left, error = _Answer(), False, ""
    try:
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                await _exchange(reader, writer, ask, answer)
            finally:
                writer.transport.abort()
    except Gone:
        left = True
    except (OSError, h11.ProtocolError) as fault:  # a TimeoutError is an OSError
        error = f"{type(fault).__name__}: {fault}"
    return _seen(ask, sent, clock(), answer, left, error)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask, answer: _Answer
) -> None:
    """Reads while it sends: a refusal may come before the body is out."""
    http = h11.Connection(h11.CLIENT)
    sending = asyncio.create_task(_send(writer, http, ask), name=f"body of {ask.number}")
    try:
        if ask.manner is Manner.BREAK_OFF:
            await sending
            raise Gone
        async with asyncio.timeout(ask.patience if ask.manner is Manner.LEAVE else None):
            await _read(reader, http, answer)
    except TimeoutError:
        raise (Gone if ask.manner is Manner.LEAVE else TimeoutError(f"no answer in {LIMIT:g} s")) from None
    finally:
        sending.cancel()
        await asyncio.wait([sending])


async def _send(writer: asyncio.StreamWriter, http: h11.Connection, ask: Ask) -> None:
    """If the other side has closed the connection, reading shows what that means."""
    with suppress(ConnectionError):
        await _send_all(writer, http, ask)


async def _send_all(writer: asyncio.StreamWriter, http: h11.Connection, ask: Ask) -> None:
    body = ask.body
    fields = {"host": "localhost", "content-type": "application/json", "content-length": str(len(body))}
    writer.write(http.send(h11.Request(method="POST", target=f"/{ask.api}", headers=list(fields.items()))))
    if ask.manner is Manner.BREAK_OFF:
        body = body[: len(body) // 2]
    if ask.manner is Manner.DRIBBLE:
        for place in range(len(body)):
            writer.write(http.send(h11.Data(data=body[place : place + 1])))
            await writer.drain()
            await asyncio.sleep(ask.patience)
    else:
        writer.write(http.send(h11.Data(data=body)))
        await writer.drain()
    if ask.manner is Manner.BREAK_OFF:
        await asyncio.sleep(ask.patience)
    else:
        writer.write(http.send(h11.EndOfMessage()))


async def _read(reader: asyncio.StreamReader, http: h11.Connection, answer: _Answer) -> None:
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            answer.status, answer.headers = event.status_code, dict(event.headers)
        elif isinstance(event, h11.Data):
            answer.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            answer.complete = True
            return
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("closed before the answer was complete")


def _seen(ask: Ask, sent: float, ended: float, answer: _Answer, left: bool, error: str) -> Seen:
    problem = _problem(answer)
    return Seen(
        ask=ask,
        sent=sent,
        ended=ended,
        status=answer.status,
        problem=problem.get("type", "").rpartition(":")[2],
        detail=problem.get("detail", ""),
        retry_after=b"retry-after" in answer.headers,
        whole=answer.complete and answer.status == 200 and is_answer(bytes(answer.body), ask),
        left=left,
        error=error,
        request_id=answer.headers.get(b"x-request-id", b"").decode(),
    )


def _problem(answer: _Answer) -> dict[str, Any]:
    if not answer.headers.get(b"content-type", b"").startswith(b"application/problem+json"):
        return {}
    try:
        return json.loads(answer.body)
    except ValueError:
        return {}


def is_answer(body: bytes, ask: Ask) -> bool:
    """It is the one that this request must have, and no other's."""
    number = f'"number":{ask.number}'.encode()
    text = body.replace(b" ", b"")
    if ask.api == "streams":
        return text.count(number + b",") == text.count(b'"piece"') == PIECES
    return text == b'{"number":%d,"length":%d}' % (ask.number, ask.padding)
