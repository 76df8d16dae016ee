"""Calls of a ``predict`` that is not async.

A thread does all steps, from reading the payload to encoding the answer, so that none blocks the event loop.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.shared_slots import SharedSlotQueue
from gyrus.runtime.calls.steps import afterwards, arguments, failure, failure_unless_cancelled, log_failure
from gyrus.runtime.calls.streams import stream_in_thread, stream_on_loop
from gyrus.runtime.calls.threads import Ending, Threads
from gyrus.runtime.handler.answers import Streaming, encode
from gyrus.runtime.handler.handler import LoadedHandler, PostPredict
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.telemetry.output import current_request


class ThreadRunner:
    """A runner; methods with ``_in_thread`` in their name run in a thread."""

    def __init__(
        self, handler: LoadedHandler, admission: Admission, threads: Threads, queue: SharedSlotQueue[Call]
    ) -> None:
        self._handler = handler
        self._queue = queue
        self._admission = admission
        self._threads = threads
        self._loop = asyncio.get_running_loop()

    def start(self, call: Call) -> None:
        self._threads.submit(self._work_in_thread, call)

    def _work_in_thread(self, call: Call) -> Ending:
        try:
            return self._serve_in_thread(call)
        except BaseException as error:  # a fault of the runtime, or an exception that was set for this thread
            return Ending(self._admission.rescue, (call, failure(error, call.request.id)))

    def _serve_in_thread(self, call: Call) -> Ending:
        handler, admission = self._handler, self._admission
        current_request.set(call.request.id.decode("latin-1"))
        given: dict[str, Any] = {}
        result: Any = None
        outcome: Answer | Streaming | None
        try:
            given = arguments(handler, call, admission.max_body)
            result = handler.predict(**given)
            if inspect.isawaitable(result):
                result = self._wait_in_thread(result, call)
            outcome = encode(result)
            if isinstance(outcome, Streaming):
                outcome = self._stream_in_thread(call, outcome)
        except BaseException as error:  # SystemExit too: the handler must not end the thread
            return self._concluded_in_thread(call, failure_unless_cancelled(error, call))
        if handler.post_predict is None:
            return self._concluded_in_thread(call, outcome)
        self._threads.post(admission.answer, call, outcome)
        self._post_predict_in_thread(handler.post_predict, given, result, call)
        return Ending(admission.release, (call,))

    def _concluded_in_thread(self, call: Call, answer: Answer | None) -> Ending:
        """End the call, and continue with the next waiting one.

        The thread itself takes the next call. If the loop had to hand it over, each request would cost two
        switches between the threads, of about 30 µs each.
        """
        following = self._queue.pass_on(call)
        return Ending(self._admission.answer_without_slot, (call, answer), following)

    def _post_predict_in_thread(
        self, after: PostPredict, given: dict[str, Any], result: Any, call: Call
    ) -> None:
        try:
            done = after.method(**afterwards(after.signature, given, result, call))
            if inspect.isawaitable(done):
                self._wait_in_thread(done, call)
        except BaseException as error:
            log_failure(error, "post_predict")

    def _stream_in_thread(self, call: Call, streaming: Streaming) -> Answer | None:
        if hasattr(streaming.items, "__anext__"):
            return self._wait_in_thread(stream_on_loop(self._admission, call, streaming), call)
        return stream_in_thread(self._admission, self._threads, call, streaming)

    def _wait_in_thread(self, work: Any, call: Call) -> Any:
        # On the replica's event loop, so that the call can be cancelled there while the thread waits.
        async def bridge() -> tuple[Any, BaseException | None]:
            call.task, call.begun = asyncio.current_task(), True
            try:
                return await work, None
            except (SystemExit, KeyboardInterrupt) as error:  # a task that raises them ends the event loop
                return None, error

        result, error = asyncio.run_coroutine_threadsafe(bridge(), self._loop).result()
        if error is not None:
            raise error
        return result
