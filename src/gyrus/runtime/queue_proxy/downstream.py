"""One client's connection: its requests are forwarded to the server in order, one at a time."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, cast

from gyrus.contract.problem import (
    BAD_REQUEST,
    BODY_TIMEOUT,
    DRAINING,
    HEADER_TOO_LARGE,
    NO_REPLICA,
    TIMEOUT,
)
from gyrus.contract.replica import LONGEST_KEPT_BODY
from gyrus.runtime.queue_proxy import wire
from gyrus.runtime.queue_proxy.internal_endpoints import InternalPage, internal_path
from gyrus.runtime.queue_proxy.limiter import QueueFull, Requeued
from gyrus.runtime.queue_proxy.message import CHUNK, Ended, MalformedMessage, MessageHead, Oversized, Requests
from gyrus.runtime.queue_proxy.proxied_request import Cut, ProxiedRequest, requeued
from gyrus.runtime.server.answer import Answer, head_bytes
from gyrus.runtime.server.answer import Head as AnswerHead
from gyrus.runtime.server.gateway_headers import ARRIVED, LAST_TRY, RETRIED, arrival
from gyrus.runtime.server.problems import RequestRefused, body_too_large, queue_full, tries_used_up

if TYPE_CHECKING:
    from gyrus.runtime.queue_proxy.proxy import QueueProxy

LINGER = 2.0
"""Seconds for which the rest of a refused request is read and dropped."""
LAST_IDLE = 1.0
"""Seconds after which an idle connection is closed while the replica stops."""

_OF_PROCESS = os.urandom(8).hex().encode()
_number = count(1)


class DownstreamProtocol(asyncio.StreamReaderProtocol):
    """A stream protocol that cancels the connection's task as soon as the client disconnects.

    The task may be waiting for a slot or for the server, and would not notice it by reading.
    """

    def __init__(self, proxy: QueueProxy) -> None:
        self._stream = asyncio.StreamReader(limit=CHUNK)
        super().__init__(self._stream)
        self._proxy = proxy
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        stream = cast("asyncio.Transport", transport)  # uvloop's class does not inherit from it
        writer = asyncio.StreamWriter(stream, self, self._stream, asyncio.get_running_loop())
        self._task = self._proxy.connected(Downstream(self._proxy, self._stream, writer))

    def eof_received(self) -> bool:
        super().eof_received()
        self._gone()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone()

    def _gone(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Downstream:
    """The proxy's end of a client's connection."""

    def __init__(self, proxy: QueueProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writer = writer
        self._requests = Requests(reader, proxy.limits.max_header)
        self._idling: asyncio.Timeout | None = None

    async def run(self) -> None:
        try:
            while await self._serve_next():
                pass
            await self._writer.drain()
            self._writer.close()
        except (Cut, ConnectionError):
            pass
        finally:
            if not self._writer.is_closing():
                self._writer.transport.abort()

    def hurry(self) -> None:
        """Shorten the wait of an idle connection, because the replica stops."""
        if self._idling is not None:
            self._idling.reschedule(asyncio.get_running_loop().time() + LAST_IDLE)

    async def _serve_next(self) -> bool:
        """Serve one request. Returns False if no other can follow on this connection."""
        try:
            if (request := await self._next_request()) is None:
                return False
        except RequestRefused as refused:
            self._refuse(refused, _new_id(), close=True)
            await self._linger()
            return False
        request_id = request.get(wire.REQUEST_ID) or _new_id()
        if (page := internal_path(request, self._proxy.private_calls)) is not None:
            return await self._answer_itself(request, request_id, page)
        return await self._pass_on(request, request_id)

    async def _next_request(self) -> MessageHead | None:
        """Read the head of the next request. Returns None if no more follow. Raises RequestRefused."""
        limits = self._proxy.limits
        try:
            await self._begun()
            async with asyncio.timeout(limits.header_timeout):
                return self._checked(await self._requests.head())
        except TimeoutError:
            detail = f"The request's header was not complete after {limits.header_timeout:g} s."
            raise RequestRefused(BODY_TIMEOUT, detail) from None
        except Oversized:
            detail = f"The request's header has more than {limits.max_header} bytes."
            raise RequestRefused(HEADER_TOO_LARGE, detail) from None
        except MalformedMessage as error:
            raise RequestRefused(BAD_REQUEST, f"The request is not well-formed HTTP/1.1: {error}.") from None
        except Ended:
            return None

    async def _begun(self) -> None:
        """Wait until a request begins. Raises Ended, also if the client is idle for too long."""
        patience = LAST_IDLE if self._proxy.stopping else self._proxy.limits.keep_alive
        try:
            async with asyncio.timeout(patience) as self._idling:
                await self._requests.begun()
        except TimeoutError:
            raise Ended from None
        finally:
            self._idling = None

    def _checked(self, request: MessageHead) -> MessageHead:
        limit = self._proxy.limits.max_body
        if (request.length or 0) > limit:
            raise body_too_large(limit)
        upgraded = self._requests.upgraded
        if upgraded and (not wire.wants_upgrade(request) or request.length or request.chunked):
            raise RequestRefused(
                BAD_REQUEST, "A request for another protocol has a body; send it without Upgrade."
            )
        return request

    async def _pass_on(self, request: MessageHead, request_id: bytes) -> bool:
        proxy, came = self._proxy, monotonic()
        proxied = ProxiedRequest(
            request, request_id, self._requests, self._writer, proxy.limits, lambda: proxy.stopping
        )
        try:
            again = await self._in_turn(request, proxied, came)
        except RequestRefused as refused:
            if proxied.begun:
                raise Cut from refused
            proxy.metrics.tally(refused.kind.status, monotonic() - came)
            return await self._give_up(request, request_id, proxied, refused)
        proxy.metrics.tally(proxied.status, monotonic() - came)
        return again

    async def _give_up(
        self, request: MessageHead, request_id: bytes, proxied: ProxiedRequest, refused: RequestRefused
    ) -> bool:
        whole = proxied.body_taken or self._requests.skip_empty_body()
        again = whole and self._may_go_on(request)
        self._refuse(refused, request_id, close=not again)
        if not whole:
            await self._linger()
        return again

    def _may_go_on(self, request: MessageHead) -> bool:
        return request.keep_alive and not self._proxy.stopping and not self._requests.upgraded

    async def _in_turn(self, request: MessageHead, proxied: ProxiedRequest, came: float) -> bool:
        if request.get(RETRIED) == LAST_TRY:
            raise tries_used_up()
        proxy = self._proxy
        arrived = arrival(request.get(ARRIVED), came)
        proxied.added = proxy.answer_headers(arrived)
        left = proxy.limits.timeout - (monotonic() - arrived)
        place = proxy.limiter.slot(arrived, movable=_is_movable(request))
        try:
            if left <= 0:
                raise TimeoutError
            async with asyncio.timeout(left) as deadline, place:
                return await proxied.go(proxy.pool, deadline)
        except TimeoutError:
            proxy.metrics.timed_out += 1
            detail = f"No answer arrived within {proxy.limits.timeout:g} s; raise the API's timeout for more."
            raise RequestRefused(TIMEOUT, detail) from None
        except QueueFull:
            proxy.metrics.rejected += 1
            raise queue_full(proxy.limiter.running, proxy.limiter.waiting) from None
        except Requeued:
            proxy.metrics.requeued += 1
            raise requeued(DRAINING if proxy.stopping else NO_REPLICA) from None

    async def _answer_itself(self, request: MessageHead, request_id: bytes, page: InternalPage) -> bool:
        body = await self._small_body()
        again = body is not None and self._may_go_on(request)
        try:
            answer = page(self._proxy, body or b"")
        except RequestRefused as refused:
            answer = refused.answer(request_id)
        self._answer(answer, request_id, close=not again)
        return again

    async def _small_body(self) -> bytes | None:
        """Read a small body. Returns None if it is not small or does not end in time."""
        body = b""
        try:
            async with asyncio.timeout(LINGER):
                while (piece := await self._requests.piece()) is not None:
                    body += piece
                    if len(body) > CHUNK:
                        return None
        except (TimeoutError, MalformedMessage):
            return None
        return body

    async def _linger(self) -> None:
        """Let the client read the answer; closing while it still sends could destroy the answer."""
        self._writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                await self._requests.drop()

    def _refuse(self, refused: RequestRefused, request_id: bytes, *, close: bool) -> None:
        self._answer(refused.answer(request_id), request_id, close=close)

    def _answer(self, answer: Answer, request_id: bytes, *, close: bool) -> None:
        head = AnswerHead(answer.status, answer.media_type, answer.headers)
        framing = b"content-length: %d\r\n" % len(answer.body)
        self._writer.write(head_bytes(head, framing, request_id, monotonic(), close=close) + answer.body)


def _is_movable(request: MessageHead) -> bool:
    """Return True if the gateway certainly keeps all of the body for another try."""
    return not request.chunked and (request.length or 0) <= LONGEST_KEPT_BODY


def _new_id() -> bytes:
    return b"%b%08x" % (_OF_PROCESS, next(_number))
