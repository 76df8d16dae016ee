"""Calls to replicas' processes: read their loads, and ask them to requeue requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, cast

from gyrus.aio.http.client import HttpClient
from gyrus.aio.http.errors import HttpError
from gyrus.aio.http.message import HttpRequest
from gyrus.contract.replica import LOAD_PATH, REQUEUE_PATH, QueueLoad
from gyrus.queueing.balance import RequeueRequest

PATIENCE = 0.5
"""Seconds to wait for an answer."""
HEADERS = {"x-gyrus-internal": "1", "content-type": "application/json"}
LOAD_REQUEST = HttpRequest("GET", LOAD_PATH, HEADERS)
LOAD = frozenset(each.name for each in fields(QueueLoad))


async def count_in_flight(endpoints: Iterable[str]) -> dict[str, int]:
    """Return the requests in flight at the processes that answer, by endpoint."""
    replicas = Replicas()
    try:
        loads = await replicas.loads(endpoints)
    finally:
        replicas.close()
    return {endpoint: load.busy + load.waiting for endpoint, load in loads.items()}


class Replicas:
    """Client of one API's processes. It keeps a connection to each for the next call."""

    def __init__(self) -> None:
        self._http = HttpClient(connections=1)

    async def loads(self, endpoints: Iterable[str]) -> dict[str, QueueLoad]:
        """Return the loads of the processes that answer, by endpoint."""
        endpoints = tuple(endpoints)
        answers = await asyncio.gather(*(self._load(endpoint) for endpoint in endpoints))
        return {endpoint: load for endpoint, load in zip(endpoints, answers, strict=True) if load is not None}

    async def requeue(self, requests: Mapping[str, RequeueRequest]) -> int:
        """Ask each process to requeue some of its requests. Returns the number that they will requeue."""
        return sum(await asyncio.gather(*(self._requeue(*each) for each in requests.items())))

    def close(self) -> None:
        self._http.close()

    async def _load(self, endpoint: str) -> QueueLoad | None:
        """Read one process's load.

        Returns None if it does not answer, or if it runs another version of gyrus, which reports too little.
        """
        try:
            reported = await self._send(endpoint, LOAD_REQUEST)
            return QueueLoad(**{name: value for name, value in reported.items() if name in LOAD})
        except (HttpError, ValueError, TypeError):
            return None

    async def _requeue(self, endpoint: str, request: RequeueRequest) -> int:
        order = {"at_most": request.number, "first": request.first, "spare": request.spare}
        post = HttpRequest("POST", REQUEUE_PATH, HEADERS, json.dumps(order).encode())
        try:
            answer = await self._send(endpoint, post)
        except (HttpError, ValueError):
            return 0
        return int(answer.get("requeued", answer.get("given_back", 0)))  # replicas of earlier versions

    async def _send(self, endpoint: str, request: HttpRequest) -> dict[str, Any]:
        """Send one request and decode its answer. Raises HttpError or ValueError."""
        response = await self._http.send(endpoint, request, timeout=PATIENCE)
        answer = json.loads(response.body) if response.status == 200 else None
        if not isinstance(answer, dict):
            raise ValueError(f"{endpoint} answers {request.target} with {response.status}")
        return cast("dict[str, Any]", answer)
