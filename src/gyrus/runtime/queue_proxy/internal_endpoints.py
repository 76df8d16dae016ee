"""The few paths that the proxy answers itself. The gateway does not forward outside requests to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from gyrus.contract.problem import METHOD_NOT_ALLOWED
from gyrus.contract.replica import HEALTH_PATH, LOAD_PATH, METRICS_PATH, READY_PATH, REQUEUE_PATH
from gyrus.runtime.private_calls import PrivateCalls
from gyrus.runtime.queue_proxy.message import MessageHead
from gyrus.runtime.requeue import Requeue
from gyrus.runtime.server.answer import JSON, Answer
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.telemetry.metrics import MEDIA_TYPE

if TYPE_CHECKING:
    from gyrus.runtime.queue_proxy.proxy import QueueProxy

InternalPage = Callable[["QueueProxy", bytes], Answer]
"""Function that answers a request with this body."""


def internal_path(request: MessageHead, private_calls: PrivateCalls) -> InternalPage | None:
    """Return the page that answers the request; it may raise RequestRefused.

    Returns None if the request is for the server: also a private call without its proof.
    """
    path = request.path.decode("latin-1")
    if path in (HEALTH_PATH, READY_PATH):
        return _well
    if path == METRICS_PATH:
        return _metrics
    if path not in (REQUEUE_PATH, LOAD_PATH) or not private_calls.accepts(request.get):
        return None
    if path == REQUEUE_PATH:
        return _requeue if request.method == b"POST" else _only_post
    return _load


def _well(proxy: QueueProxy, body: bytes) -> Answer:
    """Answer that the proxy is well; the supervisor probes the server's readiness directly."""
    return Answer(200, "text/plain", b"ok\n")


def _metrics(proxy: QueueProxy, body: bytes) -> Answer:
    """Answer with the metrics of a worker that apply to a proxy."""
    limiter = proxy.limiter
    gauges = {
        "in_flight": ("Requests that are not answered yet.", float(limiter.running + limiter.waiting)),
        "queued": ("Requests that wait for a slot.", float(limiter.waiting)),
        "slots_busy": ("Slots that are taken.", float(limiter.running)),
    }
    return Answer(200, MEDIA_TYPE, proxy.metrics.exposition(gauges))


def _load(proxy: QueueProxy, body: bytes) -> Answer:
    return Answer(200, JSON, json.dumps(asdict(proxy.limiter.load)).encode())


def _only_post(proxy: QueueProxy, body: bytes) -> Answer:
    raise RequestRefused(METHOD_NOT_ALLOWED, f"{REQUEUE_PATH} allows only POST.", headers={"allow": "POST"})


def _requeue(proxy: QueueProxy, body: bytes) -> Answer:
    requeued = Requeue.read(body).carry_out(proxy.limiter.requeue)
    return Answer(200, JSON, json.dumps({"requeued": requeued}).encode())
