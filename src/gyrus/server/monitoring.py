"""The operator's port for Prometheus and probes: ``/metrics``, ``/healthz`` and ``/readyz``.

It is an application of its own on a port of its own, since it demands no token: its answers have nothing but
names and counts of APIs, and no request changes anything.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from gyrus import __version__
from gyrus.contract.replica import HEALTH_PATH, METRICS_PATH, READY_PATH
from gyrus.server.metrics import MEDIA_TYPE, exposition
from gyrus.state.board import Board
from gyrus.state.errors import StateError
from gyrus.state.store import Store

PATIENCE = 2.0
"""Seconds in which the store must answer for the operator to count as ready."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class MonitoringContext:
    """The dependencies of this application."""

    store: Store
    board: Board


def build_monitoring_app(context: MonitoringContext) -> FastAPI:
    """Build the ASGI application. Serve it with :func:`gyrus.server.serving.serve`."""
    app = FastAPI(
        title="gyrus operator's metrics", version=__version__, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.state.monitoring = context
    app.state.closing = asyncio.Event()
    app.include_router(router)
    return app


@router.get(METRICS_PATH)
async def get_metrics(request: Request) -> Response:
    """Return the metrics of all APIs, in Prometheus's text format."""
    context = _context(request)
    return Response(await exposition(context.store, context.board), media_type=MEDIA_TYPE)


@router.get(HEALTH_PATH)
async def get_health() -> Response:
    """Answer as long as the event loop runs."""
    return PlainTextResponse("ok\n")


@router.get(READY_PATH)
async def get_readiness(request: Request) -> Response:
    """Answer 200 if the store answers, else 503 with the reason."""
    try:
        async with asyncio.timeout(PATIENCE):
            await _context(request).store.apis()
    except TimeoutError:
        return PlainTextResponse(f"the store does not answer within {PATIENCE:g} s\n", 503)
    except StateError as error:
        return PlainTextResponse(f"the store cannot be read: {error}\n", 503)
    return PlainTextResponse("ok\n")


def _context(request: Request) -> MonitoringContext:
    return cast(MonitoringContext, request.app.state.monitoring)
