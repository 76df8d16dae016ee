"""Streamed answers: the items of a generator, sent at the pace of the generator and of the client.

The answer's head is sent with the first item, so that an earlier failure is answered like any other. A later
failure breaks the stream off.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.steps import failure, failure_unless_cancelled, log_failure
from gyrus.runtime.calls.threads import Ending, Threads
from gyrus.runtime.handler.answers import Streaming
from gyrus.runtime.handler.streams import Framing, framing_for
from gyrus.runtime.server.answer import Answer, Head

AHEAD = 8
"""Chunks by which a generator in a thread may be ahead of its client."""


async def stream_on_loop(admission: Admission, call: Call, streaming: Streaming) -> Answer | None:
    """Send the items of an async generator.

    Returns the answer to send if it fails before its first item, else None.
    """
    flow = call.more = _LoopFlow()
    items = cast("AsyncIterator[Any]", streaming.items)
    framing: Framing | None = None
    try:
        async for item in items:
            if framing is None:
                first = framing_for(streaming, item, call.request)
                chunk = first.frame(item)  # before the head is sent: its failure is answered like any other
                framing = first
                admission.begin(call, _head(streaming, framing))
            else:
                chunk = framing.frame(item)
            call.exchange.send(chunk)
            await flow.wait(call)
            if call.cancelled:
                return None
        if framing is None:  # the generator is empty
            admission.begin(call, _head(streaming, framing_for(streaming, None, call.request)))
        call.exchange.end()
    except BaseException as error:
        answer = failure_unless_cancelled(error, call)
        if framing is None or answer is None:
            return answer
        break_off(call, framing.failure(answer.body))
    finally:
        await _aclose(items)
    return None


async def run_in_thread(threads: Threads, work: Callable[[], Any]) -> Any:
    """Run ``work`` in a thread, in the caller's context.

    Nothing can interrupt it: a cancelled caller waits for its end.
    """
    context = contextvars.copy_context()
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def in_thread(_: None) -> Ending:
        try:
            return Ending(done.set_result, (context.run(work),))
        except BaseException as error:
            if isinstance(error, StopIteration):  # a future cannot hold one
                error = RuntimeError(repr(error))
            return Ending(done.set_exception, (error,))

    threads.submit(in_thread, None)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait({done})
        raise


def stream_in_thread(
    admission: Admission, threads: Threads, call: Call, streaming: Streaming
) -> Answer | None:
    """Send the items of a generator until it ends or the client disconnects. Runs in a thread.

    Returns the answer to send if it fails before its first item, else None.
    """
    flow = call.more = _ThreadFlow()
    framing: Framing | None = None
    try:
        for item in cast("Any", streaming.items):
            if framing is None:
                first = framing_for(streaming, item, call.request)
                chunk = first.frame(item)
                framing = first
                threads.post(admission.begin, call, _head(streaming, framing))
            else:
                chunk = framing.frame(item)
            flow.wait()
            if call.cancelled:
                return None
            threads.post(flow.send, call, chunk)
        if framing is None:
            threads.post(admission.begin, call, _head(streaming, framing_for(streaming, None, call.request)))
    except BaseException as error:
        answer = failure(error, call.request.id)
        if framing is None:
            return answer
        threads.post(break_off, call, framing.failure(answer.body))
        return None
    finally:
        _close(streaming.items)
    threads.post(call.exchange.end)
    return None


def break_off(call: Call, last: bytes | None) -> None:
    """End a stream early, with a last chunk if there is one."""
    if last is None:
        call.exchange.cut()
    else:
        call.exchange.send(last)
        call.exchange.end()


def _head(streaming: Streaming, framing: Framing) -> Head:
    return Head(streaming.status, framing.media_type, streaming.headers)


def _close(items: Any) -> None:
    """Let a generator that did not run to its end clean up."""
    try:
        close: Callable[[], None] | None = getattr(items, "close", None)
        if close is not None:
            close()
    except BaseException as error:
        log_failure(error, "closing the generator")


class _ThreadFlow:
    """Flow control of a thread: it waits while the client does not take the chunks that were sent."""

    def __init__(self) -> None:
        self._ahead = threading.Semaphore(AHEAD)
        self._owed = 0  # chunks to acknowledge to the thread; used on the loop only

    def wait(self) -> None:
        """Wait, in the thread, until the generator is at most ``AHEAD`` chunks ahead."""
        self._ahead.acquire()

    def send(self, call: Call, chunk: bytes) -> None:
        exchange = call.exchange
        exchange.send(chunk)
        self._owed += 1
        if not exchange.open or not exchange.choked:
            self.proceed()

    def proceed(self) -> None:
        if self._owed:
            self._ahead.release(self._owed)
            self._owed = 0


class _LoopFlow:
    """Flow control of a task: it waits while the client does not take the chunks that were sent."""

    def __init__(self) -> None:
        self._ready = asyncio.Event()

    async def wait(self, call: Call) -> None:
        exchange = call.exchange
        while exchange.open and exchange.choked:
            self._ready.clear()
            await self._ready.wait()

    def proceed(self) -> None:
        self._ready.set()


async def _aclose(items: Any) -> None:
    """Let an async generator that did not run to its end clean up."""
    try:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
    except BaseException as error:
        log_failure(error, "closing the generator")
