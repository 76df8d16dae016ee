"""Runners of batches: in a thread, or as a task."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, cast

from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.batching import Started
from gyrus.runtime.calls.call import Call, PreparedCall
from gyrus.runtime.calls.step_shares import Shares
from gyrus.runtime.calls.steps import arguments, batch_failure, failure, log_failure
from gyrus.runtime.calls.streams import run_in_thread
from gyrus.runtime.calls.threads import Ending, Threads
from gyrus.runtime.handler.answers import Streaming, encode
from gyrus.runtime.handler.content_coding import is_coded
from gyrus.runtime.handler.handler import LoadedHandler, PostPredict
from gyrus.runtime.handler.json_encoding import BadAnswer
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.telemetry.output import current_request, end_lines

BatchEnd = Callable[..., Started | None]


class Batch:
    """The calls of one batch, those of them with a valid payload, and the answer of each."""

    def __init__(self, handler: LoadedHandler, calls: Sequence[Call], reader: BatchReader) -> None:
        self._handler = handler
        self._reader = reader
        self.calls = calls
        self.answers: dict[Call, Answer] = {}
        self.taking_part: list[Call] = []
        self.given: dict[str, list[Any]] = {}
        self.results: Any = None

    def read(self) -> bool:
        """Read the payloads into lists. Returns False if no request has a valid one."""
        current_request.set(self.calls[0].request.id.decode("latin-1"))
        for call in self.calls:
            given = self._reader.read(call)
            if isinstance(given, Answer):
                self.answers[call] = given
            else:
                self.taking_part.append(call)
                for name in self._handler.signature.names:
                    self.given.setdefault(name, []).append(given.get(name))
        return bool(self.taking_part)

    def encode(self) -> None:
        """Encode the results. Never raises: a result that cannot be sent fails its request, or all."""
        try:
            self.write(self.results)
        except BaseException as error:
            self.fail(error)

    def write(self, results: Any) -> None:
        """Encode one answer for each call. Raises BadAnswer if the number of results differs."""
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
        """Answer all calls of the batch with the failure, except those whose payloads were refused."""
        refused = self.answers.keys() - set(self.taking_part)
        failing = [call for call in self.calls if call not in refused]
        answers = batch_failure(error, [call.request.id for call in failing])
        self.answers.update(zip(failing, answers, strict=True))

    def afterwards(self, names: Sequence[str]) -> dict[str, Any]:
        """Build the arguments of ``post_predict``."""
        wanted: dict[str, Any] = {**self.given, "response": self.results}
        return {name: wanted.get(name) for name in names}

    def _encoded(self, call: Call, result: Any) -> Answer:
        try:
            answer = encode(result)
            if isinstance(answer, Streaming):
                raise BadAnswer("a batch cannot be answered with streams; return one value for each request")
        except BaseException as error:  # BadAnswer, or an error of the value's own methods
            return failure(error, call.request.id)
        return answer


class BatchReader:
    """A reader of payloads, for several threads: each request is read once, as reading may change it."""

    def __init__(self, handler: LoadedHandler, max_body: int) -> None:
        self._handler = handler
        self._max_body = max_body
        self._lock = threading.Lock()

    def read(self, call: Call) -> PreparedCall:
        """Return the arguments of one request, or the answer that refuses it."""
        with self._lock:
            if call.prepared is None:
                call.prepared = self._prepared(call)
            return call.prepared

    def _prepared(self, call: Call) -> PreparedCall:
        try:
            return arguments(self._handler, call, self._max_body)
        except RequestRefused as refused:
            return refused.answer(call.request.id)
        except BaseException as error:  # SystemExit too: the other calls of the batch continue
            return failure(error, call.request.id)


class ThreadBatchRunner:
    """A batch runner for a ``predict`` that is not async.

    The thread of a batch does all its steps, and then those of the next one. Only ``predict`` is left to it
    while others wait, if reading payloads or encoding answers takes a share of the time that counts: then a
    side thread reads those of waiting calls while a batch runs, and encodes the answers of the last batch.
    A call whose payload has been read still waits in the queue, so it can leave or be requeued.
    """

    def __init__(self, handler: LoadedHandler, admission: Admission, threads: Threads, size: int) -> None:
        self._handler = handler
        self._admission = admission
        self._threads = threads
        self._size = size
        self._reader = BatchReader(handler, admission.max_body)
        self._shares = Shares()
        self._unread = 0
        """Calls that were queued since the side thread was last asked to read payloads."""

    def start(self, batch: Started, ended: BatchEnd) -> None:
        self._threads.submit(self._work_in_thread, (batch, ended))

    def queued(self, waiting: int) -> None:
        self._unread += 1
        if self._shares.reading_counts and waiting <= self._size and 4 * self._unread >= self._size:
            self._prepare_more()

    def _work_in_thread(self, given: tuple[Started, BatchEnd]) -> Ending:
        started, ended = given
        batch = Batch(self._handler, started.calls, self._reader)
        self._predict_in_thread(batch)
        if batch.results is not None and self._handler.post_predict is not None:
            self._finish_in_thread(batch, self._handler.post_predict)
        following = ended(started, measured=batch.results is not None)
        work = None if following is None else (following, ended)
        if batch.results is None or self._handler.post_predict is not None:
            return Ending(self._admission.answer_batch, (batch.answers,), work)
        if self._shares.encoding_counts and work is not None:
            self._threads.side.put(self._encode, batch)
            return Ending(self._start_more, (), work)
        self._encode_in_thread(batch)
        return Ending(self._admission.answer_batch, (batch.answers,), work)

    def _predict_in_thread(self, batch: Batch) -> None:
        unread = sum(call.prepared is None for call in batch.calls)
        began = perf_counter()
        try:
            if not batch.read():
                return
            if self._shares.reading_counts and self._admission.queue.waiting:
                self._prepare_more()
            read = perf_counter()
            batch.results = self._handler.predict(**batch.given)
            if batch.results is None:
                batch.write(None)
        except BaseException as error:
            batch.fail(error)
        else:
            self._shares.note_run(len(batch.calls), perf_counter() - read)
            self._shares.note_read(unread, read - began)

    def _finish_in_thread(self, batch: Batch, after: PostPredict) -> None:
        """Answer the batch, and call ``post_predict`` in its slots."""
        self._encode_in_thread(batch)
        self._threads.post(self._admission.send_batch, batch.answers)
        try:
            after.method(**batch.afterwards(after.signature.names))
        except BaseException as error:
            log_failure(error, "post_predict")

    def _encode_in_thread(self, batch: Batch) -> None:
        began = perf_counter()
        batch.encode()
        self._shares.note_encoded(len(batch.calls), perf_counter() - began)

    # In the side thread

    def _prepare_more(self) -> None:
        self._unread = 0
        self._threads.side.put(self._prepare)

    def _prepare(self) -> None:
        waiting = self._admission.queue.next(self._size)
        began, number = perf_counter(), 0
        for call in waiting:
            if call.prepared is None:
                current_request.set(call.request.id.decode("latin-1"))
                self._reader.read(call)
                number += 1
        end_lines()
        self._shares.note_read(number, perf_counter() - began)

    def _encode(self, batch: Batch) -> None:
        current_request.set(batch.calls[0].request.id.decode("latin-1"))
        self._encode_in_thread(batch)
        end_lines()
        self._threads.post(self._admission.answer_batch, batch.answers)

    def _start_more(self) -> None:
        self._admission.start_more()


class AsyncBatchRunner:
    """A batch runner for an async ``predict``. It never cancels a batch, which has many clients."""

    def __init__(self, handler: LoadedHandler, admission: Admission, threads: Threads, size: int) -> None:
        self._handler = handler
        self._admission = admission
        self._threads = threads
        self._reader = BatchReader(handler, admission.max_body)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def start(self, batch: Started, ended: BatchEnd) -> None:
        task = self._loop.create_task(self._run(batch, ended), name="predict")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def queued(self, waiting: int) -> None:
        pass

    async def _run(self, started: Started, ended: BatchEnd) -> None:
        batch, after = Batch(self._handler, started.calls, self._reader), self._handler.post_predict
        try:
            if any(is_coded(call.request) for call in started.calls):
                ready = await run_in_thread(self._threads, batch.read)
            else:
                ready = batch.read()
            if ready:
                batch.results = await self._handler.predict(**batch.given)
                if batch.results is None:
                    batch.write(None)
        except BaseException as error:
            batch.fail(error)
        end_lines()
        if after is not None and batch.results is not None:
            await self._finish(batch, after)
        if (following := ended(started, measured=batch.results is not None)) is not None:
            self.start(following, ended)
            await asyncio.sleep(0)  # it begins to wait for its results while this one encodes its answers
        if after is None and batch.results is not None:
            batch.encode()
            end_lines()
        self._admission.answer_batch(batch.answers)

    async def _finish(self, batch: Batch, after: PostPredict) -> None:
        batch.encode()
        end_lines()
        self._admission.send_batch(batch.answers)
        try:
            await self._post_predict(after.method, batch.afterwards(after.signature.names))
        except BaseException as error:
            log_failure(error, "post_predict")
        end_lines()

    async def _post_predict(self, method: Callable[..., Any], given: dict[str, Any]) -> None:
        result = method(**given) if inspect.iscoroutinefunction(method) else None
        if result is None:
            result = await run_in_thread(self._threads, lambda: method(**given))
        if inspect.isawaitable(result):
            await result
