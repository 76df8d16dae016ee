"""Run a handler in a test without a server or a socket, with every step between a request and its answer.

>>> from gyrus.testing import HandlerClient
>>> with HandlerClient(Handler, {"threshold": 0.5}) as client:
...     reply = client.predict({"sepal_length": 5.1})
...     assert reply.status == 200
...     assert reply.json() == {"class": "setosa"}

The handler runs as it does in a deployment: in a thread, or on an event loop if ``predict`` is async. Slots,
timeout and batches apply if you pass them. An exception in the handler becomes a reply with status 500 and is
logged with its traceback, which pytest shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import quote, urlencode

from gyrus.contract.replica import HandlerConfig, Limits, ReplicaConfig
from gyrus.runtime.background import Background
from gyrus.runtime.calls.wiring import wire
from gyrus.runtime.handler.failure import LoadFailed as LoadFailed
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.json_encoding import to_json
from gyrus.runtime.handler.loading import load, make
from gyrus.runtime.handler.openapi import describe
from gyrus.runtime.readiness import Readiness
from gyrus.runtime.server.answer import Answer, Head
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.request import Request
from gyrus.runtime.service import Service
from gyrus.runtime.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from gyrus.runtime.server.connection import Connection

T = TypeVar("T")
TEARDOWN = 10.0
"""Seconds for the handler's ``teardown``."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The response that a client would receive."""

    status: int
    headers: Mapping[str, str]
    """Values by name in lower case; those of a header with several are joined by commas."""
    body: bytes
    chunks: tuple[bytes, ...] = ()
    """Chunks of a streamed answer, each as it was sent; joined, they are the body."""
    broken: bool = False
    """True if the stream was cut off because its generator failed."""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class HandlerClient:
    """An instance of the handler and its event loop in a thread. Close the client, or use it in ``with``."""

    def __init__(
        self,
        handler: type[Any] | str | os.PathLike[str],
        config: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
        batch_max_size: int = 1,
        batch_max_wait: float | None = None,
    ) -> None:
        """Load the handler and start its event loop.

        ``handler``: the class, or the path of its file. Raises LoadFailed where a deployment would fail.
        """
        settings = HandlerConfig(
            path=os.fspath(handler) if not isinstance(handler, type) else "",
            config=dict(config or {}),
            batch_max_size=batch_max_size,
            batch_max_wait=batch_max_wait,
        )
        self.handler = make(handler, settings) if isinstance(handler, type) else _load(settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="handler-client", daemon=True)
        self._thread.start()
        try:
            self._service = self._run(self._start(settings, limits or Limits()))
        except BaseException:
            self._stop()
            raise

    def predict(
        self,
        payload: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        query_params: Mapping[str, Any] | None = None,
        path: str = "/",
        method: str = "POST",
        leave_after: int | None = None,
    ) -> Reply:
        """Send a request, and wait for the answer, the end of its stream and ``post_predict``.

        ``payload``: bytes and str are sent as they are, None as an empty body, anything else as JSON.
        ``leave_after``: number of chunks of a stream after which the client disconnects.
        """
        target = quote(path) + ("?" + urlencode(query_params, doseq=True) if query_params else "")
        named = {name.lower().encode(): value.encode("latin-1") for name, value in (headers or {}).items()}
        body, media_type = _body(payload)
        if media_type:
            named.setdefault(b"content-type", media_type)
        request = Request(method.encode(), target.encode(), named, body)
        return self._run(self._ask(_Recording(request, leave_after)))

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self._background.tear_down(self._threads, TEARDOWN))
        self._threads.stop()
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self, settings: HandlerConfig, limits: Limits) -> Service:
        config = ReplicaConfig(
            id="test", api="test", revision=1, project="", python="", handler=settings, limits=limits
        )
        counted = Metrics()
        self._background = Background(self.handler)
        await self._background.set_up()
        self._released = asyncio.Event()
        self._admission, self._threads = wire(self.handler, config, counted)
        self._admission.released = self._released.set
        return Service(
            self._admission,
            Readiness(self._admission, self._threads),
            counted,
            describe=lambda: describe(self.handler, "test", 1),
            answers_get=self.handler.answers_get,
        )

    async def _ask(self, exchange: _Recording) -> Reply:
        self._service(exchange)
        call = exchange.owner
        await exchange.over.wait()
        while call in self._admission.queue.started:
            self._released.clear()
            await self._released.wait()
        return exchange.reply()


class _Recording(Exchange):
    """An exchange that keeps its answer instead of sending it."""

    __slots__ = ("_broken", "_chunks", "_head", "_leave_after", "over")

    def __init__(self, request: Request, leave_after: int | None) -> None:
        super().__init__(cast("Connection", None), request)
        self.over = asyncio.Event()
        self._head = Head(0, None)
        self._chunks: list[bytes] = []
        self._broken = False
        self._leave_after = leave_after
        self.arrived = monotonic()

    @property
    def choked(self) -> bool:
        return False

    def answer(self, answer: Answer) -> None:
        if self._open:
            status, media_type, body, headers = answer
            self._head = Head(status, media_type, headers)
            self._chunks = [body]
            self._finish()

    def begin(self, head: Head) -> None:
        if self._open:
            self.streaming = True
            self._head = head

    def send(self, chunk: bytes) -> None:
        if not self._open or not chunk:
            return
        self._chunks.append(chunk)
        if len(self._chunks) == self._leave_after:
            self.over.set()
            self.lost()

    def end(self) -> None:
        if self._open:
            self._finish()

    def cut(self) -> None:
        self._broken = True
        self.end()

    def reply(self) -> Reply:
        status, media_type, headers = self._head
        named = {"x-request-id": self.request.id.decode("latin-1")}
        for name, value in headers:
            named[name] = f"{named[name]}, {value}" if name in named else value
        if media_type:
            named["content-type"] = media_type
        chunks = tuple(self._chunks) if self.streaming else ()
        return Reply(status, named, b"".join(self._chunks), chunks, self._broken)

    def _finish(self) -> None:
        self._open = False
        self.over.set()


def _load(settings: HandlerConfig) -> LoadedHandler:
    """Load the handler from its file; the modules beside the file can be imported, as in a project."""
    folder = os.path.dirname(os.path.abspath(settings.path))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return load(settings)


def _body(payload: Any) -> tuple[bytes, bytes | None]:
    if payload is None:
        return b"", None
    if isinstance(payload, bytes):
        return payload, None
    if isinstance(payload, str):
        return payload.encode(), b"text/plain"
    return to_json(payload), b"application/json"
