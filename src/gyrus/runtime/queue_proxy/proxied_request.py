"""The path of one request to the server and of its answer back to the client.

::

    RequestRefused  no answer of the server follows; the proxy answers (see ``runtime.server.problems``)
    Cut             the answer has begun and cannot be completed: end the client's connection
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic

from gyrus.contract.problem import BODY_TIMEOUT, NO_REPLICA, UPSTREAM_FAILED, ProblemType
from gyrus.contract.replica import REQUEUE_HEADER, Limits
from gyrus.runtime.queue_proxy import wire
from gyrus.runtime.queue_proxy.message import (
    Answers,
    Ended,
    HeaderList,
    MalformedMessage,
    MessageHead,
    Requests,
)
from gyrus.runtime.queue_proxy.upstream import ConnectionPool, Upstream
from gyrus.runtime.server.bodies import READING_GRACE, is_too_slow
from gyrus.runtime.server.problems import RequestRefused, body_too_large, too_slow

FULL_BUFFER = 256 * 1024
"""Bytes that may wait for a slow client before its timeout applies."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Cut(Exception):
    pass


class ProxiedRequest:
    """One request that is forwarded to the server. Used once."""

    def __init__(
        self,
        request: MessageHead,
        request_id: bytes,
        body: Requests,
        client: asyncio.StreamWriter,
        limits: Limits,
        closing: Callable[[], bool],
    ) -> None:
        """Prepare the forwarding. If ``closing()``, an answer that begins ends its connection."""
        self._request = request
        self._request_id = request_id
        self._body = body
        self._client = client
        self._limits = limits
        self._closing = closing
        self.added: HeaderList = []
        """Further headers of the answer."""
        self.begun = False
        """True once the head of an answer was sent to the client."""
        self.status = 0
        self.body_taken = False
        """True once all of the request's body has been read."""

    async def go(self, pool: ConnectionPool, deadline: asyncio.Timeout) -> bool:
        """Forward the request and its answer. Returns True if the client's connection can be used again.

        ``deadline``: for the answer's head. Raises RequestRefused, Cut, ConnectionError (the client has
        disconnected).
        """
        try:
            upstream = await pool.connect()
        except OSError:
            raise requeued(NO_REPLICA) from None
        reusable = False
        try:
            with _unwrapped():
                reusable, again = await self._converse(upstream, deadline)
            return again
        finally:
            if reusable:
                pool.release(upstream)
            else:
                upstream.close()

    async def _converse(self, upstream: Upstream, deadline: asyncio.Timeout) -> tuple[bool, bool]:
        """Return whether the server's connection, and the client's, can be used again."""
        upstream.writer.write(wire.request_bytes(self._request, self._request_id))
        if self._body.skip_empty_body():
            self.body_taken = True
            return await self._answer(upstream, deadline)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send_body(upstream), name="queue proxy: request body")
            outcome = await self._answer(upstream, deadline)
            if not sending.done():  # the server has answered without reading all of the body
                sending.cancel()
        return outcome if self.body_taken else (False, False)

    # The request

    async def _send_body(self, upstream: Upstream) -> None:
        if self._request.get(wire.EXPECT):
            self._client.write(CONTINUE)
        size, chunked, began = 0, self._request.chunked, monotonic()
        while (piece := await self._piece()) is not None:
            size += len(piece)
            if is_too_slow(size, monotonic() - began, self._limits.body_timeout):
                raise too_slow()
            if size > self._limits.max_body:
                raise body_too_large(self._limits.max_body)
            if not await self._forward(upstream, wire.chunk(piece) if chunked else piece):
                return
        if chunked:
            await self._forward(upstream, wire.LAST_CHUNK)
        self.body_taken = True

    async def _piece(self) -> bytes | None:
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                return await self._body.piece()
        except TimeoutError:
            detail = f"No more of the body arrived for {self._limits.body_timeout:g} s."
            raise RequestRefused(BODY_TIMEOUT, detail) from None
        except MalformedMessage as error:
            raise Cut from error

    async def _forward(self, upstream: Upstream, data: bytes) -> bool:
        """Send bytes to the server. Returns False if it takes no more; it may still have answered."""
        try:
            upstream.writer.write(data)
            await upstream.writer.drain()
        except ConnectionError:
            return False
        return True

    # The answer

    async def _answer(self, upstream: Upstream, deadline: asyncio.Timeout) -> tuple[bool, bool]:
        """Forward the answer, and return the same as :meth:`_converse`."""
        head = await self._answer_head(upstream.answers)
        deadline.reschedule(None)  # the timeout ends with the answer's head: a body may be a long stream
        self.begun, self.status = True, head.status
        head.headers.extend(self.added)
        if head.status == 101:
            await self._tunnel(upstream, head)
            return False, False
        nothing = wire.has_no_body(self._request, head)
        framed = nothing or head.length is not None
        chunked = not framed and self._request.version == "1.1"
        again = (
            not self._closing()
            and self._request.keep_alive
            and (framed or chunked)
            and not self._body.upgraded
        )
        self._client.write(wire.answer_bytes(head, self._request_id, chunked=chunked, close=not again))
        if not nothing:
            await self._relay(upstream.answers, head, chunked=chunked)
        await self._drain()
        complete = not nothing or upstream.answers.skip_empty_body()
        return complete and head.keep_alive and not upstream.answers.upgraded, again

    @property
    def _may_go_on(self) -> bool:
        return self._request.keep_alive and not self._closing() and not self._body.upgraded

    async def _answer_head(self, answers: Answers) -> MessageHead:
        try:
            while (head := await answers.head()).status < 200 and head.status != 101:
                answers.skip_empty_body()
        except (MalformedMessage, Ended, ConnectionError) as error:
            cause = f" ({error})" if str(error) else ""
            detail = f"The replica's server closed the connection instead of answering{cause}."
            raise RequestRefused(UPSTREAM_FAILED, detail) from error
        return head

    async def _relay(self, answers: Answers, head: MessageHead, *, chunked: bool) -> None:
        # Without a length and chunks, the end of the connection is the end of the body.
        until_closed = head.length is None and not head.chunked
        try:
            while (piece := await answers.piece()) is not None:
                self._client.write(wire.chunk(piece) if chunked else piece)
                await self._drain()
        except (MalformedMessage, ConnectionError) as error:
            if not until_closed or isinstance(error, ConnectionError):
                raise Cut from error
        if chunked:
            self._client.write(wire.LAST_CHUNK)

    async def _drain(self) -> None:
        """Wait for a client that takes its answer slowly."""
        if self._client.transport.get_write_buffer_size() < FULL_BUFFER:
            return
        try:
            async with asyncio.timeout(self._limits.body_timeout * READING_GRACE):
                await self._client.drain()
        except TimeoutError:
            raise Cut from None

    # Another protocol

    async def _tunnel(self, upstream: Upstream, head: MessageHead) -> None:
        """Forward bytes in both directions until one side closes."""
        self._client.write(wire.answer_bytes(head, self._request_id, chunked=False, close=False))
        self._client.write(upstream.answers.rest)
        upstream.writer.write(self._body.rest)
        async with asyncio.TaskGroup() as tasks:
            there = self._body.pour(upstream.writer)
            upwards = tasks.create_task(there, name="queue proxy: client to server")
            await upstream.answers.pour(self._client)
            upwards.cancel()


def requeued(kind: ProblemType) -> RequestRefused:
    """Build the answer that requeues a request which was not started; the gateway retries it elsewhere."""
    message = "The request was requeued before it was started; send it again."
    return RequestRefused(kind, message, headers={REQUEUE_HEADER: "1", "retry-after": "1"})


@contextmanager
def _unwrapped() -> Generator[None]:
    """Raise the first error of a task group itself, not in its ExceptionGroup."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return _first(inner[0]) if inner else error
