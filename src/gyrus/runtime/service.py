"""The paths of a worker: its own pages, and the handler at every other path."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict

from gyrus.contract.problem import METHOD_NOT_ALLOWED, NOT_FOUND
from gyrus.contract.replica import (
    HEALTH_PATH,
    LOAD_PATH,
    METRICS_PATH,
    OPENAPI_PATH,
    READY_PATH,
    REQUEUE_PATH,
)
from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.private_calls import WITHOUT_PROOF, PrivateCalls
from gyrus.runtime.readiness import Readiness
from gyrus.runtime.requeue import Requeue
from gyrus.runtime.server.answer import JSON, Answer
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.server.request import Request
from gyrus.runtime.telemetry import metrics
from gyrus.runtime.telemetry.metrics import Metrics

READS = (b"GET", b"HEAD")

_encode = json.JSONEncoder().encode
"""Encoder of documents. It is kept, because a handler may replace the functions of :mod:`json`."""

Page = Callable[[Request], Answer]
"""Function that answers a request for one page. Raises RequestRefused."""


class Service:
    """The callable that serves every exchange."""

    def __init__(
        self,
        admission: Admission,
        readiness: Readiness,
        counted: Metrics,
        *,
        describe: Callable[[], bytes],
        answers_get: bool,
        private_calls: PrivateCalls = WITHOUT_PROOF,
    ) -> None:
        self._admission = admission
        self._readiness = readiness
        self._metrics = counted
        self._describe = describe
        self._private_calls = private_calls
        self._methods = (b"POST", *READS) if answers_get else (b"POST",)
        self._pages: Mapping[bytes, tuple[tuple[bytes, ...], Page]] = {
            HEALTH_PATH.encode(): (READS, lambda request: _document({"status": "ok"})),
            READY_PATH.encode(): (READS, self._ready),
            METRICS_PATH.encode(): (READS, self._count),
            OPENAPI_PATH.encode(): (READS, lambda request: Answer(200, JSON, self._describe())),
            REQUEUE_PATH.encode(): ((b"POST",), self._requeue),
            LOAD_PATH.encode(): (READS, self._load),
        }

    def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        target = request.target
        if target != b"/":  # the usual path of a request for the handler needs no look-up
            found = self._pages.get(target.partition(b"?")[0])
            if found is not None:
                exchange.counted = False
                exchange.answer(_answer(request, *found))
                return
        if request.method in self._methods:
            self._admission.admit(exchange)
        else:
            exchange.answer(_not_allowed(request, self._methods).answer(request.id))

    def _ready(self, request: Request) -> Answer:
        fault = self._readiness.fault()
        if fault is None:
            return _document({"ready": True})
        return _document({"ready": False, "reason": fault.reason, "message": fault.message}, 503)

    def _count(self, request: Request) -> Answer:
        queue = self._admission.queue
        gauges = {
            "in_flight": ("Requests that are not answered yet.", float(queue.busy + queue.waiting)),
            "queued": ("Requests that wait for a slot.", float(queue.waiting)),
            "slots_busy": ("Slots that are taken.", float(queue.busy)),
            "slots_overdue": (
                "Slots whose request is past its timeout.",
                float(len(self._admission.overdue)),
            ),
        }
        return Answer(200, metrics.MEDIA_TYPE, self._metrics.exposition(gauges))

    def _load(self, request: Request) -> Answer:
        self._check_private(request, LOAD_PATH)
        return _document(asdict(self._admission.load))

    def _requeue(self, request: Request) -> Answer:
        self._check_private(request, REQUEUE_PATH)
        order = Requeue.read(request.body)
        return _document({"requeued": order.carry_out(self._admission.requeue)})

    def _check_private(self, request: Request, path: str) -> None:
        if not self._private_calls.accepts(request.headers.get):
            raise RequestRefused(NOT_FOUND, f"{path} is private to the platform and not served to clients.")


def _answer(request: Request, methods: tuple[bytes, ...], page: Page) -> Answer:
    try:
        if request.method not in methods:
            raise _not_allowed(request, methods)
        return page(request)
    except RequestRefused as refused:
        return refused.answer(request.id)


def _not_allowed(request: Request, methods: tuple[bytes, ...]) -> RequestRefused:
    allowed = ", ".join(method.decode() for method in methods)
    detail = f"{request.method.decode('latin-1')} is not allowed here; use {allowed}."
    return RequestRefused(METHOD_NOT_ALLOWED, detail, {"allow": allowed})


def _document(content: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(status, JSON, _encode(content).encode())
