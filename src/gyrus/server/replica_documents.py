"""Documents that a replica serves about itself, read past the gateway.

The gateway counts every request that it forwards as traffic of the API, and traffic keeps replicas running.
The platform's own requests therefore go to the replica's endpoint.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gyrus.aio.http.client import HttpClient
from gyrus.aio.http.connection import ResponseLimits
from gyrus.aio.http.errors import HttpError
from gyrus.aio.http.message import HttpRequest, HttpResponse
from gyrus.contract.replica import OPENAPI_PATH
from gyrus.state.board import Board

TIMEOUT = 4.0
"""Seconds. The document requires no call of the handler."""

LIMITS = ResponseLimits(body=4 * 1024 * 1024)


async def openapi_of(board: Board, api: str) -> dict[str, Any]:
    """Return the OpenAPI document of an API. Starts no replica.

    Returns an empty document if no replica is ready, or if it serves none.
    """
    endpoint = _endpoint(board, api)
    if endpoint is None:
        return {}
    try:
        answer = await HttpClient(LIMITS, keep_alive=False).send(
            endpoint, HttpRequest("GET", OPENAPI_PATH), timeout=TIMEOUT
        )
    except HttpError:
        return {}
    return _document(answer)


def _endpoint(board: Board, api: str) -> str | None:
    """Return an endpoint of the newest generation that has a replica. Returns None if none speaks HTTP/1."""
    route = board.routes.get(api)
    pools = route.pools if route else ()
    endpoints = (min(pool.replicas) for pool in pools if pool.replicas and pool.protocol == "http1")
    return next(endpoints, None)


def _document(answer: HttpResponse) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any]) if answer.status == 200 else {}
    except msgspec.DecodeError:
        return {}
