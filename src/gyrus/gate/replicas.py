"""Calls to replicas' processes: read their loads, and ask them to requeue requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any, cast

from gyrus.aio.http.client import HttpClient
from gyrus.aio.http.errors import HttpError
from gyrus.aio.http.message import HttpRequest
from gyrus.contract.replica import INTERNAL_HEADER, LOAD_PATH, PROOF_HEADER, REQUEUE_PATH, QueueLoad
from gyrus.queueing.balance import RequeueRequest

PATIENCE = 0.5
"""Seconds to wait for an answer before going on without it."""
LONGEST = 90.0
"""Seconds after which a call ends. The supervisor kills a process that is blocked for 60 s."""
HEADERS = {INTERNAL_HEADER: "1", "content-type": "application/json"}
ReplicaCall = Callable[[], Coroutine[Any, Any, QueueLoad | int | None]]
LOAD = frozenset(each.name for each in fields(QueueLoad))
ProofOf = Callable[[str], str]
"""Returns the proof of private calls to the process at an endpoint. Empty if it needs none."""


def no_proof(endpoint: str) -> str:
    return ""


async def count_in_flight(endpoints: Iterable[str], proof_of: ProofOf = no_proof) -> dict[str, int]:
    """Return the requests in flight at the processes that answer, by endpoint."""
    replicas = Replicas(proof_of)
    try:
        loads = await replicas.loads(endpoints)
    finally:
        await replicas.close()
    return {endpoint: load.busy + load.waiting for endpoint, load in loads.items()}


class Replicas:
    """Client of one API's processes. It keeps a connection to each for the next call.

    A process whose event loop is blocked answers late. Its call stays open meanwhile, and no other is made to
    it: so it delays no other process, and is heard in the first pause between two requests that block it.
    """

    def __init__(self, proof_of: ProofOf = no_proof) -> None:
        self._proof_of = proof_of
        self._http = HttpClient(connections=1)
        self._open: dict[str, asyncio.Task[QueueLoad | int | None]] = {}
        """The call to each process that has not answered yet."""
        self._slow: set[str] = set()
        """The processes that did not answer the last call in time. No call waits for them."""

    @property
    def silent(self) -> frozenset[str]:
        """The processes that have not answered in time."""
        return frozenset(self._open)

    async def loads(self, endpoints: Iterable[str]) -> dict[str, QueueLoad]:
        """Return the loads of the processes that answer in time, by endpoint.

        Among them are those of earlier calls that have been answered meanwhile.
        """
        answers = await self._call({endpoint: partial(self._load, endpoint) for endpoint in endpoints})
        return {endpoint: load for endpoint, load in answers.items() if isinstance(load, QueueLoad)}

    async def requeue(self, requests: Mapping[str, RequeueRequest]) -> int:
        """Ask each process to requeue some of its requests.

        Returns the number that they will requeue, as far as they answer in time.
        """
        calls = {endpoint: partial(self._requeue, endpoint, each) for endpoint, each in requests.items()}
        return sum(number for number in (await self._call(calls)).values() if isinstance(number, int))

    async def close(self) -> None:
        """End the open calls, and close the connections."""
        for task in self._open.values():
            task.cancel()
        await asyncio.gather(*self._open.values(), return_exceptions=True)
        self._open.clear()
        self._http.close()

    async def _call(self, calls: Mapping[str, ReplicaCall]) -> dict[str, QueueLoad | int | None]:
        """Make these calls, besides those to silent processes. Return the answers, by endpoint."""
        new = {
            endpoint: asyncio.create_task(call(), name=f"rebalancer: call {endpoint}")
            for endpoint, call in calls.items()
            if endpoint not in self._open
        }
        self._open |= new
        if usual := [task for endpoint, task in new.items() if endpoint not in self._slow]:
            await asyncio.wait(usual, timeout=PATIENCE)
        done = {endpoint: task for endpoint, task in self._open.items() if task.done()}
        for endpoint in done:
            del self._open[endpoint]
        self._slow = (self._slow | self._open.keys()) - (new.keys() & done.keys())
        return {endpoint: task.result() for endpoint, task in done.items()}

    async def _load(self, endpoint: str) -> QueueLoad | None:
        """Read one process's load.

        Returns None if it does not answer, or if it runs another version of gyrus, which reports too little.
        """
        try:
            reported = await self._send(endpoint, HttpRequest("GET", LOAD_PATH, self._headers(endpoint)))
            return QueueLoad(**{name: value for name, value in reported.items() if name in LOAD})
        except (HttpError, ValueError, TypeError):
            return None

    async def _requeue(self, endpoint: str, request: RequeueRequest) -> int:
        order = {"at_most": request.number, "first": request.first, "spare": request.spare}
        post = HttpRequest("POST", REQUEUE_PATH, self._headers(endpoint), json.dumps(order).encode())
        try:
            answer = await self._send(endpoint, post)
        except (HttpError, ValueError):
            return 0
        return int(answer.get("requeued", answer.get("given_back", 0)))  # replicas of earlier versions

    def _headers(self, endpoint: str) -> Mapping[str, str]:
        """Return the headers of a private call. Replicas of earlier releases know it by the first alone."""
        proof = self._proof_of(endpoint)
        return {**HEADERS, PROOF_HEADER: proof} if proof else HEADERS

    async def _send(self, endpoint: str, request: HttpRequest) -> dict[str, Any]:
        """Send one request and decode its answer. Raises HttpError or ValueError."""
        response = await self._http.send(endpoint, request, timeout=LONGEST)
        answer = json.loads(response.body) if response.status == 200 else None
        if not isinstance(answer, dict):
            raise ValueError(f"{endpoint} answers {request.target} with {response.status}")
        return cast("dict[str, Any]", answer)
