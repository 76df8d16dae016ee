"""The few paths that the front answers itself. The gateway lets nobody from outside ask for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from gyrus.contract.problem import METHOD_NOT_ALLOWED
from gyrus.contract.replica import HEALTH_PATH, LOAD_PATH, METRICS_PATH, READY_PATH, REQUEUE_PATH
from gyrus.runtime.front.message import Head
from gyrus.runtime.requeue import Requeue
from gyrus.runtime.server.answer import JSON, Answer
from gyrus.runtime.server.problems import Refused
from gyrus.runtime.telemetry.metrics import MEDIA_TYPE

if TYPE_CHECKING:
    from gyrus.runtime.front.front import Front

INTERNAL = b"x-gyrus-internal"
"""Must be ``1`` for what changes something."""

Own = Callable[["Front", bytes], Answer]
"""Takes the request's body."""


def own_path(request: Head) -> Own | None:
    """Who answers this request, if it is one for the front itself. It may raise Refused."""
    path = request.path.decode("latin-1")
    if path in (HEALTH_PATH, READY_PATH):
        return _well
    if path == METRICS_PATH:
        return _metrics
    if request.get(INTERNAL) != b"1":
        return None
    if path == REQUEUE_PATH:
        return _requeue if request.method == b"POST" else _only_post
    return _load if path == LOAD_PATH else None


def _well(front: Front, body: bytes) -> Answer:
    """Whether the server behind is ready, the supervisor asks it directly."""
    return Answer(200, "text/plain", b"ok\n")


def _metrics(front: Front, body: bytes) -> Answer:
    """As a worker's, as far as there is something to count."""
    gate = front.gate
    gauges = {
        "in_flight": ("Requests that are not answered yet.", float(gate.running + gate.waiting)),
        "queued": ("Requests that wait for a slot.", float(gate.waiting)),
        "slots_busy": ("Slots that are taken.", float(gate.running)),
    }
    return Answer(200, MEDIA_TYPE, front.metrics.exposition(gauges))


def _load(front: Front, body: bytes) -> Answer:
    return Answer(200, JSON, json.dumps(asdict(front.gate.load)).encode())


def _only_post(front: Front, body: bytes) -> Answer:
    raise Refused(METHOD_NOT_ALLOWED, f"{REQUEUE_PATH} takes POST alone.", headers={"allow": "POST"})


def _requeue(front: Front, body: bytes) -> Answer:
    given_back = Requeue.read(body).carry_out(front.gate.give_back)
    return Answer(200, JSON, json.dumps({"given_back": given_back}).encode())
