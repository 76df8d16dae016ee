"""Runners of batches: in a thread, or as a task."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.steps import arguments, batch_failure, failure, log_failure
from gyrus.runtime.calls.streams import run_in_thread
from gyrus.runtime.calls.threads import Ending, Threads
from gyrus.runtime.handler.answers import Streaming, encode
from gyrus.runtime.handler.content_coding import is_coded
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.json_encoding import BadAnswer
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.telemetry.output import current_request, end_lines

Done = Callable[[], None]


class Batch:
    """The calls of one batch, those of them with a valid payload, and the answer of each."""

    def __init__(self, handler: LoadedHandler, calls: Sequence[Call], max_body: int) -> None:
        self._handler = handler
        self._max_body = max_body
        self.calls = calls
        self.answers: dict[Call, Answer] = {}
        self.taking_part: list[Call] = []
        self.given: dict[str, list[Any]] = {}
        self.results: Any = None
        current_request.set(calls[0].request.id.decode("latin-1"))

    def read(self) -> bool:
        """Read the payloads into lists. Returns False if no request has a valid one."""
        for call in self.calls:
            try:
                given = arguments(self._handler, call, self._max_body)
            except RequestRefused as refused:
                self.answers[call] = refused.answer(call.request.id)
            except Exception as error:
                self.answers[call] = failure(error, call.request.id)
            else:
                self.taking_part.append(call)
                for name in self._handler.signature.names:
                    self.given.setdefault(name, []).append(given.get(name))
        return bool(self.taking_part)

    def write(self, results: Any) -> None:
        """Encode one answer for each call. Raises BadAnswer if the number of results differs."""
        self.results = results
        number = (
            len(results)
            if hasattr(results, "__len__") and not isinstance(results, (str, bytes, dict))
            else None
        )
        if number != len(self.taking_part):
            found = f"{number}" if number is not None else f"a {type(results).__name__}"  # pyright: ignore[reportUnknownArgumentType] -- whatever a handler returns
            raise BadAnswer(
                f"a batch of {len(self.taking_part)} needs a list of as many answers, not {found}"
            )
        for call, result in zip(self.taking_part, cast("Sequence[Any]", results), strict=True):
            self.answers[call] = self._encoded(call, result)

    def fail(self, error: BaseException) -> None:
        ids = [call.request.id for call in self.taking_part]
        for call, answer in zip(self.taking_part, batch_failure(error, ids), strict=True):
            self.answers[call] = answer

    def afterwards(self, names: Sequence[str]) -> dict[str, Any]:
        """Build the arguments of ``post_predict``."""
        wanted: dict[str, Any] = {**self.given, "response": self.results}
        return {name: wanted.get(name) for name in names}

    def _encoded(self, call: Call, result: Any) -> Answer:
        try:
            answer = encode(result)
            if isinstance(answer, Streaming):
                raise BadAnswer("a batch cannot be answered with streams; return one value for each request")
        except BadAnswer as error:
            return failure(error, call.request.id)
        return answer


class ThreadBatchRunner:
    """A batch runner for a ``predict`` that is not async."""

    def __init__(self, handler: LoadedHandler, admission: Admission, threads: Threads) -> None:
        self._handler = handler
        self._admission = admission
        self._threads = threads

    def start(self, calls: Sequence[Call], done: Done) -> None:
        self._threads.submit(self._work_in_thread, (calls, done))

    def _work_in_thread(self, given: tuple[Sequence[Call], Done]) -> Ending:
        calls, done = given
        batch, after = Batch(self._handler, calls, self._admission.max_body), self._handler.post_predict
        try:
            if batch.read():
                batch.write(self._handler.predict(**batch.given))
        except BaseException as error:
            batch.fail(error)
        if after is not None and batch.results is not None:
            self._threads.post(answer_batch, self._admission, batch)
            try:
                after.method(**batch.afterwards(after.signature.names))
            except BaseException as error:
                log_failure(error, "post_predict")
        return Ending(release_batch, (self._admission, batch, done))


class AsyncBatchRunner:
    """A batch runner for an async ``predict``. It never cancels a batch, which has many clients."""

    def __init__(self, handler: LoadedHandler, admission: Admission, threads: Threads) -> None:
        self._handler = handler
        self._admission = admission
        self._threads = threads
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def start(self, calls: Sequence[Call], done: Done) -> None:
        task = self._loop.create_task(self._run(calls, done), name="predict")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, calls: Sequence[Call], done: Done) -> None:
        batch, after = Batch(self._handler, calls, self._admission.max_body), self._handler.post_predict
        try:
            if any(is_coded(call.request) for call in calls):
                ready = await run_in_thread(self._threads, batch.read)
            else:
                ready = batch.read()
            if ready:
                batch.write(await self._handler.predict(**batch.given))
        except BaseException as error:
            batch.fail(error)
        end_lines()
        answer_batch(self._admission, batch)
        if after is not None and batch.results is not None:
            try:
                await self._post_predict(after.method, batch.afterwards(after.signature.names))
            except BaseException as error:
                log_failure(error, "post_predict")
            end_lines()
        release_batch(self._admission, batch, done)

    async def _post_predict(self, method: Callable[..., Any], given: dict[str, Any]) -> None:
        result = method(**given) if inspect.iscoroutinefunction(method) else None
        if result is None:
            result = await run_in_thread(self._threads, lambda: method(**given))
        if inspect.isawaitable(result):
            await result


def answer_batch(admission: Admission, batch: Batch) -> None:
    for call, answer in batch.answers.items():
        admission.answer(call, answer)


def release_batch(admission: Admission, batch: Batch, done: Done) -> None:
    admission.count_batch()
    for call in batch.calls:
        admission.conclude(call, batch.answers.get(call))
    done()
