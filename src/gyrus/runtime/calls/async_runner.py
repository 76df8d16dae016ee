"""Calls of an async ``predict``, each in its own task."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.steps import afterwards, arguments, failure, failure_unless_cancelled, log_failure
from gyrus.runtime.calls.streams import run_in_thread, stream_in_thread, stream_on_loop
from gyrus.runtime.calls.threads import Threads
from gyrus.runtime.handler.answers import Streaming, encode
from gyrus.runtime.handler.content_coding import CODING, decode_body
from gyrus.runtime.handler.handler import LoadedHandler, PostPredict
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.telemetry.output import current_request, end_lines


class AsyncRunner:
    """A runner. Each call owns its task, which is cancelled with the call and always releases its slot."""

    def __init__(self, handler: LoadedHandler, admission: Admission, threads: Threads) -> None:
        self._handler = handler
        self._admission = admission
        self._threads = threads
        self._loop = asyncio.get_running_loop()

    def start(self, call: Call) -> None:
        call.task = self._loop.create_task(self._run(call), name="predict")

    async def _run(self, call: Call) -> None:
        # One coroutine, because every request pays for each further one.
        handler, admission = self._handler, self._admission
        given: dict[str, Any] = {}
        result: Any = None
        outcome: Answer | Streaming | None
        try:
            if call.cancelled:  # Call.cancel has left the task alone, so that the slot is released here
                return
            call.begun = True
            current_request.set(call.request.id.decode("latin-1"))
            try:
                if CODING in call.request.headers:
                    await self._decompress(call)
                given = arguments(handler, call, admission.max_body)
                result = handler.predict(**given)
                if hasattr(result, "__await__"):
                    result = await result
                outcome = encode(result)
                if isinstance(outcome, Streaming):
                    outcome = await self._stream(call, outcome)
            except BaseException as error:  # SystemExit too: the handler must not end the process
                end_lines()
                admission.answer(call, failure_unless_cancelled(error, call))
                return
            end_lines()
            admission.answer(call, outcome)
            if handler.post_predict is not None:
                await self._post_predict(handler.post_predict, given, result, call)
                end_lines()
        except BaseException as error:  # a fault of the runtime
            admission.answer(call, failure(error, call.request.id))
        finally:
            admission.release(call)

    async def _decompress(self, call: Call) -> None:
        """Decompress the body in a thread: it would block the event loop."""
        await run_in_thread(self._threads, lambda: decode_body(call.request, self._admission.max_body))

    async def _stream(self, call: Call, streaming: Streaming) -> Answer | None:
        if hasattr(streaming.items, "__anext__"):
            return await stream_on_loop(self._admission, call, streaming)
        return await run_in_thread(
            self._threads, lambda: stream_in_thread(self._admission, self._threads, call, streaming)
        )

    async def _post_predict(self, after: PostPredict, given: dict[str, Any], result: Any, call: Call) -> None:
        try:
            wanted = afterwards(after.signature, given, result, call)
            if after.signature.is_async:
                await after.method(**wanted)
            else:
                done = await run_in_thread(self._threads, lambda: after.method(**wanted))
                if inspect.isawaitable(done):
                    await done
        except BaseException as error:
            log_failure(error, "post_predict")
